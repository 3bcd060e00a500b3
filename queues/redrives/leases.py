"""Lease a redrive, so that one consumer at a time advances it, whatever dies or freezes."""

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

# One transaction takes well below a second. A consumer that needs longer than this loses the lease, and nothing else.
LEASE = timedelta(seconds=10)


class LeaseLost(Exception):
    """The lease ended and another consumer goes on, or the redrive has changed state: stop, and change nothing."""


@dataclass(frozen=True)
class Lease:
    """A redrive as it was when the lease began; change it inside ``transaction`` only."""

    redrive: Redrive
    token: uuid.UUID

    @classmethod
    def take(cls, pk: uuid.UUID) -> Lease | None:
        """Take the lease of a due redrive; None if another consumer was faster."""
        token = uuid.uuid4()
        due = Redrive.objects.due().filter(pk=pk)
        if not due.update(claim=token, next_at=Now() + LEASE):
            return None
        redrive = Redrive.objects.filter(pk=pk, claim=token).first()
        return cls(redrive, token) if redrive else None

    @contextmanager
    def transaction(self, **conditions: Any) -> Iterator[None]:
        """Renew the lease in a transaction; raises LeaseLost if it is over or the row no longer meets the conditions.

        It locks the redrive's row first. So a person who stops the redrive and a consumer that releases dead letters
        wait for each other in turn, and cannot deadlock.
        """
        mine = Redrive.objects.filter(pk=self.redrive.pk, claim=self.token, **conditions)
        with transaction.atomic():
            if not mine.update(next_at=Now() + LEASE):
                raise LeaseLost
            yield

    def end(self, *, pause: timedelta) -> None:
        """Give the lease back; no consumer takes it again before the pause is over."""
        mine = Redrive.objects.filter(pk=self.redrive.pk, claim=self.token)
        mine.update(claim=None, next_at=due_in(pause))
