"""Whether everybody got their email: what is recorded and not yet done, by why and by age.

What is done costs nothing here, however much there is of it: each question has a partial index on what it counts. An
event is counted once. Of events that other producers put on the queues only those are known that failed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet
from django.utils import timezone

from emails.models import Notification
from emails.reports.evidence import ALIAS
from queues.console import moment
from queues.models import DeadLetter, OutboxEvent, in_state

Outbox = OutboxEvent.State
Email = Notification.State
DeadLetterState = DeadLetter.State

# What is younger is on its way.
SOON = timedelta(minutes=1)


@dataclass(frozen=True)
class Why:
    """Rows that are owed an email for one reason, each with the time since when.

    ``is_stuck``: nothing moves them but a person, however young they are.
    """

    name: str
    title: str
    advice: str
    rows: QuerySet[Any]
    since: str
    is_stuck: bool = False

    def aged(self, age: Age, now: datetime) -> QuerySet[Any]:
        """Those of this age, oldest first."""
        return self.rows.filter(_of_age(self.since, age, now)).order_by(self.since)


@dataclass(frozen=True)
class Age:
    """Younger than ``under``, and not younger than ``over``."""

    name: str
    title: str
    over: timedelta
    under: timedelta | None


AGES = (
    Age("minute", "under 1 min", timedelta(), SOON),
    Age("minutes", "1 to 10 min", SOON, timedelta(minutes=10)),
    Age("hour", "10 min to 1 h", timedelta(minutes=10), timedelta(hours=1)),
    Age("day", "1 h to 1 day", timedelta(hours=1), timedelta(days=1)),
    Age("older", "over 1 day", timedelta(days=1), None),
)


@dataclass(frozen=True)
class Counted:
    """How many emails are owed for one reason, by age."""

    why: Why
    counts: Sequence[int]
    oldest: datetime | None

    @property
    def total(self) -> int:
        """Of all ages."""
        return sum(self.counts)

    @property
    def late(self) -> int:
        """Those that are not on their way any more, or for too long."""
        return self.total if self.why.is_stuck else sum(self.counts[1:])


@dataclass(frozen=True)
class Owed:
    """All that is owed at ``now``."""

    now: datetime
    counted: Sequence[Counted]

    @property
    def total(self) -> int:
        """How many emails."""
        return sum(part.total for part in self.counted)

    @property
    def late(self) -> int:
        """How many of them for more than a minute, or until a person does something."""
        return sum(part.late for part in self.counted)

    @property
    def oldest(self) -> datetime | None:
        """Since when the first is owed."""
        return min((part.oldest for part in self.counted if part.oldest), default=None)


@dataclass(frozen=True)
class Today:
    """Of the events recorded since ``midnight``: how many there are, and how many emails SES has accepted."""

    midnight: datetime
    recorded: int
    emails: int
    accepted: int


def owed() -> Owed:
    """Count it: one query for each reason."""
    now = timezone.now()
    return Owed(now, [_counted(why, now) for why in reasons()])


def today() -> Today:
    """Two queries that read what was recorded today, and nothing older."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    # An event's id begins with its time, and has an index.
    ids = Q(event_id__gte=_first_id(midnight), event_id__lt=_first_id(midnight + timedelta(days=1)))
    emails = Notification.objects.filter(ids).aggregate(
        all=Count("pk"), accepted=Count("pk", filter=Q(state=Email.SENT))
    )
    return Today(
        midnight=midnight,
        recorded=OutboxEvent.objects.filter(ids).aggregate(n=Count("event_id", distinct=True))["n"],
        emails=emails["all"],
        accepted=emails["accepted"],
    )


def sentence(owed: Owed) -> str:
    """The answer in words, also for the first page: did everybody get theirs?"""
    if not owed.total:
        return f"Everybody who was owed an email by {moment(owed.now)} has got it."
    oldest = moment(owed.oldest)
    are = "1 email is" if owed.total == 1 else f"{owed.total} emails are"
    if not owed.late:
        return (
            f"Everybody who was owed an email before {oldest} has got it; {are} on the way since."
        )
    return f"{are} owed; the oldest since {oldest}."


def reasons() -> list[Why]:
    """In the order of an event's way."""
    return [*_of_events(), *_of_emails()]


def _of_events() -> list[Why]:
    return [
        Why(
            "pending",
            "Waits to be published",
            "Is consume_queue or relay_outbox running, and does it reach SQS?",
            # Where an index is on several states, all of them are named.
            OutboxEvent.objects.filter(
                in_state(*OutboxEvent.UNFINISHED), in_state(Outbox.PENDING, Outbox.CLAIMED)
            ),
            "recorded_at",
        ),
        Why(
            "published",
            "Published, not handled",
            "It waits in SQS, or comes back after a failed receive. Do consumers keep up?",
            OutboxEvent.objects.filter(in_state(Outbox.PUBLISHED)),
            "recorded_at",
        ),
        Why(
            "held",
            "Held",
            "Its email is in doubt, and later ones of its group wait: say whether it was sent.",
            OutboxEvent.objects.filter(in_state(Outbox.HELD)),
            "recorded_at",
        ),
        Why("dead", "Dead letter", _REDRIVE, _dead(), "recorded_at", is_stuck=True),
        Why(
            "foreign",
            "Dead letter of another producer",
            _REDRIVE,
            _foreign(),
            "collected_at",
            is_stuck=True,
        ),
        Why(
            "refused",
            "Refused by SQS",
            "Mend what the reason names, then publish it again.",
            OutboxEvent.objects.filter(in_state(*OutboxEvent.STUCK), in_state(Outbox.REFUSED)),
            "recorded_at",
            is_stuck=True,
        ),
    ]


def _of_emails() -> list[Why]:
    return [
        Why(
            "doubt",
            "In doubt",
            "SES may have accepted it: say whether it was sent.",
            Notification.objects.filter(~_under_way(), in_state(Email.IN_DOUBT)),
            "created_at",
        ),
        Why(
            "failed",
            "Failed",
            "Mend the cause, then send it again.",
            _adrift(in_state(*Notification.UNSENT), in_state(Email.FAILED)),
            "created_at",
            is_stuck=True,
        ),
        Why(
            "kept",
            "Kept back",
            "Bulk email is stopped: mend the cause, then resume it.",
            Notification.objects.filter(~_under_way(), in_state(Email.KEPT)),
            "created_at",
            is_stuck=True,
        ),
        Why(
            "waiting",
            "Not sent yet, of another producer",
            "Its message comes back after a failed receive.",
            _adrift(in_state(*Notification.UNSENT), in_state(Email.PENDING)),
            "created_at",
        ),
        Why(
            "sending",
            "Being sent, of another producer",
            "A consumer is talking to SES.",
            _adrift(in_state(Email.SENDING)),
            "created_at",
        ),
    ]


_REDRIVE = "Mend the cause, then redrive it."


def _dead() -> QuerySet[OutboxEvent]:
    """A redrive writes another row for the event, and that one counts."""
    newer = OutboxEvent.objects.filter(event_id=OuterRef("event_id"), id__gt=OuterRef("id"))
    return OutboxEvent.objects.filter(
        ~Exists(newer), in_state(*OutboxEvent.STUCK), in_state(Outbox.DEAD)
    )


def _foreign() -> QuerySet[DeadLetter]:
    """Letters without a row in the outbox, whose email was neither sent nor cancelled; SES's reports owe none."""
    event = {"event_id": OuterRef("event_id")}
    done = [Email.SENT, Email.CANCELLED, Email.SUPPRESSED, Email.IN_DOUBT, Email.KEPT]
    return DeadLetter.objects.filter(
        ~Exists(OutboxEvent.objects.filter(**event)),
        ~Exists(Notification.objects.filter(state__in=done, **event)),
        in_state(DeadLetterState.OPEN),
    ).exclude(queue=ALIAS)


def _adrift(*states: Q) -> QuerySet[Notification]:
    """Emails that nothing counts yet: no event under way, no dead letter that waits or was discarded."""
    event = {"event_id": OuterRef("event_id")}
    decided = OutboxEvent.objects.filter(state=Outbox.DISCARDED, **event)
    letters = DeadLetter.objects.filter(
        state__in=[DeadLetterState.OPEN, DeadLetterState.DISCARDED], **event
    )
    return Notification.objects.filter(~_under_way(), ~Exists(decided), ~Exists(letters), *states)


def _under_way() -> Exists:
    states = [*OutboxEvent.UNFINISHED, Outbox.PUBLISHED, Outbox.REFUSED]
    return Exists(OutboxEvent.objects.filter(event_id=OuterRef("event_id"), state__in=states))


def _counted(why: Why, now: datetime) -> Counted:
    younger = {
        age.name: Count("pk", filter=Q(**{f"{why.since}__gt": now - age.under}))
        for age in AGES
        if age.under
    }
    found = why.rows.aggregate(all=Count("pk"), since_when=Min(why.since), **younger)
    up_to = [*(found[name] for name in younger), found["all"]]
    counts = [count - before for count, before in zip(up_to, [0, *up_to[:-1]], strict=True)]
    return Counted(why, counts, found["since_when"])


def _of_age(since: str, age: Age, now: datetime) -> Q:
    # A row that another machine's clock has put into the future is young.
    young = Q(**{f"{since}__lte": now - age.over}) if age.over else Q()
    return young & Q(**{f"{since}__gt": now - age.under}) if age.under else young


def _first_id(time: datetime) -> UUID:
    """No UUID version 7 of this time or later is smaller."""
    return UUID(int=int(time.timestamp() * 1000) << 80)


def by_name(names: Iterable[Any], name: str) -> Any:
    """The reason or age of this name; None if there is none."""
    return next((each for each in names if each.name == name), None)
