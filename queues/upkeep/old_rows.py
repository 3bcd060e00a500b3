"""Delete old rows whose work is done, in small batches; open ones stay."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from queues.models import DeadLetter, HandlingFailure, OutboxEvent, Redrive, RedriveItem, in_state
from queues.registry import sweeps

BATCH = 500
_DONE = [OutboxEvent.State.HANDLED, OutboxEvent.State.DISCARDED]


@sweeps
def tidy() -> int:
    """Delete one batch of each kind of row older than KEEP_DAYS; returns how many rows it deleted."""
    old = timezone.now() - timedelta(days=settings.KEEP_DAYS)
    open_letter = DeadLetter.objects.filter(
        sqs_message_id=OuterRef("sqs_message_id"), state=DeadLetter.State.OPEN
    )
    return (
        delete_batch(OutboxEvent.objects.filter(in_state(*_DONE), handled_at__lt=old))
        + delete_batch(HandlingFailure.objects.filter(~Exists(open_letter), failed_at__lt=old))
        + delete_batch(RedriveItem.objects.filter(redrive__ended_at__lt=old))
        + delete_batch(Redrive.objects.filter(~Exists(_items("redrive")), ended_at__lt=old))
        + delete_batch(
            # The record of a redrive lists its dead letters.
            DeadLetter.objects.exclude(state=DeadLetter.State.OPEN).filter(
                ~Exists(_items("letter")), collected_at__lt=old
            )
        )
    )


def _items(of: str) -> QuerySet[RedriveItem]:
    return RedriveItem.objects.filter(**{of: OuterRef("pk")})


def delete_batch(rows: QuerySet[Any]) -> int:
    """Delete a few of these rows; returns how many."""
    # Take the order in which the database finds them: to sort, it would read them all first.
    pks = list(rows.order_by().values_list("pk", flat=True)[:BATCH])
    return rows.model._default_manager.filter(pk__in=pks).delete()[0] if pks else 0
