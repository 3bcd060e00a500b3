"""Change the state of notifications: each change is one conditional UPDATE, on the database's clock.

Attempts are changed after their notification, and many notifications are changed in the order of their keys: two
processes that change the same rows must not wait for each other.

pending ──claim──> sending ──accept──> sent
   ^                  ├── let_go ────> pending    certainly not sent, for a problem of our own
   │                  ├── put_back ──> pending    certainly not sent, the cause may heal
   │                  ├── blame_version ─> pending  certainly not sent, as the text of a canary was refused
   │                  ├── fail ──────> failed     certainly not sent, the cause cannot heal
   │                  ├── give_up ───> cancelled  certainly not sent, and it was only a test
   │                  └── doubt ─────> in_doubt   an ambiguous answer, or the process died
   ├── mark_sent ── in_doubt ──> sent                            by a person
   ├── suppress ── pending, failed ──> suppressed     its address must get no email
   ├── keep ── pending, failed ──> kept               bulk email is stopped
   ├── reopen ── in_doubt, failed, suppressed, kept
   ├── cancel ── pending, failed, kept ──> cancelled             by a person
   ├── correct ── pending, failed ──> pending         a person corrected its event
   └── withdraw ── pending, failed, suppressed ──> cancelled   its event now goes to another address

Evidence of acceptance wins from any state, and nothing leaves ``sent``. ``emails.sending.claims`` claims, suppresses
and keeps notifications.
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
    """SES's acceptance of one attempt, with its message id."""

    notification_id: uuid.UUID
    attempt: int
    provider_message_id: str


@transaction.atomic
def accept(notification_id: uuid.UUID, attempt: int, provider_message_id: str) -> bool:
    """Save that SES accepted this attempt, whoever reports it; True if the notification was not ``sent`` before."""
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
    accepted = {
        "outcome": Outcome.ACCEPTED,
        "provider_message_id": provider_message_id,
        "finished_at": Now(),
    }
    attempts = Attempt.objects.filter(notification_id=notification_id)
    if not attempts.filter(number=attempt).update(**accepted):
        _accept_forgotten(notification_id, attempt, accepted)
    return bool(is_news)


def _accept_forgotten(
    notification_id: uuid.UUID, attempt: int, accepted: Mapping[str, Any]
) -> None:
    """Make the row of an attempt again that SES said it held back and accepted all the same: each acceptance counts."""
    made = Notification.objects.filter(pk=notification_id, attempts__gte=attempt)
    if attempt >= 1 and made.exists():
        Attempt.objects.create(
            notification_id=notification_id, number=attempt, started_at=Now(), **accepted
        )


def accept_many(accepted: Sequence[Acceptance]) -> None:
    """Save many acceptances, all or none; unlike ``accept`` it does not say which were new."""
    statements.accept(
        [(item.provider_message_id, item.notification_id, item.attempt) for item in accepted]
    )


@by_one_thread
@transaction.atomic
def let_go(held: Claim, error: SendError) -> None:
    """Make the email pending again at once: it was not sent, and its message is not to blame.

    Of the attempts that were held back for the same reason only the last keeps its row: there may be one each second.
    """
    _settle(held, Outcome.HELD, State.PENDING, error, next_at=Now())
    Attempt.objects.filter(
        notification=held.notification,
        number__lt=held.attempt,
        outcome=Outcome.HELD,
        error_code=error.code[:100],
    ).delete()


@by_one_thread
def refusals(held: Claim) -> int:
    """Count how often SES has refused this notification for a reason that may heal."""
    return Attempt.objects.filter(notification=held.notification, outcome=Outcome.NOT_SENT).count()


@by_one_thread
def put_back(held: Claim, error: SendError, *, seconds: int) -> None:
    """Make the email pending again, due in ``seconds``: it was certainly not sent."""
    _settle(
        held, Outcome.NOT_SENT, State.PENDING, error, next_at=Now() + timedelta(seconds=seconds)
    )


@by_one_thread
def fail(held: Claim, error: SendError) -> None:
    """Mark the email as failed: it was certainly not sent, and SES will never accept it as it is."""
    _settle(held, Outcome.REFUSED, State.FAILED, error)


def blame_version(held: Claim, error: SendError) -> None:
    """Make an email pending again at once: SES refused the text of a canary, and the email gets another."""
    _settle(held, Outcome.REFUSED, State.PENDING, error, next_at=Now())


@by_one_thread
def give_up(held: Claim, error: SendError) -> None:
    """Cancel a test that SES refused: it was certainly not sent, and nobody waits for it any more."""
    _settle(held, Outcome.REFUSED, State.CANCELLED, error)


@by_one_thread
def doubt(held: Claim, error: SendError) -> None:
    """Put the email in doubt: it may have been sent, and only evidence or a person can move it on."""
    _settle(held, Outcome.IN_DOUBT, State.IN_DOUBT, error)


def fail_unclaimed(notification: Notification, *, code: str, reason: str) -> None:
    """Mark an email as failed that cannot be rendered; nobody called SES for it."""
    Notification.objects.filter(pk=notification.pk, state__in=[State.PENDING, State.FAILED]).update(
        state=State.FAILED, reason_code=code[:100], reason=reason
    )


def doubt_abandoned() -> int:
    """Put emails in doubt whose process died before it saved SES's answer; returns how many."""
    return Notification.objects.filter(state=State.SENDING, lease_until__lt=Now()).update(
        state=State.IN_DOUBT,
        claim=None,
        lease_until=None,
        reason_code="Abandoned",
        reason="The process ended while it was sending; SES may have accepted the email.",
    )


def doubts_end() -> bool:
    """Return True if doubts end without a person: by SES's events, or by sending again."""
    return bool(settings.SES_EVENTS_TOPIC) or settings.IN_DOUBT == "resend"


def mark_sent(notifications: QuerySet[Notification]) -> int:
    """Mark emails in doubt as sent, because a person knows that SES accepted them; returns how many."""
    return notifications.filter(state=State.IN_DOUBT).update(
        state=State.SENT, sent_at=Now(), reason_code="", reason=""
    )


def cancel(notifications: QuerySet[Notification]) -> int:
    """Cancel those of these emails that were not sent yet; returns how many. Emails in ``sending`` still go out."""
    return notifications.filter(state__in=[*Notification.UNSENT, State.KEPT]).update(
        state=State.CANCELLED, reason_code="", reason=""
    )


# Notifications in these states were not sent, or may not have been, and staff may send them after all.
REOPENED = (State.IN_DOUBT, State.FAILED, State.SUPPRESSED, State.KEPT)

# The reason code of an email that was cancelled because its corrected event now goes to another address.
CORRECTED = "Corrected"
CORRECTED_REASON = "The data of its event was corrected, and it goes to another address."


def correct(notification: Notification, *, context: Mapping[str, Any]) -> bool:
    """Give an unsent email the corrected data of its event; False if it can no longer be changed.

    An email that an earlier correction withdrew becomes pending again when a later correction names its address again.
    """
    return bool(
        _correctable(notification).update(
            state=State.PENDING, context=context, next_at=Now(), reason_code="", reason=""
        )
    )


def withdraw(notification: Notification) -> bool:
    """Cancel an email because its event now goes to another address; False if it can no longer be changed."""
    return bool(
        _correctable(notification, State.SUPPRESSED).update(
            state=State.CANCELLED, reason_code=CORRECTED, reason=CORRECTED_REASON
        )
    )


def reopen(notification: Notification) -> bool:
    """Make an email pending again, to be sent after all; False if its state is no longer one of ``REOPENED``."""
    return bool(
        Notification.objects.filter(pk=notification.pk, state__in=REOPENED).update(
            state=State.PENDING, next_at=Now()
        )
    )


def _correctable(notification: Notification, *others: Notification.State) -> QuerySet[Notification]:
    withdrawn = Q(state=State.CANCELLED, reason_code=CORRECTED)
    return Notification.objects.filter(
        Q(state__in=[State.PENDING, State.FAILED, *others]) | withdrawn, pk=notification.pk
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
