"""Browsers that are known no more: Django leaves their rows to whoever thinks of them."""

from __future__ import annotations

from django.contrib.sessions.models import Session
from django.utils import timezone

from queues.registry import sweeps
from queues.upkeep.old_rows import delete_batch


@sweeps
def forget_expired() -> int:
    """One batch."""
    return delete_batch(Session.objects.filter(expire_date__lt=timezone.now()))
