"""Tell what happened to the email about one subject, from the outbox to the inbox, in words for its reader.

It takes five queries, whatever happened. The customer reads ``message``; staff also read ``reason``, in SES's own
words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as noop

from emails.models import Attempt, Notification
from emails.reports import reasons, report_words
from emails.sending import states
from queues.answers import EmailStep
from queues.models import DeadLetter, HandlingFailure, OutboxEvent

State = Notification.State
Delivery = Notification.Delivery

# The customer's words for each step, and for the same step when it failed.
_LABELS = {
    "Recorded": (noop("Ordered"), noop("Ordered")),
    "Queued": (noop("Prepared"), noop("Not prepared")),
    "Sent": (noop("Sent"), noop("Not sent")),
    "Delivered": (noop("Delivered"), noop("Not delivered")),
    "Opened": (noop("Opened"), noop("Not opened")),
}
_SAFE = noop("Your order is confirmed.")
# It does not say why: whoever has the link need not learn who complained about what.
_UNWANTED = (noop("We can't email this address at the moment."), _SAFE)
_LATER = (_SAFE, noop("Its email will follow a little later."))
_ADDRESS_MAY_BE_WRONG = (Delivery.BOUNCED_SOFT, Delivery.BOUNCED_HARD, Delivery.SUPPRESSED)
# Enough for every redrive that a person will ever do.
_MAX_ROWS = 50


@dataclass(frozen=True)
class Verdict:
    """The current situation of the email. ``is_final`` is True if nothing more will happen by itself.

    ``needs_help``: the page tells the customer how to reach us. ``is_correctable``: or how to correct the address.
    """

    message: str
    reason: str = ""
    is_wrong: bool = False
    is_final: bool = False
    needs_help: bool = False
    is_correctable: bool = False


@dataclass(frozen=True)
class Timeline:
    """The steps in order, the verdict on them, and each call to SES; ``status`` is the verdict in one word.

    ``recipient`` is the address that the email goes to now; empty while only the order itself says it.
    """

    steps: Sequence[EmailStep]
    verdict: Verdict
    status: str
    attempts: Sequence[Attempt] = ()
    recipient: str = ""

    @property
    def labelled(self) -> list[tuple[str, EmailStep]]:
        """Each step with the customer's word for it: a step that failed is not called *Sent*."""
        return [(gettext(_LABELS[step.name][step.state == "wrong"]), step) for step in self.steps]


@dataclass(frozen=True)
class _Facts:
    """The rows about one subject that the timeline is made of."""

    outbox: Sequence[OutboxEvent]
    notification: Notification | None
    attempts: Sequence[Attempt]
    letter: DeadLetter | None
    failure: HandlingFailure | None


def of(subject: str) -> Timeline:
    """Return the timeline of the first event about this subject, and of its one notification."""
    return _told(_read(subject))


def of_new(recorded_at: datetime) -> Timeline:
    """Return the timeline of an event recorded in this transaction, at this time; it makes no query."""
    return _told(_Facts([OutboxEvent(recorded_at=recorded_at)], None, (), None, None))


def _told(facts: _Facts) -> Timeline:
    verdict = (
        _delivery_verdict(facts)
        or _notification_verdict(facts)
        or _queue_verdict(facts)
        or Verdict(_said(noop("We are preparing your confirmation email.")))
    )
    return Timeline(
        _steps(facts, verdict),
        verdict,
        _status(facts, verdict),
        facts.attempts,
        facts.notification.recipient if facts.notification else "",
    )


def _read(subject: str) -> _Facts:
    outbox = list(OutboxEvent.objects.filter(subject=subject).order_by("id")[:_MAX_ROWS])
    event_id = outbox[0].event_id if outbox else None
    notifications = Notification.objects.filter(subject=subject).order_by("id")
    if event_id:
        # Any producer may write any subject into a message, so our own outbox decides which event is meant.
        notifications = notifications.filter(event_id=event_id)
    notification = _newest(notifications[:_MAX_ROWS])
    if event_id is None and notification:
        event_id = notification.event_id
    if event_id is None:
        return _Facts(outbox, notification, (), None, None)
    letters = DeadLetter.objects.filter(event_id=event_id, state=DeadLetter.State.OPEN)
    return _Facts(
        outbox=[row for row in outbox if row.event_id == event_id],
        notification=notification,
        attempts=list(Attempt.objects.filter(notification__event_id=event_id)[:_MAX_ROWS]),
        letter=letters.first(),
        failure=HandlingFailure.objects.filter(event_id=event_id).last(),
    )


def _newest(notifications: Iterable[Notification]) -> Notification | None:
    """Choose the email that counts: the newest, unless a correction withdrew it in favour of another address."""
    rows = list(notifications)
    wanted = [row for row in rows if row.reason_code != states.CORRECTED]
    return next(reversed(wanted or rows), None)


def _delivery_verdict(facts: _Facts) -> Verdict | None:
    """Say what SES reported after it had accepted the email; None if it has not reported."""
    notification = facts.notification
    if notification is None or notification.delivery_status == Delivery.NONE:
        return None
    status = Delivery(notification.delivery_status)
    is_wrong = status not in (Delivery.DELIVERED, Delivery.DELAYED)
    is_correctable = status in _ADDRESS_MAY_BE_WRONG
    return Verdict(
        _delivery_message(status, notification),
        _delivery_reason(notification),
        is_wrong=is_wrong,
        is_final=status != Delivery.DELAYED,
        needs_help=is_wrong and not is_correctable,
        is_correctable=is_correctable,
    )


def _delivery_message(status: Notification.Delivery, notification: Notification) -> str:
    cause = reasons.sentence(notification.delivery_code)
    if not reasons.is_for_recipient(notification.delivery_code):
        cause = ""
    match status:
        case Delivery.DELIVERED:
            return _said(
                noop("Delivered. If you can't see it in your inbox, check your spam folder.")
            )
        case Delivery.COMPLAINED:
            return _said(noop("Delivered, then reported as spam."))
        case Delivery.DELAYED:
            return _said(
                noop("Sent, but not delivered yet."),
                cause or noop("Your mail provider is slow to accept it."),
                noop("Delivery is retried automatically."),
            )
        case Delivery.BOUNCED_SOFT:
            return _said(
                noop("Your mail provider did not accept the email."),
                cause or noop("The mailbox may be full or out of order."),
                _SAFE,
            )
        case Delivery.SUPPRESSED:
            return _said(*_UNWANTED)
        case Delivery.BOUNCED_HARD if "Suppress" in notification.delivery_code:
            return _said(*_UNWANTED)
        case Delivery.BOUNCED_HARD:
            return _said(
                noop("The email came back."), cause or noop("Your mail provider refused it."), _SAFE
            )
    return _said(noop("We couldn't send your confirmation email."), _SAFE)


def _said(*sentences: str) -> str:
    """Join sentences in the language of their reader: that of a customer's page, or English in the API."""
    return " ".join(map(gettext, sentences))


def _delivery_reason(notification: Notification) -> str:
    """Return the report's reason in SES's own words, for staff."""
    if not notification.delivery_code:
        return ""
    return report_words.said(notification.delivery_code, notification.delivery_reason)


def _notification_verdict(facts: _Facts) -> Verdict | None:
    """Say how far our own sending has come; None if the notification decides nothing yet."""
    notification = facts.notification
    if notification is None:
        return None
    reason = _reason(notification.reason_code, notification.reason)
    match notification.state:
        case State.SENT:
            return Verdict(
                _said(noop("Sent. It should reach your inbox any moment.")),
                is_final=not settings.SES_EVENTS_TOPIC,
            )
        case State.IN_DOUBT:
            return Verdict(_said(noop("We are making sure that your email went out.")), reason)
        case State.SUPPRESSED:
            return Verdict(
                _said(*_UNWANTED), reason, is_wrong=True, is_final=True, is_correctable=True
            )
        case State.KEPT:
            return Verdict(_said(*_LATER), reason)
        case State.CANCELLED:
            return Verdict(
                _said(noop("We cancelled this email."), _SAFE),
                reason,
                is_wrong=True,
                is_final=True,
                needs_help=True,
            )
        case State.FAILED:
            return _given_up(facts, reason)
    return None


def _queue_verdict(facts: _Facts) -> Verdict | None:
    """Say what keeps an email that SES has not accepted: a dead letter, the queue, or a failed receive."""
    if facts.letter:
        return _given_up(facts, _reason(facts.letter.code, facts.letter.reason))
    if not facts.outbox:
        return None
    last = facts.outbox[-1]
    if last.state == OutboxEvent.State.REFUSED:
        return _given_up(facts, last.error)
    if last.published_at is None:
        return Verdict(_said(*_LATER), last.error) if last.error else None
    # A redrive starts from the beginning, so failures before it no longer count.
    if facts.failure and last.published_at < facts.failure.failed_at:
        reason = _reason(facts.failure.code, facts.failure.reason)
        again = _said(noop("We're trying again."))
        return Verdict(f"{_not_sent(facts)} {again}", reason, is_wrong=True)
    return None


def _status(facts: _Facts, verdict: Verdict) -> str:
    """Return SES's status if it reported, our own if sending is settled, else how far the event has come."""
    notification = facts.notification
    if notification and notification.delivery_status != Delivery.NONE:
        return notification.delivery_status
    if notification and notification.state not in (State.PENDING, State.SENDING):
        return notification.state
    if verdict.is_wrong:
        is_refused = facts.outbox and facts.outbox[-1].state == OutboxEvent.State.REFUSED
        return "failed" if facts.letter or is_refused else "retrying"
    is_published = any(row.published_at for row in facts.outbox)
    return "queued" if notification or is_published else "recorded"


def _given_up(facts: _Facts, reason: str) -> Verdict:
    is_correctable = _is_correctable(facts)
    return Verdict(
        _not_sent(facts),
        reason,
        is_wrong=True,
        needs_help=not is_correctable,
        is_correctable=is_correctable,
    )


def _is_correctable(facts: _Facts) -> bool:
    """Return True if SES said no to the address and no staff is at work on it; the form looks more closely."""
    is_parked = facts.letter is not None and facts.letter.is_parked
    return bool(
        not is_parked
        and facts.notification
        and facts.notification.state in Notification.UNSENT
        and facts.attempts
        and facts.attempts[-1].outcome in (Attempt.Outcome.NOT_SENT, Attempt.Outcome.REFUSED)
    )


def _not_sent(facts: _Facts) -> str:
    """Build the message for an unsent email; it always says that the order itself is safe."""
    if facts.notification is None:
        return _said(noop("We couldn't email your confirmation yet."), _SAFE)
    told = gettext("We couldn't email your confirmation to %(address)s yet.")
    return f"{told % {'address': facts.notification.recipient}} {_said(_SAFE)}"


def _reason(code: str, text: str) -> str:
    return f"{code}: {text}" if code and text else code or text


def _steps(facts: _Facts, verdict: Verdict) -> list[EmailStep]:
    """Build the steps; the first one that is not done is ``now``, or ``wrong``."""
    times = _times(facts)
    done = max((index for index, (_, at) in enumerate(times) if at), default=-1)
    steps = []
    for index, (name, at) in enumerate(times):
        if index <= done:
            steps.append(EmailStep(name, "done", at))
        elif index == done + 1:
            steps.append(EmailStep(name, "wrong" if verdict.is_wrong else "now"))
        else:
            steps.append(EmailStep(name, "todo"))
    return steps


def _times(facts: _Facts) -> list[tuple[str, datetime | None]]:
    """List each step and when it was done; Delivered is known only if SES reports it to us."""
    notification = facts.notification
    published = [row.published_at for row in facts.outbox if row.published_at]
    times = [
        ("Recorded", facts.outbox[0].recorded_at if facts.outbox else None),
        ("Queued", published[0] if published else None),
        ("Sent", notification.sent_at if notification else None),
    ]
    delivered_at = _delivered_at(notification) if notification else None
    if settings.SES_EVENTS_TOPIC or delivered_at:
        times.append(("Delivered", delivered_at))
    if notification and notification.opened_at:
        times.append(("Opened", notification.opened_at))
    return times


def _delivered_at(notification: Notification) -> datetime | None:
    """Return when the email was delivered; who complains of an email has it, even if no report said so before."""
    if notification.delivery_status == Delivery.COMPLAINED:
        return notification.delivered_at or notification.delivery_at
    return notification.delivered_at
