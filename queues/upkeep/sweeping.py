"""Run the steps that every consumer repeats each half minute: republish what SQS lost, then what apps registered."""

from __future__ import annotations

import logging
from functools import partial

from django.conf import settings

from queues import registry
from queues.errors import QueueUnavailable
from queues.outbox.lost import republish_lost

logger = logging.getLogger(__name__)


def sweep() -> int:
    """Run every step once; returns 0, so that the next round comes only after the usual pause.

    If AWS does not answer one step, the others (a breaker's probe, the journal, emails in doubt) must still run.
    """
    lost = [partial(republish_lost, alias) for alias in settings.QUEUES]
    for step in (*registry.sweeps, *lost):
        try:
            step()
        except QueueUnavailable as exc:
            logger.error("sweep step failed: %s", exc)
    return 0
