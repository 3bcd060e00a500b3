"""Every change of a notification's state: one conditional UPDATE each, on the database's clock.

Where rows of attempts change with it, they come second, and of many notifications each waits its turn by its key: two
processes that change the same ones must not wait for each other.

pending ──claim──> sending ──accept──> sent
   ^                  ├── let_go ────> pending    certainly not sent, for trouble of our own
   │                  ├── put_back ──> pending    certainly not sent, may heal
   │                  ├── fail ──────> failed     certainly not sent, cannot heal
   │                  └── doubt ─────> in_doubt   an ambiguous answer, or the process died
   ├── mark_sent ── in_doubt ──> sent                            by a person
   ├── suppress ── pending, failed ──> suppressed     its address must get no email
   ├── keep ── pending, failed ──> kept               bulk email is stopped
   ├── reopen ── in_doubt, failed, suppressed, kept
   ├── cancel ── pending, failed, kept ──> cancelled             by a person
   └── correct, withdraw ── pending, failed ──> pending, cancelled   a person corrected its event

Evidence of acceptance wins from any state, and nothing leaves ``sent``.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Lower, Now
from django.utils import timezone

from emails import bulk
from emails.errors import SendError
from emails.models import Attempt, Notification, Suppression
from queues.events import Event
from queues.writing import by_one_thread

State = Notification.State
Outcome = Attempt.Outcome


@dataclass(frozen=True)
class Owed:
    """What an event owes to a recipient; there may be a notification of it already."""

    event: Event
    template: str
    recipient: str
    # May be kept back while too much bounces.
    bulk: bool = False

    @property
    def key(self) -> tuple[uuid.UUID, str, str]:
        """What makes one event one email."""
        return self.event.id, self.template, self.recipient

    def notification(self, **fields: Any) -> Notification:
        """A new one, not saved."""
        return Notification(
            event_id=self.event.id,
            template=self.template,
            recipient=self.recipient,
            event_type=self.event.type,
            subject=self.event.subject,
            event_source=self.event.source,
            partition_key=self.event.partitionkey,
            context=self.event.data,
            next_at=Now(),
            **fields,
        )


@dataclass(frozen=True)
class Claim:
    """The right to call SES once for a notification, until the lease ends.

    ``since`` is this machine's clock right before the lease began; it goes on while the process is frozen.
    """

    notification: Notification
    token: uuid.UUID
    attempt: int
    since: float


@dataclass(frozen=True)
class Acceptance:
    """What SES answered to an attempt."""

    notification_id: uuid.UUID
    attempt: int
    provider_message_id: str


@by_one_thread
def claim(notification: Notification) -> Claim | None:
    """Take the right to send, committed before SES is called; None if it is not to be had now.

    ``failed`` may be claimed as well: SES refused for certain, and what comes now is a redrive.
    """
    with transaction.atomic():
        return _claim(Q(pk=notification.pk))


def claim_owed(owed: Sequence[Owed]) -> list[Claim | None]:
    """The same for many in one transaction, notifications made where there are none yet."""
    token, since = uuid.uuid4(), clock()
    # In one order everywhere, or two processes would wait for each other.
    new = {
        wanted.key: wanted.notification(state=State.SENDING, attempts=1)
        for wanted in sorted(owed, key=lambda wanted: wanted.key)
    }
    # All or none: an error after some of them were claimed would leave these claimed by nobody, in doubt.
    with transaction.atomic():
        made, unwanted = bulk.insert_claimed(list(new.values()), claim=token, lease=_lease())
        if unwanted:
            _suppress_new(unwanted)
        claims = {
            key: Claim(row, token, row.attempts, since) if row.pk in made else _claim(_same(row))
            for key, row in new.items()
            if row.pk not in unwanted
        }
    # The same message may be here twice: the claim is for one of them.
    return [claims.pop(wanted.key, None) for wanted in owed]


def _same(new: Notification) -> Q:
    """The row that was there before this one could be."""
    return Q(event_id=new.event_id, template=new.template, recipient=new.recipient)


def _claim(which: Q) -> Claim | None:
    """At most one; none that must get no email, which is suppressed."""
    token, since = uuid.uuid4(), clock()
    unsent = Notification.objects.filter(which, state__in=Notification.UNSENT)
    taken = unsent.filter(~_is_unwanted(), next_at__lte=Now()).update(
        state=State.SENDING,
        attempts=F("attempts") + 1,
        claim=token,
        lease_until=Now() + _lease(),
        attempt_started_at=Now(),
        safe_at=None,
    )
    if not taken:
        _suppress(unsent.filter(_is_unwanted()))
        return None
    row = Notification.objects.get(which)
    Attempt.objects.create(notification=row, number=row.attempts, started_at=timezone.now())
    return Claim(row, token, row.attempts, since)


def _is_unwanted() -> Exists:
    """That the address of a notification must get no email."""
    listed = Suppression.objects.active().alias(folded=Lower("address"))
    return Exists(listed.filter(folded=Lower(OuterRef("recipient"))))


def _suppress(notifications: QuerySet[Notification], **changes: object) -> int:
    return notifications.update(
        state=State.SUPPRESSED,
        reason_code="Suppressed",
        reason="The address is on the suppression list.",
        **changes,
    )


def _suppress_new(ids: Collection[uuid.UUID]) -> None:
    """They were saved as claimed, and SES is not called for them."""
    _suppress(
        Notification.objects.filter(pk__in=ids),
        attempts=0,
        claim=None,
        lease_until=None,
        attempt_started_at=None,
    )


def keep(owed: Sequence[Owed]) -> None:
    """Bulk email is stopped: these are not sent before ``reopen``. Their messages are done with."""
    rows = [wanted.notification(state=State.KEPT) for wanted in owed]
    Notification.objects.bulk_create(rows, ignore_conflicts=True)
    for row in rows:
        Notification.objects.filter(_same(row), state__in=Notification.UNSENT).update(
            state=State.KEPT, reason_code="", reason=""
        )


def clock() -> float:
    """Seconds; unlike ``time.monotonic`` it also goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def fence(held: Claim) -> bool:
    """Whether the claim still stands, asked right before SES is called, and outlasts the call.

    As long as it does by this machine's clock, the database need not be asked; later the lease is renewed.
    """
    if clock() - held.since + longest_call_seconds() < settings.LEASE_SECONDS:
        return True
    return _renewed(held)


@transaction.atomic
def accept(notification_id: uuid.UUID, attempt: int, provider_message_id: str) -> bool:
    """SES accepted this attempt, whoever says so; returns whether that was news."""
    unsent = Notification.objects.filter(pk=notification_id).exclude(state=State.SENT)
    is_news = unsent.update(
        state=State.SENT,
        provider_message_id=provider_message_id,
        sent_at=Now(),
        claim=None,
        lease_until=None,
        reason_code="",
        reason="",
    )
    Attempt.objects.filter(notification_id=notification_id, number=attempt).update(
        outcome=Outcome.ACCEPTED, provider_message_id=provider_message_id, finished_at=Now()
    )
    return bool(is_news)


def accept_many(accepted: Sequence[Acceptance]) -> None:
    """``accept`` for many in one transaction, without the answer."""
    with transaction.atomic():
        bulk.accept(
            [(item.provider_message_id, item.notification_id, item.attempt) for item in accepted]
        )


@by_one_thread
def let_go(held: Claim, error: SendError) -> None:
    """Not sent for a reason that is not the message's: pending again, at once."""
    _settle(held, Outcome.HELD, State.PENDING, error, next_at=Now())


@by_one_thread
def refusals(held: Claim) -> int:
    """How often SES has refused this notification for a reason that may heal."""
    return Attempt.objects.filter(notification=held.notification, outcome=Outcome.NOT_SENT).count()


@by_one_thread
def put_back(held: Claim, error: SendError, *, seconds: int) -> None:
    """Certainly not sent: pending again, not before ``seconds`` from now."""
    _settle(
        held, Outcome.NOT_SENT, State.PENDING, error, next_at=Now() + timedelta(seconds=seconds)
    )


@by_one_thread
def fail(held: Claim, error: SendError) -> None:
    """Certainly not sent, and never will be as it is."""
    _settle(held, Outcome.REFUSED, State.FAILED, error)


@by_one_thread
def doubt(held: Claim, error: SendError) -> None:
    """It may have been sent: only evidence or a person moves it on."""
    _settle(held, Outcome.IN_DOUBT, State.IN_DOUBT, error)


def fail_unclaimed(notification: Notification, *, code: str, reason: str) -> None:
    """It cannot be rendered: SES was not called."""
    Notification.objects.filter(pk=notification.pk, state__in=[State.PENDING, State.FAILED]).update(
        state=State.FAILED, reason_code=code[:100], reason=reason
    )


def doubt_abandoned() -> int:
    """Claims whose process died before it said what SES answered; returns how many."""
    return Notification.objects.filter(state=State.SENDING, lease_until__lt=Now()).update(
        state=State.IN_DOUBT,
        claim=None,
        lease_until=None,
        reason_code="Abandoned",
        reason="The process ended while it was sending; SES may have accepted the email.",
    )


def doubts_end() -> bool:
    """Whether doubts are resolved without a person: by what SES tells, or by sending again."""
    return bool(settings.SES_EVENTS_TOPIC) or settings.IN_DOUBT == "resend"


def mark_sent(notifications: QuerySet[Notification]) -> int:
    """A person knows that SES accepted these; returns how many were in doubt."""
    return notifications.filter(state=State.IN_DOUBT).update(
        state=State.SENT, sent_at=Now(), reason_code="", reason=""
    )


def cancel(notifications: QuerySet[Notification]) -> int:
    """A person wants none of these sent; returns how many were not yet. What is ``sending`` goes."""
    return notifications.filter(state__in=[*Notification.UNSENT, State.KEPT]).update(
        state=State.CANCELLED, reason_code="", reason=""
    )


# What is not sent, and may be after all.
REOPENED = (State.IN_DOUBT, State.FAILED, State.SUPPRESSED, State.KEPT)

# Why an email is cancelled whose event goes to another address now.
CORRECTED = "Corrected"


def correct(notification: Notification, *, context: Mapping[str, Any]) -> bool:
    """Its event was wrong and says this now; False if it is not to be changed any more.

    One that such a correction withdrew is owed again when another names its address again.
    """
    return bool(
        _correctable(notification).update(
            state=State.PENDING, context=context, next_at=Now(), reason_code="", reason=""
        )
    )


def withdraw(notification: Notification) -> bool:
    """Its event goes to another address now; False if it is not to be changed any more."""
    return bool(
        _correctable(notification).update(
            state=State.CANCELLED,
            reason_code=CORRECTED,
            reason="The data of its event was corrected, and it goes to another address.",
        )
    )


def reopen(notification: Notification) -> bool:
    """It is to be sent after all; False if it is in none of ``REOPENED`` any more."""
    return bool(
        Notification.objects.filter(pk=notification.pk, state__in=REOPENED).update(
            state=State.PENDING, next_at=Now()
        )
    )


def _correctable(notification: Notification) -> QuerySet[Notification]:
    withdrawn = Q(state=State.CANCELLED, reason_code=CORRECTED)
    return Notification.objects.filter(
        Q(state__in=[State.PENDING, State.FAILED]) | withdrawn, pk=notification.pk
    )


def longest_call_seconds() -> float:
    """What one call to SES may take, connecting included."""
    config: Any = settings.AWS_SES_CONFIG
    return float(config.connect_timeout + config.read_timeout)


def _lease() -> timedelta:
    return timedelta(seconds=settings.LEASE_SECONDS)


def _held(held: Claim) -> QuerySet[Notification]:
    return Notification.objects.filter(
        pk=held.notification.pk, claim=held.token, state=State.SENDING
    )


@by_one_thread
def _renewed(held: Claim) -> bool:
    return bool(
        _held(held)
        .filter(lease_until__gt=Now())
        .update(lease_until=Now() + _lease(), attempt_started_at=Now())
    )


@transaction.atomic
def _settle(
    held: Claim,
    outcome: Attempt.Outcome,
    state: Notification.State,
    error: SendError,
    **changes: object,
) -> None:
    _held(held).update(
        state=state,
        claim=None,
        lease_until=None,
        reason_code=error.code[:100],
        reason=str(error),
        **changes,
    )
    Attempt.objects.filter(notification=held.notification, number=held.attempt, outcome="").update(
        outcome=outcome, error_code=error.code[:100], error=str(error), finished_at=Now()
    )
