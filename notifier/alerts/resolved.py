"""What somebody was called for and is over: told once, at most once an hour for each cause.

A cause that an alert told of is marked. The mark goes when its end is told, so nothing heals that nobody knew of.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from notifier.alerts import concerns
from notifier.alerts.concerns import Concern
from queues.console import moment
from queues.dead_letters import causes
from queues.models import DeadLetter, RedriveItem
from queues.models.live import Duty
from queues.upkeep import duties

logger = logging.getLogger(__name__)

_MARK = "told "
_DEAD_LETTERS = "letters"
_NO_CONSUMER = "no consumer"
# By the beginning of a cause's key; what follows it says which.
_TITLES = {
    _DEAD_LETTERS: "Drained: dead letters",
    _NO_CONSUMER: "Consumers are back",
    "silent": "No longer silent",
    "breaker": "Breaker closed",
    "sender": "The sender is verified",
    "in doubt": "No email in doubt waits for a person",
    "late": "No event is late any more",
    "refused": "No event is refused any more",
    "events": "SES reports again",
}


@dataclass(frozen=True)
class Healed:
    """The end of a cause; ``told_at`` is when its end was told of before, ``again_at`` when it may be alerted again."""

    key: str
    told_at: datetime | None
    again_at: datetime | None

    @property
    def name(self) -> str:
        """Of the duty to tell of it."""
        return _duty(self.key)

    @property
    def headline(self) -> str:
        """What is over."""
        kind, which = _split(self.key)
        title = _TITLES.get(kind, "Over")
        if kind == _NO_CONSUMER:
            return title
        name = _code(which) if kind == _DEAD_LETTERS else which
        return f"{title}, {name}" if name else title

    @property
    def text(self) -> str:
        """All of it, with the page to look at."""
        return "\n".join([self.headline, self._meaning, *self._return, self._link])

    def settle(self) -> None:
        """It was told of."""
        duties.give_back(_mark(self.key), to=None)
        logger.warning("told of the end cause=%s", self.key)

    @property
    def _meaning(self) -> str:
        if _split(self.key)[0] == _DEAD_LETTERS:
            return "None of them waits any more: redriven, discarded or parked."
        return "What you were called for is over."

    @property
    def _return(self) -> list[str]:
        if self.again_at is None or self.again_at < timezone.now():
            return []
        return [f"Should it come back, you are called again from {moment(self.again_at)} on."]

    @property
    def _link(self) -> str:
        kind, which = _split(self.key)
        if kind == _DEAD_LETTERS:
            page = reverse("admin:queues_deadletter_group", args=[causes.key_of(which)])
        else:
            page = reverse("admin:index")
        return f"{settings.BASE_URL}{page}"


def mark(key: str) -> None:
    """An alert has told of this cause: its end is news."""
    duties.take(_mark(key), every=0)


def due(current: Sequence[Concern], *, again_seconds: int) -> list[Healed]:
    """What is over; ``current`` is all that is not, told of or not."""
    over = [key for key in _marked() if not _stands(key, current)]
    taken = duties.taken([name for key in over for name in (_duty(key), _alert(key))])
    pause = timedelta(seconds=again_seconds)
    return [
        Healed(
            key,
            told_at=taken.get(_duty(key)),
            again_at=taken[_alert(key)] + pause if _alert(key) in taken else None,
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
        # Its queues are named in a list that changes with each that comes back.
        return bool(mine)
    # Where not all causes are told apart, one that is not named may stand all the same.
    if any(concern.key == key or concern.is_cut or _names(concern, key) for concern in mine):
        return True
    return kind == _DEAD_LETTERS and _is_underway(which)


def _names(concern: Concern, key: str) -> bool:
    return any(_mark(cause.key) == _mark(key) for cause in concern.causes)


def _is_underway(fingerprint: str) -> bool:
    """Whether letters of it are in a redrive whose outcome is not known yet: they may return."""
    unfinished = RedriveItem.objects.filter(
        redrive__ended_at=None,
        outcome__in=[RedriveItem.Outcome.WAITING, RedriveItem.Outcome.PENDING],
    )
    return unfinished.filter(letter__fingerprint=fingerprint).exists()


def _code(fingerprint: str) -> str:
    letters = DeadLetter.objects.filter(fingerprint=fingerprint).order_by()
    return next(iter(letters.values_list("code", flat=True)[:1]), "")


def _split(key: str) -> tuple[str, str]:
    """The kind of a cause, and which of these."""
    for kind in _TITLES:
        if key == kind or key.startswith(f"{kind} "):
            return kind, key[len(kind) + 1 :]
    return key, ""


def _mark(key: str) -> str:
    return f"{_MARK}{key}"[:150]


def _alert(key: str) -> str:
    return f"alert {key}"[:150]


def _duty(key: str) -> str:
    return f"healed {key}"[:150]
