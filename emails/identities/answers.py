"""What SES and DNS answered last, kept for all processes, so that a page need not ask each time it is shown.

SES takes most of these questions once a second. Pages say how old an answer is, and ask anew when a person wants it.
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
# What went wrong may be mended soon.
FRESH_PROBLEM = timedelta(seconds=30)
KEPT = timedelta(days=1)


@dataclass(frozen=True)
class Answer:
    """``value`` is the JSON that was answered last, None if there never was any; ``problem``: why there is none now."""

    value: Any
    at: datetime | None
    problem: str

    @property
    def age(self) -> str:
        """How old the value is, in words."""
        if self.at is None:
            return ""
        is_new = timezone.now() - self.at < timedelta(minutes=1)
        return "just now" if is_new else f"{timesince(self.at, depth=1)} ago"


def to(question: str, ask: Callable[[], Any]) -> Answer:
    """What is known, or what ``ask`` says now; it returns JSON or raises IdentityError."""
    now = timezone.now()
    row = SesAnswer.objects.filter(pk=question).first()
    if row is None or row.tried_at < now - (FRESH_PROBLEM if row.problem else FRESH):
        row = _asked(question, ask, row or SesAnswer(question=question), now)
    return Answer(row.value, row.value_at, row.problem)


def forget() -> None:
    """Ask everything anew: somebody wants it, or has changed something."""
    SesAnswer.objects.all().delete()


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
