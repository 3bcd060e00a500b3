"""Send what an event owes: one notification, one claim, one call to SES."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from emails import (
    breakers,
    claims,
    composing,
    journal,
    limiter,
    planning,
    shared_writes,
    states,
    trials,
)
from emails.claims import Claim
from emails.errors import (
    InDoubt,
    NotSent,
    Refused,
    RenderError,
    SendError,
    Throttled,
    Unavailable,
)
from emails.models import Notification
from emails.moving_average import MovingAverage
from emails.owed import Owed
from emails.rendering import templates
from emails.rendering.templates import Rendered
from emails.ses import transport
from queues import backoff
from queues.aws import sqs
from queues.errors import GiveBack, Hold, Reject, Retry
from queues.events.envelope import Event
from queues.failpoints import failpoint
from queues.threads import writer

logger = logging.getLogger(__name__)

State = Notification.State

# The message of such an email is done with.
_DONE = (State.SENT, State.CANCELLED, State.SUPPRESSED, State.KEPT)

# From the call of SES until its acceptance is recorded. While SES fails, fast or slowly, nothing is learned.
accepted_seconds = MovingAverage()


def notify(event: Event, *, template: str, recipient: str, bulk: bool = False) -> None:
    """Send the email that this event owes to this recipient, once, however often this is called.

    ``bulk`` is what nobody waits for, a newsletter say: it is kept back while ``emails.guard`` has stopped bulk email.
    Returns when there is nothing more to do for the message: sent, in doubt, suppressed or kept. Raises Retry when it
    was certainly not sent and may heal, Reject when it was not and cannot, Hold when a FIFO group waits for a doubt.
    """
    owed = Owed(event, template, recipient, bulk)
    if planning.is_noted(owed) or (bulk and shared_writes.keep_back(owed)):
        return
    try:
        with shared_writes.claim.coming():
            # Before the claim, so that a broken template never leaves a claim behind.
            email = templates.render(template, event.data)
    except RenderError as exc:
        _fail_unrendered(owed, exc)
        return
    claimed = shared_writes.claim(owed)
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


def _wait_claimed(held: Claim, slot: limiter.Slot) -> None:
    """A consumer that stops while it waits for another slot leaves no claim: that would be a doubt."""
    try:
        slot.wait()
    except GiveBack as exc:
        states.let_go(held, NotSent(str(exc), code="Stopped"))
        raise


@writer.by_one_thread
def _notification(owed: Owed) -> Notification:
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


def _fail_unrendered(owed: Owed, error: RenderError) -> None:
    """Raise Reject, unless it was sent when it still could be rendered."""
    if not _is_done(_failed_unrendered(owed, str(error))):
        raise Reject(str(error), code="RenderError") from error


@writer.by_one_thread
def _failed_unrendered(owed: Owed, reason: str) -> Notification:
    Notification.objects.bulk_create([owed.notification()], ignore_conflicts=True)
    notification = _notification(owed)
    states.fail_unclaimed(notification, code="RenderError", reason=reason)
    return notification


def _rendered_as_recorded(held: Claim) -> Rendered:
    """Another message said other things of the same event: what was recorded first counts."""
    try:
        return templates.render(held.notification.template, held.notification.context)
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


@writer.by_one_thread
def _learn_of_other(notification: Notification) -> None:
    states.doubt_abandoned()
    notification.refresh_from_db()


def _tried_again(notification: Notification, email: Rendered) -> bool:
    """Another claim and another call; False as below."""
    slot = limiter.wait_for_slot()
    held = claims.claim(notification)
    if held is None:
        limiter.give_back([slot])
        _wait_for_other(notification)
        return True
    # What becomes of it is read from the row that the caller has.
    return _sent_or_settled(replace(held, notification=notification), email)


def _sent_or_settled(held: Claim, email: Rendered) -> bool:
    """One call to SES; False when it is to be tried again with the message in hand."""
    notification = held.notification
    failpoint("after_claim")
    message = composing.message(held, email)
    if not claims.fence(held):
        raise Retry("the lease ended before SES was called", code="LeaseLost", seconds=1)
    began = time.monotonic()
    try:
        with shared_writes.accept.coming():
            message_id = transport.send(message)
    except SendError as exc:
        return _settle(held, exc)
    failpoint("after_ses")
    try:
        shared_writes.accept(states.Acceptance(notification.pk, held.attempt, message_id))
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


def _settle(held: Claim, error: SendError) -> bool:
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
