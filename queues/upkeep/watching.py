"""Look at what goes on and tell staff of it, beside the work: nothing that an email depends on.

It is not the sweeper's: a figure that is late harms nobody, and must not make a doubt or a breaker wait.
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
from queues.upkeep.old_rows import delete_batch

logger = logging.getLogger(__name__)

SECONDS = 15.0
TIDY_SECONDS = 600
KEEP_SILENT_DAYS = 1
# A cause that was told of once and then not for so long is new again.
KEEP_DUTIES_DAYS = 30


def watch() -> int:
    """Run every step once; returns 0, so that the next round waits its time."""
    for step in registry.watches:
        try:
            step()
        except DatabaseError:
            # The others would meet it as well.
            raise
        except Exception:
            # A bug in a figure must not keep an alert from being told.
            logger.exception("watch step failed")
    return 0


@watches
def tidy() -> int:
    """One batch of each kind that nobody looks at any more; returns how many rows went."""
    if duties.take("tidy", every=TIDY_SECONDS) is None:
        return 0
    now = timezone.now()
    return (
        delete_batch(Figure.objects.filter(begins_at__lt=now - timedelta(days=KEEP_FIGURES_DAYS)))
        + delete_batch(
            LiveConsumer.objects.filter(beat_at__lt=now - timedelta(days=KEEP_SILENT_DAYS))
        )
        + delete_batch(Duty.objects.filter(taken_at__lt=now - timedelta(days=KEEP_DUTIES_DAYS)))
    )
