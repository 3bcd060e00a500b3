"""Delete old rows whose work is done, in small batches; open ones stay."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from queues.models import DeadLetter, HandlingFailure, OutboxEvent, Redrive, RedriveItem, in_state
from queues.models.dead_letters import CLOSED_AT
from queues.registry import sweeps

BATCH = 500
# Of one kind in one round of half a minute: as many rows as a thousand emails a second make, in short transactions.
MOST_BATCHES = 60
_DONE = [OutboxEvent.State.HANDLED, OutboxEvent.State.DISCARDED]


@sweeps
def tidy() -> int:
    """Delete some of each kind of row that was closed KEEP_DAYS ago; returns how many rows it deleted.

    Time counts from the end of a row's work: until then, a discarded dead letter can be opened again.
    """
    old = timezone.now() - timedelta(days=settings.KEEP_DAYS)
    letter = DeadLetter.objects.filter(sqs_message_id=OuterRef("sqs_message_id"))
    return (
        delete_batches(OutboxEvent.objects.filter(in_state(*_DONE), handled_at__lt=old))
        + delete_batches(RedriveItem.objects.filter(redrive__ended_at__lt=old))
        + delete_batches(Redrive.objects.filter(~Exists(_items("redrive")), ended_at__lt=old))
        + delete_batches(
            # The record of a redrive lists its dead letters.
            DeadLetter.objects.alias(closed_at=CLOSED_AT).filter(
                in_state(DeadLetter.State.REDRIVEN, DeadLetter.State.DISCARDED),
                ~Exists(_items("letter")),
                closed_at__lt=old,
            )
        )
        # They are the history of their dead letter.
        + delete_batches(HandlingFailure.objects.filter(~Exists(letter), failed_at__lt=old))
    )


def _items(of: str) -> QuerySet[RedriveItem]:
    return RedriveItem.objects.filter(**{of: OuterRef("pk")})


def delete_batches(rows: QuerySet[Any]) -> int:
    """Delete these rows, ``BATCH`` in each transaction and ``MOST_BATCHES`` of them; returns how many rows."""
    count = 0
    for _ in range(MOST_BATCHES):
        # Take the order in which the database finds them: to sort, it would read them all first.
        pks = list(rows.order_by().values_list("pk", flat=True)[:BATCH])
        if pks:
            count += rows.model._default_manager.filter(pk__in=pks).delete()[0]
        if len(pks) < BATCH:
            break
    return count
