"""Stop bulk email while too much of what we send bounces or is called spam; a person lets it go on.

AWS puts an account under review at 5 % of bounces or 0.1 % of complaints, and may pause it at 10 % or 0.5 % (SES
developer guide, "Sending review process FAQs"); then confirmations would stop as well. So what a handler calls bulk is
kept back before that, and nothing else ever is. What is kept has its row, and its message is done with: no receive is
burned, no slot of the sending rate is used, and what is not bulk passes it.
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
    """How much of what SES accepted bounced for good, or was called spam; the lines are in per cent.

    ``status`` is the delivery of those emails.
    """

    name: str
    status: Notification.Delivery
    count: int
    of: int
    warning: float
    stop: float

    @property
    def per_cent(self) -> float:
        """0 where nothing was sent."""
        return 100 * self.count / self.of if self.of else 0.0

    @property
    def is_high(self) -> bool:
        """Past the warning line, with enough emails to say so."""
        return self._says_something and self.per_cent >= self.warning

    @property
    def is_over(self) -> bool:
        """Past the stop line."""
        return self._says_something and self.per_cent >= self.stop

    @property
    def shown(self) -> str:
        """To two places."""
        return f"{self.per_cent:.2f} %"

    @property
    def words(self) -> str:
        """For staff."""
        return f"{self.name} {self.shown} ({self.count:,} of {self.of:,} emails)"

    @property
    def _says_something(self) -> bool:
        return self.of >= settings.GUARD_MINIMUM and self.count >= FEWEST


@watches
def check() -> int:
    """Stop bulk email if a rate is past its stop line; by one consumer, once a minute."""
    now = duties.take("guard", every=EVERY_SECONDS)
    if now is None or (row := state()).is_stopped:
        return 0
    over = [rate.words for rate in rates(now, since=row.resumed_at) if rate.is_over]
    return int(bool(over) and stop(reason=", ".join(over)))


def rates(now: datetime, *, since: datetime | None = None) -> list[Rate]:
    """Over the window of the settings, or from ``since`` on if that is later; to ten minutes."""
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
    """The row, as it is now; not saved before it says something."""
    return Guard.objects.filter(pk=1).first() or Guard(pk=1)


def stop(*, reason: str, by: str = "") -> bool:
    """Keep bulk email back from now on; False if it was stopped already, and stays so for its first reason."""
    Guard.objects.get_or_create(pk=1)
    is_news = Guard.objects.filter(pk=1, is_stopped=False).update(
        is_stopped=True, reason=reason[:300], stopped_by=by, stopped_at=Now()
    )
    if is_news:
        logger.error("bulk email is stopped by=%s: %s", by or "the guard", reason)
    return bool(is_news)


def resume() -> bool:
    """Send bulk email again; False if it was not stopped. What came before is not counted any more."""
    is_news = Guard.objects.filter(pk=1, is_stopped=True).update(is_stopped=False, resumed_at=Now())
    if is_news:
        logger.warning("bulk email is resumed")
    return bool(is_news)


def is_stopped() -> bool:
    """One query."""
    return Guard.objects.filter(pk=1, is_stopped=True).exists()


def keep_back(owed: Sequence[Owed]) -> list[bool]:
    """Whether these, all bulk, are not to be sent now; then they are saved as kept."""
    is_kept = is_stopped()
    if is_kept:
        claims.keep(owed)
    return [is_kept] * len(owed)
