"""Every change of a notification's state: one conditional UPDATE each, on the database's clock.

Where rows of attempts change with it, they come second, and of many notifications each waits its turn by its key: two
processes that change the same ones must not wait for each other.

pending ──claim──> sending ──accept──> sent
   ^                  ├── let_go ────> pending    certainly not sent, for trouble of our own
   │                  ├── put_back ──> pending    certainly not sent, may heal
   │                  ├── fail ──────> failed     certainly not sent, cannot heal
   │                  ├── give_up ───> cancelled  certainly not sent, and only a test
   │                  └── doubt ─────> in_doubt   an ambiguous answer, or the process died
   ├── mark_sent ── in_doubt ──> sent                            by a person
   ├── suppress ── pending, failed ──> suppressed     its address must get no email
   ├── keep ── pending, failed ──> kept               bulk email is stopped
   ├── reopen ── in_doubt, failed, suppressed, kept
   ├── cancel ── pending, failed, kept ──> cancelled             by a person
   └── correct, withdraw ── pending, failed ──> pending, cancelled   a person corrected its event

Evidence of acceptance wins from any state, and nothing leaves ``sent``. What claims, suppresses or keeps is in
``emails.sending.claims``.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from emails.errors import SendError
from emails.models import Attempt, Notification
from emails.sending import statements
from emails.sending.claims import Claim
from queues.threads.writer import by_one_thread

State = Notification.State
Outcome = Attempt.Outcome


@dataclass(frozen=True)
class Acceptance:
    """What SES answered to an attempt."""

    notification_id: uuid.UUID
    attempt: int
    provider_message_id: str


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
        statements.accept(
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
def give_up(held: Claim, error: SendError) -> None:
    """Certainly not sent, and nobody waits for it any more: a test that SES refused."""
    _settle(held, Outcome.REFUSED, State.CANCELLED, error)


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


@transaction.atomic
def _settle(
    held: Claim,
    outcome: Attempt.Outcome,
    state: Notification.State,
    error: SendError,
    **changes: object,
) -> None:
    held.standing().update(
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
