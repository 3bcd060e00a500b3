"""Stop password guessing: five failures lock an account for 15 minutes, for the address that they came from.

Failures are counted in the database, so the limit holds across all processes. They are counted before the password is
checked, so it also holds for guesses made at the same time. The account stays open from elsewhere, so nobody can lock
somebody else out.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from notifier.models import LoginFailure
from orders.limits import client_address
from queues.registry import sweeps
from queues.upkeep.old_rows import delete_batches

logger = logging.getLogger(__name__)

MOST_FAILURES = 5
LOCKED_FOR = timedelta(minutes=15)

_FRESH = Q(state=LoginFailure.State.UNLOCKED) | Q(last_at__lte=Now() - LOCKED_FOR)


class Locked(ValidationError):
    """Too many failures: nothing was checked, and ``seconds`` is how long to wait."""

    def __init__(self, seconds: int) -> None:
        super().__init__(_words(seconds), code="locked")
        self.seconds = seconds


@contextmanager
def counted(account: str, origin: str) -> Iterator[None]:
    """Count a failure if the block raises ValidationError; raise Locked instead of running it after too many."""
    if seconds := begin(account, origin):
        raise Locked(seconds)
    try:
        yield
    except ValidationError:
        fail(account, origin)
        raise
    succeed(account, origin)


def begin(account: str, origin: str) -> int:
    """Count a failure in advance, and return 0; if locked, count nothing and return the seconds to wait.

    ``succeed`` takes the failure back.
    """
    rows = _rows(account, origin)
    LoginFailure.objects.bulk_create(
        [LoginFailure(account=account, origin=origin)], ignore_conflicts=True
    )
    may = rows.filter(_FRESH | Q(failures__lt=MOST_FAILURES)).update(
        failures=Case(When(_FRESH, then=Value(1)), default=F("failures") + 1),
        state=Case(
            When(Q(failures=MOST_FAILURES - 1) & ~_FRESH, then=Value(LoginFailure.State.LOCKED)),
            default=Value(LoginFailure.State.COUNTED),
        ),
        last_at=Now(),
    )
    if may:
        return 0
    row = rows.first()
    # If the row is gone, a log-in has just succeeded.
    return max(1, seconds_left(row)) if row else 1


def succeed(account: str, origin: str) -> None:
    """Delete the failures of this account and address, because the password was right."""
    _rows(account, origin).delete()


def fail(account: str, origin: str) -> None:
    """Log it if this failure locked the account; the log never has the typed name, which may be a password."""
    if _rows(account, origin).filter(state=LoginFailure.State.LOCKED).exists():
        user = get_user_model().objects.filter(username=account).values_list("pk", flat=True)
        logger.warning(
            "log-in locked user=%s from=%s minutes=%d",
            user.first() or "unknown",
            client_address.masked(origin),
            LOCKED_FOR // timedelta(minutes=1),
        )


def unlock(rows: QuerySet[LoginFailure]) -> int:
    """Unlock these rows now; return how many were locked."""
    return rows.filter(state=LoginFailure.State.LOCKED).update(
        state=LoginFailure.State.UNLOCKED, failures=0
    )


def seconds_left(row: LoginFailure) -> int:
    """Return the whole seconds until the failures no longer count; 0 if they have expired."""
    left = row.last_at + LOCKED_FOR - timezone.now()
    return max(0, math.ceil(left.total_seconds()))


@sweeps
def forget_old_failures() -> int:
    """Delete one batch of failures that no longer count; return how many."""
    return delete_batches(LoginFailure.objects.filter(last_at__lte=timezone.now() - LOCKED_FOR))


def _rows(account: str, origin: str) -> QuerySet[LoginFailure]:
    return LoginFailure.objects.filter(account=account, origin=origin)


def _words(seconds: int) -> str:
    minutes = math.ceil(seconds / 60)
    when = "a minute" if minutes == 1 else f"{minutes} minutes"
    return (
        f"Too many failed logins to this account from where you are. Try again in {when}, "
        "or ask an operator to unlock it under Failed logins."
    )
