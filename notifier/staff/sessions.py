"""Delete expired sessions, which Django leaves in the database."""

from __future__ import annotations

from django.contrib.sessions.models import Session
from django.utils import timezone

from queues.registry import sweeps
from queues.upkeep.old_rows import delete_batches


@sweeps
def forget_expired() -> int:
    """Delete one batch of expired sessions; return how many."""
    return delete_batches(Session.objects.filter(expire_date__lt=timezone.now()))
