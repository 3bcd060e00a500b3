"""List all that happened to one event, in order of time, for staff: from the saved order to the mailbox.

The number of queries is bounded, whatever happened. ``notifier.journey.email_timeline`` tells the customer the same in
four steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet

from emails.models import Attempt, DeliveryEvent, Notification
from emails.reports import report_words
from notifier.journey.subjects import Subject, of_subject
from queues.console import change_url
from queues.models import DeadLetter, HandlingFailure, OutboxEvent

# The most rows of each kind: more than an event has after ten redrives that all failed.
MAX_ROWS = 100


@dataclass(frozen=True)
class TimelineEntry:
    """One thing that happened.

    ``detail`` may quote SES, SQS or staff; ``who`` is a user name, ``address`` the address of a page.
    """

    at: datetime
    title: str
    detail: str = ""
    who: str = ""
    colour: str = ""
    address: str = ""
    # What a mail server said; it may contain personal data.
    quote: str = ""
    # The time since the step before.
    gap: timedelta | None = None


@dataclass(frozen=True)
class Journey:
    """One event, its rows, and what happened to them."""

    event_id: UUID
    subject: str
    type: str
    steps: Sequence[TimelineEntry]
    outbox: Sequence[OutboxEvent]
    notifications: Sequence[Notification]
    letters: Sequence[DeadLetter]
    receives: int
    failures: int
    # True if nobody counted them all: only our own outbox notes a receive that went well.
    is_least: bool = False

    @property
    def delivered_after(self) -> timedelta | None:
        """The time from SES's acceptance to the first mailbox; None while that is not known."""
        return next((row.time_to_mailbox for row in self.notifications if row.delivered_at), None)

    @property
    def accepted_after(self) -> timedelta | None:
        """The time from the first step until SES accepted the first email; None if it accepted none."""
        times = [row.sent_at for row in self.notifications if row.sent_at]
        return min(times) - self.steps[0].at if times else None


_ACCEPTED = "Accepted by SES"


def of(event_id: UUID) -> Journey | None:
    """Return everything known about this event; None if nothing is known."""
    outbox = list(OutboxEvent.objects.filter(event_id=event_id).order_by("id")[:MAX_ROWS])
    notifications = list(Notification.objects.filter(event_id=event_id).order_by("id")[:MAX_ROWS])
    letters = list(DeadLetter.objects.filter(event_id=event_id).order_by("id")[:MAX_ROWS])
    failures = list(HandlingFailure.objects.filter(event_id=event_id)[:MAX_ROWS])
    rows: list[Any] = [*outbox, *notifications, *letters]
    if not (rows or failures):
        return None
    subject = rows[0].subject if rows else ""
    attempts = list(
        Attempt.objects.filter(notification__event_id=event_id).order_by("pk")[:MAX_ROWS]
    )
    log = list(_log(rows))
    is_handled = any(row.state == row.State.HANDLED for row in outbox)
    is_accepted = any(row.sent_at for row in notifications)
    steps = [
        *(_saved(of_subject(subject)) if outbox else ()),
        *_recorded(outbox),
        *_brought(notifications),
        *_received(failures, attempts),
        *_made(notifications, attempts),
        *_attempted(attempts),
        *_reported(_reports(notifications, attempts)),
        *_died(letters, failures, log),
        *_done_by_hand(log),
        *_handled(outbox, notifications, attempts),
    ]
    return Journey(
        event_id=event_id,
        subject=subject,
        type=_type(rows),
        # Steps of the same moment stay in this order.
        steps=_with_gaps(sorted(steps, key=lambda step: step.at)),
        outbox=outbox,
        notifications=notifications,
        letters=letters,
        receives=max(len(failures) + is_handled, int(is_accepted)),
        failures=len(failures),
        is_least=is_accepted and not is_handled,
    )


def human(gap: timedelta) -> str:
    """Write a duration for people: ``38 ms``, ``2.1 s``, ``4 min``, ``3 h``, ``2 days``."""
    seconds = gap.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"


def _type(rows: Iterable[Any]) -> str:
    return next((getattr(row, "type", "") or getattr(row, "event_type", "") for row in rows), "")


def _with_gaps(steps: Sequence[TimelineEntry]) -> list[TimelineEntry]:
    later = zip(steps, steps[1:], strict=False)
    return [*steps[:1], *(replace(step, gap=step.at - before.at) for before, step in later)]


def _saved(subject: Subject | None) -> Iterator[TimelineEntry]:
    """Add the row that the event is about.

    Called only for events of our own outbox: a message of another producer may name any subject.
    """
    if subject:
        yield TimelineEntry(subject.at, f"{subject.kind} saved")


def _recorded(outbox: Sequence[OutboxEvent]) -> Iterator[TimelineEntry]:
    """Add the outbox rows. A row published again keeps only its last time; the log says who published it."""
    for index, row in enumerate(outbox):
        if row.redrive_of_id and index:
            title = "Recorded again by a redrive"
        else:
            title = "Recorded again" if index else "Recorded"
        yield TimelineEntry(row.recorded_at, title, f"Queue {row.queue}.", address=change_url(row))
        if row.published_at:
            yield TimelineEntry(row.published_at, "Published", _published_as(row.sqs_message_id))


def _published_as(message_id: str) -> str:
    """Name the message id: SNS's own for a topic, as each queue's copy has another SQS id."""
    if message_id.startswith("sns:"):
        return f"Through the topic; SNS message id {message_id.removeprefix('sns:')}."
    return f"SQS message id {message_id}." if message_id else ""


def _handled(
    outbox: Sequence[OutboxEvent],
    notifications: Sequence[Notification],
    attempts: Sequence[Attempt],
) -> Iterator[TimelineEntry]:
    """Add each time that the event was handled, and whether that sent anything.

    Of a row that was published and handled again only the last time is known.
    """
    before: datetime | None = None
    for at, published_at in _times_handled(outbox):
        since = max(filter(None, (before, published_at)), default=None)
        title = "Handled again" if _was_handled(since, before, notifications) else "Handled"
        if notifications and not _tried_between(since, at, notifications, attempts):
            title += ", nothing sent"
        detail = "" if published_at else "When it was published is not known."
        yield TimelineEntry(at, title, detail, colour="success")
        before = at


def _times_handled(outbox: Iterable[OutboxEvent]) -> list[tuple[datetime, datetime | None]]:
    """Return when the event was handled, and when it was last published before; one handling marks all its rows."""
    times: dict[datetime, datetime | None] = {}
    for row in outbox:
        if row.handled_at and row.state == row.State.HANDLED:
            known = filter(None, (times.get(row.handled_at), row.published_at))
            times[row.handled_at] = max(known, default=None)
    return sorted(times.items(), key=lambda pair: pair[0])


def _was_handled(
    since: datetime | None, before: datetime | None, notifications: Iterable[Notification]
) -> bool:
    """Return True if it was handled before: we know when, or SES has accepted its email before."""
    return bool(before) or any(
        since and row.sent_at and row.provider_message_id and row.sent_at < since
        for row in notifications
    )


def _tried_between(
    since: datetime | None,
    until: datetime,
    notifications: Iterable[Notification],
    attempts: Iterable[Attempt],
) -> bool:
    times = [
        *(row.sent_at for row in notifications),
        *(attempt.finished_at or attempt.started_at for attempt in attempts),
    ]
    return any(at and at <= until and (since is None or at > since) for at in times)


def _brought(notifications: Iterable[Notification]) -> Iterator[TimelineEntry]:
    """Add the message of another producer that brought the event."""
    for row in notifications:
        if row.sqs_message_id:
            detail = f"From another producer; SQS message id {row.sqs_message_id}."
            yield TimelineEntry(row.created_at, "Received", detail)
            return


def _received(
    failures: Iterable[HandlingFailure], attempts: Iterable[Attempt]
) -> Iterator[TimelineEntry]:
    """Add the receives that failed, each with its cause unless an attempt has told the same."""
    told = {_answer(attempt) for attempt in attempts}
    for failure in failures:
        cause = f"{failure.code}: {failure.reason}"
        yield TimelineEntry(
            failure.failed_at,
            f"Receive {failure.receive_count} failed",
            "" if cause in told else cause,
            colour="danger",
        )


def _made(
    notifications: Iterable[Notification], attempts: Iterable[Attempt]
) -> Iterator[TimelineEntry]:
    """Add notifications without a recorded attempt; where there is an attempt, it tells more."""
    tried = {attempt.notification_id for attempt in attempts}
    for row in notifications:
        if row.pk in tried:
            continue
        yield TimelineEntry(
            row.created_at, "Notification created", f"{row.template} to {row.recipient}."
        )
        if row.sent_at and row.provider_message_id:
            detail = f"SES message id {row.provider_message_id}."
            yield TimelineEntry(row.sent_at, _ACCEPTED, detail, colour="success")


_ANSWERS = {
    Attempt.Outcome.ACCEPTED: (_ACCEPTED, "success"),
    Attempt.Outcome.HELD: ("Held back, not sent to SES", "warning"),
    Attempt.Outcome.NOT_SENT: ("Not accepted by SES", "danger"),
    Attempt.Outcome.REFUSED: ("Refused by SES", "danger"),
    Attempt.Outcome.IN_DOUBT: ("In doubt", "warning"),
}


def _attempted(attempts: Iterable[Attempt]) -> Iterator[TimelineEntry]:
    for attempt in attempts:
        began = f"Attempt {attempt.number}"
        if not attempt.outcome:
            yield TimelineEntry(
                attempt.started_at, began, "No answer is recorded.", colour="warning"
            )
            continue
        yield TimelineEntry(attempt.started_at, began, "Calling SES.")
        if attempt.finished_at:
            title, colour = _ANSWERS[Attempt.Outcome(attempt.outcome)]
            yield TimelineEntry(attempt.finished_at, title, _answer(attempt), colour=colour)


def _answer(attempt: Attempt) -> str:
    if attempt.provider_message_id:
        return f"SES message id {attempt.provider_message_id}."
    return f"{attempt.error_code}: {attempt.error}"


def _reports(
    notifications: Iterable[Notification], attempts: Iterable[Attempt]
) -> QuerySet[DeliveryEvent]:
    rows: list[Any] = [*notifications, *attempts]
    ids = {row.provider_message_id for row in rows} - {""}
    return DeliveryEvent.objects.filter(provider_message_id__in=ids)[:MAX_ROWS]


def _reported(reports: Iterable[DeliveryEvent]) -> Iterator[TimelineEntry]:
    for report in reports:
        words = report_words.of(report)
        yield TimelineEntry(
            report.happened_at, words.title, words.detail, colour=words.colour, quote=words.quote
        )


def _log(rows: Iterable[Model]) -> Iterable[LogEntry]:
    """Read what staff did to these rows from the admin log."""
    types = ContentType.objects.get_for_models(OutboxEvent, Notification, DeadLetter)
    return (
        LogEntry.objects.filter(
            content_type__in=types.values(), object_id__in=[str(row.pk) for row in rows]
        )
        .select_related("user")
        .order_by("pk")[:MAX_ROWS]
    )


def _died(
    letters: Iterable[DeadLetter], failures: Iterable[HandlingFailure], log: Iterable[LogEntry]
) -> Iterator[TimelineEntry]:
    told = {entry.object_id for entry in log}
    known = {f"{failure.code}: {failure.reason}" for failure in failures}
    for letter in letters:
        cause, address = f"{letter.code}: {letter.reason}", change_url(letter)
        if cause in known:
            cause = f"After {letter.receive_count} receives."
        yield TimelineEntry(
            letter.collected_at, "Dead letter", cause, colour="danger", address=address
        )
        if letter.redriven_at and str(letter.pk) not in told:
            yield TimelineEntry(letter.redriven_at, "Redriven", "By a command.", address=address)


def _done_by_hand(log: Iterable[LogEntry]) -> Iterator[TimelineEntry]:
    for entry in log:
        title, _, reason = entry.get_change_message().partition(": ")
        yield TimelineEntry(
            entry.action_time, title.rstrip("."), reason, who=entry.user.get_username()
        )
