"""Send what an event owes: one notification, one claim, one call to SES."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from emails import (
    breakers,
    default_sender,
    guard,
    journal,
    limiter,
    planning,
    rendering,
    states,
    transport,
    trials,
)
from emails.errors import (
    InDoubt,
    NotSent,
    Refused,
    RenderError,
    SendError,
    Throttled,
    Unavailable,
)
from emails.mime import Email
from emails.models import Notification
from emails.moving_average import MovingAverage
from emails.rendering import Rendered
from emails.suppression_models import Suppression
from queues import backoff, groups, outbox, sqs, writing
from queues.combining import Combined
from queues.errors import GiveBack, Hold, Reject, Retry
from queues.events import Event
from queues.failpoints import failpoint

logger = logging.getLogger(__name__)

State = Notification.State

# The message of such an email is done with.
_DONE = (State.SENT, State.CANCELLED, State.SUPPRESSED, State.KEPT)
# No more threads than that send at once.
MAX_ACCEPTANCES = MAX_BULK = 64

# From the call of SES until its acceptance is recorded. While SES fails, fast or slowly, nothing is learned.
accepted_seconds = MovingAverage()


def notify(event: Event, *, template: str, recipient: str, bulk: bool = False) -> None:
    """Send the email that this event owes to this recipient, once, however often this is called.

    ``bulk`` is what nobody waits for, a newsletter say: it is kept back while ``emails.guard`` has stopped bulk email.
    Returns when there is nothing more to do for the message: sent, in doubt, suppressed or kept. Raises Retry when it
    was certainly not sent and may heal, Reject when it was not and cannot, Hold when a FIFO group waits for a doubt.
    """
    owed = states.Owed(event, template, recipient, bulk)
    if planning.is_noted(owed) or (bulk and _bulk(owed)):
        return
    try:
        with _claims.coming():
            # Before the claim, so that a broken template never leaves a claim behind.
            email = rendering.render(template, event.data)
    except RenderError as exc:
        _fail_unrendered(owed, exc)
        return
    claimed = _claims(owed)
    if claimed is None:
        notification = _notification(owed)
        if not _is_done(notification):
            _wait_for_other(notification)
    else:
        held, slot = claimed
        notification = held.notification
        _wait_claimed(held, slot)
        if notification.context != event.data:
            email = _rendered_as_recorded(held)
        is_settled = _sent_or_settled(held, email)
        while not is_settled:
            # Not the message's fault: it stays in hand, and none of its receives is burnt.
            is_settled = _tried_again(notification, email)
    if notification.state == State.IN_DOUBT and _holds_its_group(event):
        raise Hold("SES may have accepted the email of an earlier event of the group")


def send_test(recipient: str) -> str:
    """A test email right now, past the queues; returns SES's message id, raises SendError."""
    if Suppression.objects.active().of([recipient]).exists():
        raise Refused(
            "The address is on the suppression list: lift it there first.", code="Suppressed"
        )
    return _send_ours(
        "test",
        subject="Test email from Notifier",
        body="This email shows that Notifier can send from this address through Amazon SES.",
        recipient=recipient,
    )


def send_canary() -> str:
    """An email to SES's mailbox simulator, so that SES has something to tell; returns its id, raises SendError."""
    recipient = "success@simulator.amazonses.com"
    return _send_ours("canary", subject="canary", body="canary", recipient=recipient)


def send_bounce() -> str:
    """The same, and the simulator lets it bounce."""
    recipient = "bounce@simulator.amazonses.com"
    return _send_ours("doctor", subject="doctor", body="doctor", recipient=recipient)


def _send_ours(kind: str, *, subject: str, body: str, recipient: str) -> str:
    """For a purpose of our own: it has no notification."""
    message = Email(
        subject=subject,
        body=body,
        from_email=default_sender.in_force(),
        to=[recipient],
        headers=_headers({"kind": kind}),
    )
    return transport.send(message)


@transaction.atomic
def mark_sent(notifications: QuerySet[Notification]) -> int:
    """A person says that these, in doubt, were sent; returns how many."""
    doubtful = notifications.filter(state=State.IN_DOUBT)
    event_ids = list(doubtful.values_list("event_id", flat=True))
    count = states.mark_sent(doubtful)
    groups.end_holds(event_ids)
    return count


@transaction.atomic
def send_again(notifications: QuerySet[Notification]) -> int:
    """These, in doubt, failed, suppressed or kept, are to be sent after all; returns how many.

    Their messages are gone from SQS, so each event is published again: from its own row in a FIFO group, from a new
    one elsewhere.
    """
    count = 0
    for notification in notifications.filter(state__in=states.REOPENED):
        if states.reopen(notification):
            outbox.record_again(_event(notification))
            count += 1
    return count


def _event(notification: Notification) -> Event:
    return Event(
        id=notification.event_id,
        source=notification.event_source,
        type=notification.event_type,
        subject=notification.subject,
        partitionkey=notification.partition_key,
        data=notification.context,
    )


def _claim_together(owed: Sequence[states.Owed]) -> list[tuple[states.Claim, limiter.Slot] | None]:
    """The turn of its slots is waited for before the claims: no lease must run while one waits for long."""
    # Known before a claim depends on it.
    default_sender.in_force()
    # Made with the slots in hand they would be late, and all be sent at once.
    transport.prepare()
    slots = limiter.wait_for_slots(len(owed))
    claims = writing.call(states.claim_owed, owed)
    # The first ones to what is sent; what is suppressed, or was sent before, takes none of the rate.
    taken = iter(slots)
    claimed = [(held, next(taken)) if held else None for held in claims]
    limiter.give_back(list(taken))
    return claimed


def _wait_claimed(held: states.Claim, slot: limiter.Slot) -> None:
    """A consumer that stops while it waits for another slot leaves no claim: that would be a doubt."""
    try:
        slot.wait()
    except GiveBack as exc:
        states.let_go(held, NotSent(str(exc), code="Stopped"))
        raise


def _accept_together(accepted: Sequence[states.Acceptance]) -> list[None]:
    writing.call(states.accept_many, accepted)
    return [None] * len(accepted)


def _keep_together(owed: Sequence[states.Owed]) -> list[bool]:
    """Before their slots are taken: what is kept must not slow what is sent."""
    return writing.call(guard.keep_back, owed)


_bulk = Combined(_keep_together, most=lambda: MAX_BULK, linger_seconds=0.004)
# Of the messages in hand: each email that SES has accepted waits so much longer until the database knows it.
_claims = Combined(_claim_together, most=limiter.slots_a_second, linger_seconds=0.004)
_acceptances = Combined(_accept_together, most=lambda: MAX_ACCEPTANCES, linger_seconds=0.008)


@writing.by_one_thread
def _notification(owed: states.Owed) -> Notification:
    event_id, template, recipient = owed.key
    return Notification.objects.get(event_id=event_id, template=template, recipient=recipient)


def _is_done(notification: Notification) -> bool:
    if notification.state not in _DONE:
        return False
    logger.info(
        "already %s event=%s notification=%s",
        notification.state,
        notification.event_id,
        notification.pk,
    )
    return True


def _fail_unrendered(owed: states.Owed, error: RenderError) -> None:
    """Raise Reject, unless it was sent when it still could be rendered."""
    if not _is_done(_failed_unrendered(owed, str(error))):
        raise Reject(str(error), code="RenderError") from error


@writing.by_one_thread
def _failed_unrendered(owed: states.Owed, reason: str) -> Notification:
    Notification.objects.bulk_create([owed.notification()], ignore_conflicts=True)
    notification = _notification(owed)
    states.fail_unclaimed(notification, code="RenderError", reason=reason)
    return notification


def _rendered_as_recorded(held: states.Claim) -> Rendered:
    """Another message said other things of the same event: what was recorded first counts."""
    try:
        return rendering.render(held.notification.template, held.notification.context)
    except RenderError as exc:
        states.fail(held, Refused(str(exc), code="RenderError"))
        raise Reject(str(exc), code="RenderError") from exc


def _wait_for_other(notification: Notification) -> None:
    """Somebody was faster, or died in the act: never send on a guess."""
    _learn_of_other(notification)
    now = timezone.now()
    if notification.state == State.SENDING and notification.lease_until:
        wait = (notification.lease_until - now).total_seconds()
        raise Retry(
            "another consumer is sending it", code="InOtherHands", seconds=max(1, int(wait) + 1)
        )
    if notification.state in (State.PENDING, State.FAILED):
        wait = (notification.next_at - now).total_seconds()
        raise Retry("it is not due yet", code="NotDue", seconds=max(1, int(wait) + 1))
    logger.info("is %s notification=%s", notification.state, notification.pk)


@writing.by_one_thread
def _learn_of_other(notification: Notification) -> None:
    states.doubt_abandoned()
    notification.refresh_from_db()


def _tried_again(notification: Notification, email: Rendered) -> bool:
    """Another claim and another call; False as below."""
    slot = limiter.wait_for_slot()
    held = states.claim(notification)
    if held is None:
        limiter.give_back([slot])
        _wait_for_other(notification)
        return True
    # What becomes of it is read from the row that the caller has.
    return _sent_or_settled(replace(held, notification=notification), email)


def _sent_or_settled(held: states.Claim, email: Rendered) -> bool:
    """One call to SES; False when it is to be tried again with the message in hand."""
    notification = held.notification
    failpoint("after_claim")
    message = _message(held, email)
    if not states.fence(held):
        raise Retry("the lease ended before SES was called", code="LeaseLost", seconds=1)
    began = time.monotonic()
    try:
        with _acceptances.coming():
            message_id = transport.send(message)
    except SendError as exc:
        return _settle(held, exc)
    failpoint("after_ses")
    try:
        _acceptances(states.Acceptance(notification.pk, held.attempt, message_id))
    except DatabaseError:
        journal.write(notification.pk, held.attempt, message_id)
        raise
    accepted_seconds.add(time.monotonic() - began)
    failpoint("after_accept")
    logger.info(
        "sent event=%s notification=%s ses=%s", notification.event_id, notification.pk, message_id
    )
    return True


def _holds_its_group(event: Event) -> bool:
    """A doubt that only a person ends holds a FIFO group where a dead letter does, too."""
    return sqs.queue(event.queue).is_fifo and (
        states.doubts_end() or settings.FIFO_POISON == "hold"
    )


def _settle(held: states.Claim, error: SendError) -> bool:
    """What an error of SES leads to: hold, Retry, Reject, or a doubt."""
    notification = held.notification
    if trials.ends_with(notification, error):
        states.give_up(held, error)
        return True
    match error:
        case Throttled():
            states.let_go(held, error)
            limiter.slow_down()
            return False
        case Unavailable():
            states.let_go(held, error)
            breakers.trip(error.breaker, code=error.code, reason=str(error))
            if breakers.hold(error.breaker):
                return False
            raise Retry(str(error), code=error.code) from error
        case NotSent():
            seconds = backoff.delay(states.refusals(held) + 1)
            states.put_back(held, error, seconds=seconds)
            raise Retry(str(error), code=error.code, seconds=seconds) from error
        case InDoubt():
            states.doubt(held, error)
            notification.state = State.IN_DOUBT
            logger.error(
                "in doubt event=%s notification=%s: %s",
                notification.event_id,
                notification.pk,
                error,
            )
            return True
        case _:
            states.fail(held, error)
            raise Reject(str(error), code=error.code) from error


def _message(held: states.Claim, email: Rendered) -> Email:
    message = Email(
        subject=email.subject,
        body=email.text,
        from_email=trials.sender_of(held.notification) or default_sender.in_force(),
        to=[held.notification.recipient],
        headers=_headers({"nid": str(held.notification.pk), "att": str(held.attempt)}),
    )
    message.attach_alternative(email.html, "text/html")
    return message


def _headers(tags: Mapping[str, str]) -> dict[str, str]:
    """SES reads and removes them: it publishes what becomes of the email with these tags."""
    headers = {"X-SES-MESSAGE-TAGS": ", ".join(f"{name}={value}" for name, value in tags.items())}
    if settings.SES_CONFIGURATION_SET:
        headers["X-SES-CONFIGURATION-SET"] = settings.SES_CONFIGURATION_SET
    return headers
