"""Cache the last answers of SES and DNS for all processes, so that a page need not ask each time it is shown.

SES answers most of these questions only once a second. A page says how old its answer is; staff can ask again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.timesince import timesince

from emails.errors import IdentityError
from emails.models.identities import SesAnswer

FRESH = timedelta(minutes=5)
# What still changes, such as an identity that waits to be verified, is asked about again soon.
FRESH_PENDING = timedelta(seconds=5)
# A problem may be fixed soon, so it is asked about again sooner.
FRESH_PROBLEM = timedelta(seconds=30)
KEPT = timedelta(days=1)


@dataclass(frozen=True)
class Answer:
    """The last answer to a question.

    ``value`` is its JSON, None if there never was an answer. ``problem`` says why the last try brought none.
    """

    value: Any
    at: datetime | None
    problem: str

    @property
    def age(self) -> str:
        """The age of the value in words: ``just now``, ``3 minutes ago``; empty if there is no value."""
        if self.at is None:
            return ""
        is_new = timezone.now() - self.at < timedelta(minutes=1)
        return "just now" if is_new else f"{timesince(self.at, depth=1)} ago"


def to(
    question: str,
    ask: Callable[[], Any],
    *,
    is_pending: Callable[[Any], bool] = lambda value: False,
) -> Answer:
    """Return the cached answer, or call ``ask`` if that is too old; ``ask`` returns JSON or raises IdentityError.

    ``is_pending`` tells of a cached value whether it is soon too old.
    """
    now = timezone.now()
    row = SesAnswer.objects.filter(pk=question).first()
    if row is None or row.tried_at < now - _freshness(row, is_pending):
        row = _asked(question, ask, row or SesAnswer(question=question), now)
    return Answer(row.value, row.value_at, row.problem)


def forget() -> None:
    """Delete all cached answers, after a change or when staff ask again; the next page asks SES and DNS anew."""
    SesAnswer.objects.all().delete()


def _freshness(row: SesAnswer, is_pending: Callable[[Any], bool]) -> timedelta:
    if row.problem:
        return FRESH_PROBLEM
    return FRESH_PENDING if is_pending(row.value) else FRESH


def _asked(question: str, ask: Callable[[], Any], row: SesAnswer, now: datetime) -> SesAnswer:
    row.tried_at, row.problem = now, ""
    try:
        row.value, row.value_at = ask(), now
    except IdentityError as exc:
        row.problem = str(exc)
    SesAnswer.objects.filter(tried_at__lt=now - KEPT).delete()
    SesAnswer.objects.update_or_create(
        pk=question,
        defaults={
            "value": row.value,
            "value_at": row.value_at,
            "problem": row.problem,
            "tried_at": row.tried_at,
        },
    )
    return row
