"""The right to advance one redrive: one consumer has it at a time, whatever dies or freezes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from queues.models.redrives import Redrive
from queues.models.sql import due_in

# One transaction takes well below a second. Who needs longer loses the turn, and nothing else.
LEASE = timedelta(seconds=10)


class LeaseLost(Exception):
    """The lease ended and somebody else goes on, or the redrive is no longer what it was."""


@dataclass(frozen=True)
class Lease:
    """A redrive as it was when the turn began; ``transaction`` is the only place to change it."""

    redrive: Redrive
    token: uuid.UUID

    @classmethod
    def take(cls, pk: uuid.UUID) -> Lease | None:
        """None if somebody was faster."""
        token = uuid.uuid4()
        due = Redrive.objects.due().filter(pk=pk)
        if not due.update(claim=token, next_at=Now() + LEASE):
            return None
        redrive = Redrive.objects.filter(pk=pk, claim=token).first()
        return cls(redrive, token) if redrive else None

    @contextmanager
    def transaction(self, **conditions: Any) -> Iterator[None]:
        """Raises TurnLost where the turn is over, or the row does not meet the conditions any more.

        The row is locked first, so a person who stops the redrive and the consumer that releases letters wait for
        each other instead of in a circle.
        """
        mine = Redrive.objects.filter(pk=self.redrive.pk, claim=self.token, **conditions)
        with transaction.atomic():
            if not mine.update(next_at=Now() + LEASE):
                raise LeaseLost
            yield

    def end(self, *, pause: timedelta) -> None:
        """Give it back; nobody looks again before the pause is over."""
        mine = Redrive.objects.filter(pk=self.redrive.pk, claim=self.token)
        mine.update(claim=None, next_at=due_in(pause))
