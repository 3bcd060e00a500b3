"""Count the emails that were recorded but not sent yet, by reason and by age.

Finished rows cost nothing here, however many there are: each query has a partial index on the rows that it counts. An
event is counted once. An event of another producer is known here only after its message has failed once.
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

# Rows younger than this are on their way.
SOON = timedelta(minutes=1)


@dataclass(frozen=True)
class Why:
    """One reason why an email is not sent yet, with the rows concerned; ``since`` names the field of their age.

    ``is_stuck`` is True if only a person can move these rows, however young they are.
    """

    name: str
    title: str
    advice: str
    rows: QuerySet[Any]
    since: str
    is_stuck: bool = False

    def aged(self, age: Age, now: datetime) -> QuerySet[Any]:
        """Return the rows of this age, oldest first."""
        return self.rows.filter(_of_age(self.since, age, now)).order_by(self.since)


@dataclass(frozen=True)
class Age:
    """A range of ages: younger than ``under``, and not younger than ``over``."""

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
ANY_AGE = Age("all", "all ages", timedelta(), None)


@dataclass(frozen=True)
class Counted:
    """The number of unsent emails for one reason, by age."""

    why: Why
    counts: Sequence[int]
    oldest: datetime | None

    @property
    def total(self) -> int:
        """The number of emails of all ages."""
        return sum(self.counts)

    @property
    def late(self) -> int:
        """The number of emails that only a person can move, or that are older than a minute."""
        return self.total if self.why.is_stuck else sum(self.counts[1:])


@dataclass(frozen=True)
class Owed:
    """The emails that are recorded but not sent at ``now``, by reason."""

    now: datetime
    counted: Sequence[Counted]

    @property
    def total(self) -> int:
        """The number of unsent emails."""
        return sum(part.total for part in self.counted)

    @property
    def late(self) -> int:
        """The number of unsent emails that only a person can move, or that are older than a minute."""
        return sum(part.late for part in self.counted)

    @property
    def oldest(self) -> datetime | None:
        """The time since which the oldest email is unsent; None if none is."""
        return min((part.oldest for part in self.counted if part.oldest), default=None)


@dataclass(frozen=True)
class Today:
    """The events recorded since ``midnight``, their emails, and how many of these SES has accepted."""

    midnight: datetime
    recorded: int
    emails: int
    accepted: int


def owed() -> Owed:
    """Count the unsent emails, with one query for each reason."""
    now = timezone.now()
    return Owed(now, [_counted(why, now) for why in reasons()])


def today() -> Today:
    """Count today's events and emails, with two queries that read nothing older."""
    # Where clocks go back at midnight there are two; the day begins with the first.
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    # An event's id begins with its time, and is indexed.
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
    """Say in one sentence whether everybody got their email."""
    if not owed.total:
        return f"Everybody has got their email, as of {moment(owed.now)}."
    oldest = moment(owed.oldest)
    are = "1 email is" if owed.total == 1 else f"{owed.total} emails are"
    if not owed.late:
        return f"Everybody has got their email for events before {oldest}; {are} on the way since."
    return f"{are} not sent yet; the oldest since {oldest}."


def reasons() -> list[Why]:
    """List the reasons, in the order in which an event meets them."""
    return [*_of_events(), *_of_emails()]


def _of_events() -> list[Why]:
    return [
        Why(
            "pending",
            "Waits to be published",
            "Is consume_queue or relay_outbox running, and does it reach SQS?",
            # The index covers several states; naming all of them lets the database use it.
            OutboxEvent.objects.filter(
                in_state(*OutboxEvent.UNFINISHED), in_state(Outbox.PENDING, Outbox.CLAIMED)
            ),
            "recorded_at",
        ),
        Why(
            "published",
            "Published, not handled",
            "It waits in SQS, or SQS delivers it again after a failed receive. Do consumers keep up?",
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
            "Fix what the reason names, then publish it again.",
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
            "Fix the cause, then send it again.",
            _adrift(in_state(*Notification.UNSENT), in_state(Email.FAILED)),
            "created_at",
            is_stuck=True,
        ),
        Why(
            "kept",
            "Kept back",
            "Bulk email is stopped: fix the cause, then resume it.",
            Notification.objects.filter(~_under_way(), in_state(Email.KEPT)),
            "created_at",
            is_stuck=True,
        ),
        Why(
            "waiting",
            "Not sent yet, of another producer",
            "SQS delivers its message again after a failed receive.",
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


_REDRIVE = "Fix the cause, then redrive it."


def _dead() -> QuerySet[OutboxEvent]:
    """Return the dead events; of an event that was redriven, only the newest row counts."""
    newer = OutboxEvent.objects.filter(event_id=OuterRef("event_id"), id__gt=OuterRef("id"))
    return OutboxEvent.objects.filter(
        ~Exists(newer), in_state(*OutboxEvent.STUCK), in_state(Outbox.DEAD)
    )


def _foreign() -> QuerySet[DeadLetter]:
    """Return open dead letters without an outbox row whose email is not settled; SES's own reports need no email."""
    event = {"event_id": OuterRef("event_id")}
    done = [Email.SENT, Email.CANCELLED, Email.SUPPRESSED, Email.IN_DOUBT, Email.KEPT]
    return DeadLetter.objects.filter(
        ~Exists(OutboxEvent.objects.filter(**event)),
        ~Exists(Notification.objects.filter(state__in=done, **event)),
        in_state(DeadLetterState.OPEN),
    ).exclude(queue=ALIAS)


def _adrift(*states: Q) -> QuerySet[Notification]:
    """Return unsent emails that nothing else counts: no event under way, no open or discarded dead letter."""
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
    # A row may lie in the future if another machine's clock is ahead; it counts as young.
    young = Q(**{f"{since}__lte": now - age.over}) if age.over else Q()
    return young & Q(**{f"{since}__gt": now - age.under}) if age.under else young


def _first_id(time: datetime) -> UUID:
    """Return a lower bound for every UUID version 7 of this time or later."""
    return UUID(int=int(time.timestamp() * 1000) << 80)


def by_name(names: Iterable[Any], name: str) -> Any:
    """Return the reason or age with this name; None if there is none."""
    return next((each for each in names if each.name == name), None)
