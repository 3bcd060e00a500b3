"""Stop bulk email when too many emails bounce or are marked as spam; only a person resumes it.

AWS puts an account under review at 5 % of bounces or 0.1 % of complaints, and may pause it at 10 % or 0.5 % (SES
developer guide, "Sending review process FAQs"); then confirmations would stop as well. So the guard keeps emails back
before that, but only those that their handler calls bulk. A kept email has its row, and its message needs no more work:
it uses up no receives and no slot of the sending rate, and other emails overtake it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models.functions import Now

from emails.models import Notification
from emails.models.reputation import Guard
from emails.sending import claims
from emails.sending.planning import Owed
from queues.registry import watches
from queues.upkeep import duties, figures
from queues.upkeep.figures import TEN_MINUTES

logger = logging.getLogger(__name__)

EVERY_SECONDS = 60
# One complaint among the first hundred emails says nothing yet.
FEWEST = 3


@dataclass(frozen=True)
class Rate:
    """The share of accepted emails that bounced for good, or were marked as spam; its limits are in per cent.

    ``status`` is the delivery status of the emails that it counts.
    """

    name: str
    status: Notification.Delivery
    count: int
    of: int
    warning: float
    stop: float

    @property
    def per_cent(self) -> float:
        """The rate in per cent; 0 if nothing was sent."""
        return 100 * self.count / self.of if self.of else 0.0

    @property
    def is_high(self) -> bool:
        """True if the rate has reached the warning limit, and enough emails were counted to say so."""
        return self._says_something and self.per_cent >= self.warning

    @property
    def is_over(self) -> bool:
        """True if the rate has reached the stop limit, and enough emails were counted to say so."""
        return self._says_something and self.per_cent >= self.stop

    @property
    def shown(self) -> str:
        """The rate for people, rounded to two decimals."""
        return f"{self.per_cent:.2f} %"

    @property
    def words(self) -> str:
        """The rate in words for staff, with its name and the counts."""
        return f"{self.name} {self.shown} ({self.count:,} of {self.of:,} emails)"

    @property
    def _says_something(self) -> bool:
        return self.of >= settings.GUARD_MINIMUM and self.count >= FEWEST


@watches
def check() -> int:
    """Stop bulk email if a rate has reached its stop limit; one consumer checks, once a minute."""
    now = duties.take("guard", every=EVERY_SECONDS)
    if now is None or (row := state()).is_stopped:
        return 0
    over = [rate.words for rate in rates(now, since=row.resumed_at) if rate.is_over]
    return int(bool(over) and stop(reason=", ".join(over)))


def rates(now: datetime, *, since: datetime | None = None) -> list[Rate]:
    """Return the rates of the last ``GUARD_HOURS``, or since ``since`` if that is later.

    The start of the window is accurate to ten minutes.
    """
    begin = now - timedelta(hours=settings.GUARD_HOURS)
    begin = max(begin, since) if since else begin
    rows = figures.since(begin, seconds=TEN_MINUTES)
    counts = figures.total(row for row in rows if row.begins_at >= begin)
    return [
        Rate(
            "bounces",
            Notification.Delivery.BOUNCED_HARD,
            counts["bounced"],
            counts["accepted"],
            settings.GUARD_BOUNCE_WARNING,
            settings.GUARD_BOUNCE_STOP,
        ),
        Rate(
            "complaints",
            Notification.Delivery.COMPLAINED,
            counts["complained"],
            counts["accepted"],
            settings.GUARD_COMPLAINT_WARNING,
            settings.GUARD_COMPLAINT_STOP,
        ),
    ]


def state() -> Guard:
    """Return the guard's row as it is now; a new row is saved only when somebody stops bulk email."""
    return Guard.objects.filter(pk=1).first() or Guard(pk=1)


def stop(*, reason: str, by: str = "") -> bool:
    """Keep bulk email back from now on; False if it was stopped already: then its first reason stays."""
    Guard.objects.get_or_create(pk=1)
    is_news = Guard.objects.filter(pk=1, is_stopped=False).update(
        is_stopped=True, reason=reason[:300], stopped_by=by, stopped_at=Now()
    )
    if is_news:
        logger.error("bulk email is stopped by=%s: %s", by or "the guard", reason)
    return bool(is_news)


def resume() -> bool:
    """Send bulk email again; False if it was not stopped. The rates then count only emails after this moment."""
    is_news = Guard.objects.filter(pk=1, is_stopped=True).update(is_stopped=False, resumed_at=Now())
    if is_news:
        logger.warning("bulk email is resumed")
    return bool(is_news)


def is_stopped() -> bool:
    """Return True if bulk email is stopped; costs one query."""
    return Guard.objects.filter(pk=1, is_stopped=True).exists()


def keep_back(owed: Sequence[Owed]) -> list[bool]:
    """Save these bulk emails as kept if bulk email is stopped; returns for each whether it was kept."""
    is_kept = is_stopped()
    if is_kept:
        claims.keep(owed)
    return [is_kept] * len(owed)
