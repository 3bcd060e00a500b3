"""Announce that an alerted cause is over, once, and at most once an hour for each cause.

An alert marks its cause; announcing the end removes the mark. So nobody reads the end of something they never heard of.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from notifier.alerts import concerns, costs
from notifier.alerts.concerns import DEAD_LETTERS, Concern
from queues.console import moment
from queues.dead_letters import causes
from queues.models import RedriveItem
from queues.models.live import Duty
from queues.upkeep import duties

logger = logging.getLogger(__name__)

_MARK = "told "
_NO_CONSUMER = "no consumer"
# The keys are the first words of a cause's key; the rest of that key says which one, and stands at ``{}``.
_TITLES = {
    DEAD_LETTERS: "no dead letter waits any more: {}",
    _NO_CONSUMER: "consumers run again",
    "silent": "consumer {} is no longer silent",
    "breaker": "sending has resumed ({})",
    "sender": "the sender is verified",
    "in doubt": "no email in doubt waits for a person",
    "late": "no event is late any more",
    "refused": "SQS refuses no event any more",
    "events": "SES reports again",
}


@dataclass(frozen=True)
class Healed:
    """The end of a cause.

    ``told_at`` is when its end was last announced, ``again_at`` when the cause may be alerted again.
    """

    key: str
    told_at: datetime | None
    again_at: datetime | None

    @property
    def name(self) -> str:
        """The name of the duty that limits how often this end is announced."""
        return _duty(self.key)

    @property
    def headline(self) -> str:
        """Say shortly what is over."""
        kind, which = _split(self.key)
        named = costs.title_of(which) if kind == DEAD_LETTERS else which
        return f"Resolved: {_TITLES.get(kind, kind).format(named)}"

    @property
    def facts(self) -> Sequence[str]:
        """What it means, and when the next alert about it would be sent."""
        return [self._meaning, *self._return]

    @property
    def advice(self) -> str:
        """Nothing is left to do."""
        return ""

    @property
    def link(self) -> str:
        """The page that showed the cause."""
        kind, which = _split(self.key)
        if kind == DEAD_LETTERS:
            page = reverse("admin:queues_deadletter_group", args=[causes.key_of(which)])
        else:
            page = reverse("admin:index")
        return f"{settings.BASE_URL}{page}"

    def settle(self) -> None:
        """Remove the mark of the cause, now that its end is announced."""
        duties.give_back(_mark(self.key), to=None)
        logger.warning("told of the end cause=%s", self.key)

    @property
    def _meaning(self) -> str:
        if _split(self.key)[0] == DEAD_LETTERS:
            return "All of them have been redriven, discarded or parked."
        return "The cause of an earlier alert is over."

    @property
    def _return(self) -> list[str]:
        if self.again_at is None or self.again_at < timezone.now():
            return []
        return [f"If it comes back, the next alert is sent after {moment(self.again_at)}."]


def mark(key: str) -> None:
    """Mark this cause as alerted, so that its end will be announced."""
    duties.take(_mark(key), every=0)


def alert_duty(key: str) -> str:
    """Return the name of the duty that limits how often the cause with this key is alerted."""
    return f"alert {key}"[:150]


def due(current: Sequence[Concern], *, again_seconds: int) -> list[Healed]:
    """List the marked causes that are over; ``current`` is all concerns that still stand, alerted or not."""
    over = [key for key in _marked() if not _stands(key, current)]
    taken = duties.taken([name for key in over for name in (_duty(key), alert_duty(key))])
    pause = timedelta(seconds=again_seconds)
    return [
        Healed(
            key,
            told_at=taken.get(_duty(key)),
            again_at=taken[alert_duty(key)] + pause if alert_duty(key) in taken else None,
        )
        for key in over
    ]


def _marked() -> Iterator[str]:
    names = Duty.objects.filter(pk__startswith=_MARK).order_by("pk").values_list("pk", flat=True)
    return (name.removeprefix(_MARK) for name in names[: concerns.MOST_CAUSES])


def _stands(key: str, current: Sequence[Concern]) -> bool:
    kind, which = _split(key)
    mine = [concern for concern in current if _split(concern.key)[0] == kind]
    if kind == _NO_CONSUMER:
        # Its key lists the queues, and changes with each queue that gets a consumer.
        return bool(mine)
    # Where not all causes are listed, one that is missing may still stand.
    if any(concern.key == key or concern.is_cut or _names(concern, key) for concern in mine):
        return True
    return kind == DEAD_LETTERS and _is_underway(which)


def _names(concern: Concern, key: str) -> bool:
    return any(_mark(cause.key) == _mark(key) for cause in concern.causes)


def _is_underway(fingerprint: str) -> bool:
    """Return True if a redrive of such dead letters has not ended yet: they may come back."""
    unfinished = RedriveItem.objects.filter(
        redrive__ended_at=None,
        outcome__in=[RedriveItem.Outcome.WAITING, RedriveItem.Outcome.PENDING],
    )
    return unfinished.filter(letter__fingerprint=fingerprint).exists()


def _split(key: str) -> tuple[str, str]:
    """Split a cause's key into its kind, and which one of that kind it is."""
    for kind in _TITLES:
        if key == kind or key.startswith(f"{kind} "):
            return kind, key[len(kind) + 1 :]
    return key, ""


def _mark(key: str) -> str:
    return f"{_MARK}{key}"[:150]


def _duty(key: str) -> str:
    return f"healed {key}"[:150]
