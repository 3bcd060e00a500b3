"""Watch the system and alert staff, beside the work: no email depends on these steps.

They are not the sweeper's steps: a late figure harms nobody, and must not delay an email in doubt or a breaker.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import DatabaseError
from django.utils import timezone

from queues import registry
from queues.models.live import Duty, Figure, LiveConsumer
from queues.registry import watches
from queues.upkeep import duties
from queues.upkeep.figures import KEEP_DAYS as KEEP_FIGURES_DAYS
from queues.upkeep.old_rows import delete_batches

logger = logging.getLogger(__name__)

SECONDS = 15.0
TIDY_SECONDS = 600
KEEP_SILENT_DAYS = 1
# Staff are alerted of a cause as new again after this many days of silence.
KEEP_DUTIES_DAYS = 30


def watch() -> int:
    """Run every step once; returns 0, so that the next round comes only after the usual pause."""
    for step in registry.watches:
        try:
            step()
        except DatabaseError:
            # The other steps would fail in the same way.
            raise
        except Exception:
            # A bug in a figure must not keep back an alert.
            logger.exception("watch step failed")
    return 0


@watches
def tidy() -> int:
    """Delete one batch of each kind of row that nobody reads any more; returns how many rows it deleted."""
    if duties.take("tidy", every=TIDY_SECONDS) is None:
        return 0
    now = timezone.now()
    return (
        delete_batches(Figure.objects.filter(begins_at__lt=now - timedelta(days=KEEP_FIGURES_DAYS)))
        + delete_batches(
            LiveConsumer.objects.filter(beat_at__lt=now - timedelta(days=KEEP_SILENT_DAYS))
        )
        + delete_batches(Duty.objects.filter(taken_at__lt=now - timedelta(days=KEEP_DUTIES_DAYS)))
    )
