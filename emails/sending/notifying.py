"""Send the email that an event leads to: one notification, one claim, one call to SES."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import Error, transaction
from django.utils import timezone

from emails.errors import InDoubt, NotSent, Refused, RenderError, SendError, Throttled, Unavailable
from emails.models import Canary, Notification
from emails.rendering.templates import Rendered
from emails.sending import (
    breakers,
    claims,
    composing,
    guard,
    journal,
    limiter,
    planning,
    states,
    trials,
)
from emails.sending.claims import Claim
from emails.sending.planning import Owed
from emails.sending.workload import accepted_seconds
from emails.ses import default_sender, transport
from emails.versions import canary, in_force, places
from queues import backoff
from queues.aws import sqs
from queues.consumer import handling
from queues.errors import GiveBack, Hold, Reject, Retry
from queues.events.envelope import Event
from queues.failpoints import failpoint
from queues.models.sql import in_one_message
from queues.threads import writer
from queues.threads.group_commit import GroupCommit

logger = logging.getLogger(__name__)

State = Notification.State

# The message of an email in one of these states needs no more work.
_DONE = (State.SENT, State.CANCELLED, State.SUPPRESSED, State.KEPT)


def notify(event: Event, *, template: str, recipient: str, bulk: bool = False) -> None:
    """Send the email that this event owes to this recipient, once, however often this is called.

    ``bulk`` marks an email that nobody waits for, such as a newsletter: it is kept back while ``emails.sending.guard``
    has stopped bulk email. Returns when the message needs no more work: the email is sent, in doubt, suppressed or
    kept. Raises Retry if it was certainly not sent and the cause may heal, Reject if the cause cannot heal, and Hold if
    a FIFO group must wait for a doubt.
    """
    owed = Owed(event, template, recipient, bulk)
    if planning.is_noted(owed) or (bulk and keep_back(owed)):
        return
    try:
        with claim.coming():
            # We render before we claim, so that a broken template never leaves a claim behind.
            email = in_force.render_to_send(template, event.data)
    except RenderError as exc:
        _fail_unrendered(owed, exc)
        return
    claimed = claim(replace(owed, edition=email.edition))
    if claimed is None:
        _leave_to_other(owed)
    else:
        finish(owed, email, *claimed)


def finish(owed: Owed, email: Rendered, held: Claim, slot: limiter.Slot) -> None:
    """Send a claimed email, as ``notify`` does after its claim; raises what ``notify`` raises."""
    _wait_claimed(held, slot)
    if not fits(held, owed.event, email):
        held, email = _rendered_as_recorded(held)
    try_on(owed, email, held, lambda: _sent_or_settled(held, email))


def try_on(owed: Owed, email: Rendered, held: Claim, first: Callable[[], bool]) -> None:
    """Try to send until that is settled; ``first`` is the first try, or what is left of it."""
    is_settled = first()
    while not is_settled:
        # The message is not to blame: it stays in flight and uses up no receives.
        is_settled = _tried_again(held.notification, email)
    _hold_group(owed.event, held.notification)


def _leave_to_other(owed: Owed) -> None:
    notification = _notification(owed)
    if not _is_done(notification):
        _wait_for_other(notification)
    _hold_group(owed.event, notification)


def _hold_group(event: Event, notification: Notification) -> None:
    if notification.state == State.IN_DOUBT and _holds_its_group(event):
        raise Hold("SES may have accepted the email of an earlier event of the group")


def _wait_claimed(held: Claim, slot: limiter.Slot) -> None:
    """Wait for the slot; if the consumer stops meanwhile, let go of the claim, which would otherwise end in doubt."""
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
    """Raise Reject, unless the email was already sent when its template could still be rendered."""
    if not _is_done(_failed_unrendered(owed, str(error))):
        raise Reject(str(error), code="RenderError") from error


@writer.by_one_thread
def _failed_unrendered(owed: Owed, reason: str) -> Notification:
    Notification.objects.bulk_create([owed.notification()], ignore_conflicts=True)
    notification = _notification(owed)
    states.fail_unclaimed(notification, code="RenderError", reason=reason)
    return notification


def fits(held: Claim, event: Event, email: Rendered) -> bool:
    """Return True if the email is what the claim says: no other data for the same event, no other edition."""
    row = held.notification
    return row.edition_id == email.edition and row.context == event.data


def _rendered_as_recorded(held: Claim) -> tuple[Claim, Rendered]:
    """Render the data that was recorded first, with the edition that the claim wrote down.

    The version of a canary may have gone back meanwhile, or does not render: then the one in force is written down.
    """
    try:
        if held.canary is not None:
            if email := _rendered_as_canary(held, held.canary):
                return held, email
            edition = in_force.edition(held.notification.template)
            held = claims.change_edition(held, edition)
        return held, in_force.render_recorded(held.notification)
    except RenderError as exc:
        states.fail(held, Refused(str(exc), code="RenderError"))
        raise Reject(str(exc), code="RenderError") from exc


def _rendered_as_canary(held: Claim, canary: int) -> Rendered | None:
    """Render with the canary's version; None if the canary is over, as it is when its version does not render."""
    if not places.is_open(canary):
        in_force.forget()
        return None
    try:
        return in_force.render_recorded(held.notification)
    except RenderError as exc:
        _go_back(canary, f"It cannot be rendered: {exc}", held)
        return None


def _go_back(canary: int, note: str, held: Claim, error: SendError | None = None) -> None:
    """End the canary because of this email; with SES's error the email becomes pending in the same transaction."""
    writer.call(_save_gone_back, canary, note, held, error)
    in_force.forget()
    failpoint("canary_went_back")


@transaction.atomic
def _save_gone_back(canary: int, note: str, held: Claim, error: SendError | None) -> None:
    event_id = held.notification.event_id
    places.end(canary, Canary.State.WENT_BACK, note=note, event_id=event_id)
    if error is not None:
        states.blame_version(held, error)


def _wait_for_other(notification: Notification) -> None:
    """Raise Retry if another consumer may still send this email, or it is not due: never send on a guess."""
    _learn_of_other(notification)
    now = timezone.now()
    if notification.state == State.SENDING and notification.lease_until:
        wait = (notification.lease_until - now).total_seconds()
        raise Retry(
            "another consumer is sending this email",
            code="InOtherHands",
            seconds=max(1, int(wait) + 1),
        )
    if notification.state in (State.PENDING, State.FAILED):
        wait = (notification.next_at - now).total_seconds()
        raise Retry("the email is not due yet", code="NotDue", seconds=max(1, int(wait) + 1))
    logger.info("is %s notification=%s", notification.state, notification.pk)


@writer.by_one_thread
def _learn_of_other(notification: Notification) -> None:
    states.doubt_abandoned()
    notification.refresh_from_db()


def _tried_again(notification: Notification, email: Rendered) -> bool:
    """Claim the email again and call SES again; False if the caller should try once more."""
    slot = limiter.wait_for_slot()
    template = notification.template
    held = claims.claim(
        notification, edition=in_force.edition(template), offer=places.offer(template)
    )
    if held is None:
        limiter.give_back([slot])
        _wait_for_other(notification)
        return True
    if held.notification.edition_id != email.edition:
        held, email = _rendered_as_recorded(held)
    # The caller reads the outcome from its own notification object.
    return _sent_or_settled(replace(held, notification=notification), email)


def _sent_or_settled(held: Claim, email: Rendered) -> bool:
    """Call SES once and save the outcome; False if the caller should try again and keep the message in flight."""
    notification = held.notification
    failpoint("after_claim")
    message = composing.message(held, email)
    if not claims.fence(held):
        raise Retry("the lease ended before SES was called", code="LeaseLost", seconds=1)
    began = time.monotonic()
    try:
        with accept.coming():
            message_id = transport.send(message)
    except SendError as exc:
        return settle(held, exc)()
    failpoint("after_ses")
    acceptance = states.Acceptance(notification.pk, held.attempt, message_id)
    with journal.unsaved([acceptance]):
        accept(Accepted(acceptance))
    accepted_seconds.add(time.monotonic() - began)
    failpoint("after_accept")
    limiter.speed_up()
    log_sent(notification, message_id)
    if held.canary is not None:
        _look_at_canary(held.canary)
    return True


def _look_at_canary(number: int) -> None:
    """Begin the canary's next stage if this email was the last of one; a consumer looks again within seconds."""
    try:
        canary.look(number)
    except Error as exc:
        logger.warning("canary not looked at: %s", type(exc).__name__)


def log_sent(notification: Notification, message_id: str) -> None:
    """Write the line of an email that SES has accepted."""
    logger.info(
        "sent event=%s notification=%s ses=%s", notification.event_id, notification.pk, message_id
    )


def _holds_its_group(event: Event) -> bool:
    """Return True if the group of this event must wait for the doubt.

    A FIFO group always waits if the doubt ends without a person. If only a person can end it, the group waits where
    it would wait for a dead letter too.
    """
    return sqs.queue(event.queue).is_fifo and (
        states.doubts_end() or settings.FIFO_POISON == "hold"
    )


def settle(held: Claim, error: SendError) -> Callable[[], bool]:
    """Save what an error of SES means for the email; raises Retry or Reject, or returns what is left to do.

    That may wait. It returns True if the message needs no more work, False to try again in place, or raises Retry.
    """
    notification = held.notification
    if trials.ends_with(notification, error):
        states.give_up(held, error)
        return lambda: True
    match error:
        case Throttled():
            states.let_go(held, error)
            limiter.slow_down()
            return lambda: False
        case Unavailable():
            states.let_go(held, error)
            breakers.trip(error.breaker, code=error.code, reason=str(error))
            return partial(_hold, error)
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
            return lambda: True
        case _ if held.canary is not None:
            # SES certainly did not accept it, so a second attempt with the version in force sends nothing twice.
            _go_back(held.canary, f"SES refused an email: {error}", held, error)
            return lambda: False
        case _:
            states.fail(held, error)
            raise Reject(str(error), code=error.code) from error


def _hold(error: Unavailable) -> bool:
    """Wait for the breaker to close, then return False: try again; raises Retry if that takes too long."""
    if not breakers.hold(error.breaker):
        raise Retry(str(error), code=error.code) from error
    return False


@dataclass(frozen=True)
class Accepted:
    """An email that SES has accepted, and the event that needs no more work then, if that is known already."""

    acceptance: states.Acceptance
    event_id: UUID | None = None


# Sending threads share one transaction for each of these writes: claims with their slots, acceptances, and kept emails.
# At most this many threads send at once.
MAX_TOGETHER = 64


def _claim_together(owed: Sequence[Owed]) -> list[tuple[claims.Claim, limiter.Slot] | None]:
    """Wait for the slots, then claim the emails: no lease must run out during a long wait for slots."""
    # The senders are read now, so that no claim waits for them.
    for template in {email.template for email in owed}:
        default_sender.of(template)
    # The client is made before the slots are taken: otherwise the slots would be late, and all emails leave at once.
    transport.prepare()
    slots = limiter.wait_for_slots(len(owed))
    try:
        # Slots may have been waited for long; what was rolled back meanwhile is not sent.
        held = writer.call(claims.claim_owed, [_with_edition_in_force(one) for one in owed])
    except BaseException:
        limiter.give_back(slots)
        raise
    # Claimed emails get the first slots. Emails that are suppressed or already sent use no slot of the rate.
    taken = iter(slots)
    claimed = [(one, next(taken)) if one else None for one in held]
    limiter.give_back(list(taken))
    return claimed


def _with_edition_in_force(owed: Owed) -> Owed:
    edition, offer = in_force.edition(owed.template), places.offer(owed.template)
    if owed.edition == edition and offer is None:
        return owed
    return replace(owed, edition=edition, offer=offer)


def _accept_together(accepted: Sequence[Accepted]) -> list[None]:
    writer.call(_save_accepted, accepted)
    return [None] * len(accepted)


def _save_accepted(accepted: Sequence[Accepted]) -> None:
    with in_one_message():
        states.accept_many([each.acceptance for each in accepted])
        if event_ids := [each.event_id for each in accepted if each.event_id]:
            handling.mark_handled(event_ids)


def _keep_together(owed: Sequence[Owed]) -> list[bool]:
    """Keep bulk emails back before they take slots: a kept email must not slow down the others."""
    return writer.call(guard.keep_back, owed)


keep_back = GroupCommit(_keep_together, most=lambda: MAX_TOGETHER, linger_seconds=0.004)
claim = GroupCommit(_claim_together, most=limiter.slots_a_second, linger_seconds=0.004)
# The linger delays the moment when the database knows that SES has accepted an email.
accept = GroupCommit(_accept_together, most=lambda: MAX_TOGETHER, linger_seconds=0.008)
