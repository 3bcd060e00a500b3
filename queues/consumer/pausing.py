"""Pause a queue: consumers stop receiving from it, and its messages stay in SQS without losing a receive.

Messages that are in flight, or that an outstanding long poll still brings, are handled.
"""

from __future__ import annotations

import logging

from django.db.models.functions import Now

from queues.models.live import PausedQueue
from queues.registry import gates

logger = logging.getLogger(__name__)


def pause(alias: str, *, by: str, reason: str) -> bool:
    """Pause the queue until somebody resumes it; False if it was paused already, then its first reason stays."""
    _, is_new = PausedQueue.objects.get_or_create(
        alias=alias, defaults={"paused_by": by, "reason": reason, "since": Now()}
    )
    if is_new:
        logger.warning("paused queue=%s by=%s", alias, by)
    return is_new


def resume(alias: str, *, by: str) -> bool:
    """Let consumers receive from the queue again; False if it was not paused."""
    count, _ = PausedQueue.objects.filter(alias=alias).delete()
    if count:
        logger.warning("resumed queue=%s by=%s", alias, by)
    return bool(count)


@gates
def why_paused(alias: str) -> str:
    """Say who paused this queue, and why; empty if it is not paused."""
    paused = PausedQueue.objects.filter(alias=alias).first()
    return f"paused by {paused.paused_by}: {paused.reason}" if paused else ""
