"""Statements about many notifications at once, written out: the ORM would compile them anew for every few emails.

Each column is named here, so a new one without a default fails the tests of this module's users at once.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter, itemgetter
from typing import Any

from django.db import connection

from emails.models import Attempt, DeliveryEvent, Notification
from queues.models.sql import moment

Prepared = list[Any]

_FIRST_CLAIM = """\
INSERT INTO "emails_notification" ("id", "event_id", "event_type", "subject", "event_source", "partition_key",
"template", "recipient", "context", "claim", "lease_until", "state", "attempts", "attempt_started_at", "next_at",
"created_at", "provider_message_id", "reason_code", "reason", "delivery_status")
VALUES {rows} ON CONFLICT DO NOTHING RETURNING "id", EXISTS (SELECT 1 FROM "emails_suppression" AS listed
WHERE LOWER(listed."address") = LOWER("emails_notification"."recipient") AND listed."state" = 'active')
"""
_FIRST_CLAIM_ROW = """\
(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, {lease}, 'sending', 1, {now}, {now}, {now}, '', '', '', 'none')"""
_FIRST_ATTEMPT = """\
INSERT INTO "emails_attempt" ("notification_id", "number", "started_at", "outcome", "provider_message_id",
"error_code", "error") VALUES {rows}"""
_FIRST_ATTEMPT_ROW = "(%s, 1, {now}, '', '', '', '')"
_ACCEPT_ATTEMPT = """\
UPDATE "emails_attempt" SET outcome = 'accepted', finished_at = {now}, provider_message_id = %s
WHERE notification_id = %s AND number = %s"""
_ACCEPT = """\
UPDATE "emails_notification" SET state = 'sent', sent_at = {now}, claim = NULL, lease_until = NULL,
reason_code = '', reason = '', provider_message_id = %s
WHERE id = %s AND state <> 'sent'"""

# A later event of lower rank changes nothing.
_RANK = "CASE delivery_status {cases} END".format(
    cases=" ".join(
        f"WHEN '{status}' THEN {rank}" for rank, status in enumerate(Notification.Delivery.values)
    )
)
# Of two that are equally bad the later one is told.
_RISES = f"""\
({_RANK} < %(rank)s OR ({_RANK} = %(rank)s AND delivery_at < %(at)s AND %(code)s <> ''))"""
_IS_FIRST = "({0} IS NULL OR {0} > %({0})s)"
_FIRST = "{0} = CASE WHEN " + _IS_FIRST + " THEN %({0})s ELSE {0} END"
_RAISE_DELIVERY = f"""\
UPDATE "emails_notification" SET {_FIRST.format("delivered_at")},
delivery_status = CASE WHEN {_RISES} THEN %(status)s ELSE delivery_status END,
delivery_code = CASE WHEN {_RISES} THEN %(code)s ELSE delivery_code END,
delivery_reason = CASE WHEN {_RISES} THEN %(reason)s ELSE delivery_reason END,
delivery_at = CASE WHEN {_RISES} THEN %(at)s ELSE delivery_at END
WHERE id = %(id)s AND ({_RISES} OR {_IS_FIRST.format("delivered_at")})"""  # noqa: S608  # the ranks are those above
_ENGAGE = f"""\
UPDATE "emails_notification" SET {_FIRST.format("opened_at")}, {_FIRST.format("clicked_at")}
WHERE id = %(id)s AND ({_IS_FIRST.format("opened_at")} OR {_IS_FIRST.format("clicked_at")})"""  # noqa: S608


# Django would send each column as an array, and escaping JSON in one costs more than all else.
_REPORTS = """\
INSERT INTO "emails_deliveryevent" ("provider_message_id", "type", "recipient", "happened_at", "raw", "recorded_at")
VALUES {rows} ON CONFLICT DO NOTHING"""
_REPORTS_ROW = "(%s, %s, %s, %s, %s, {now})"


@dataclass(frozen=True)
class Report:
    """What SES said became of a notification; a ``code`` says that something is wrong."""

    notification_id: uuid.UUID
    status: Notification.Delivery
    moment: datetime
    code: str = ""
    reason: str = ""
    is_open: bool = False
    is_click: bool = False


def insert_claimed(
    new: Sequence[Notification], *, claim: uuid.UUID, lease: timedelta
) -> tuple[set[uuid.UUID], set[uuid.UUID]]:
    """Save these as claimed; returns the ids of those that were not there before: those with a first attempt, and
    those whose address must get no email, which the caller takes back.
    """
    now, _ = moment()
    lease_sql, lease_params = moment(lease)
    row = _FIRST_CLAIM_ROW.format(lease=lease_sql, now=now)
    params = [
        param
        for notification in new
        for param in (*_columns(notification), _id(claim), *lease_params)
    ]
    with connection.cursor() as cursor:
        cursor.execute(_FIRST_CLAIM.format(rows=", ".join([row] * len(new))), params)
        found = cursor.fetchall()
        ids = [pk for pk, is_suppressed in found if not is_suppressed]
        if ids:
            attempts = ", ".join([_FIRST_ATTEMPT_ROW.format(now=now)] * len(ids))
            cursor.execute(_FIRST_ATTEMPT.format(rows=attempts), ids)
    return _uuids(ids), _uuids([pk for pk, is_suppressed in found if is_suppressed])


def accept(accepted: Sequence[tuple[str, uuid.UUID, int]]) -> None:
    """SES's message id, the notification and the number of the attempt that it accepted; two statements."""
    now, _ = moment()
    rows = [(message_id, _id(pk), number) for message_id, pk, number in accepted]
    # In one order everywhere, notifications first: others change the same rows.
    rows.sort(key=itemgetter(1))
    with connection.cursor() as cursor:
        cursor.executemany(_ACCEPT.format(now=now), [row[:2] for row in rows])
        cursor.executemany(_ACCEPT_ATTEMPT.format(now=now), rows)


def insert_events(events: Sequence[DeliveryEvent]) -> None:
    """Save these; what is there already stays as it is."""
    if not events:
        return
    now, _ = moment()
    row = _REPORTS_ROW.format(now=now)
    params = [
        param
        for event in events
        for param in (
            event.provider_message_id,
            event.type,
            event.recipient,
            _time(event.happened_at),
            _RAW.get_db_prep_save(event.raw, connection),
        )
    ]
    with connection.cursor() as cursor:
        cursor.execute(_REPORTS.format(rows=", ".join([row] * len(events))), params)


def raise_delivery(reports: Collection[Report]) -> None:
    """The status of each notification only rises; when it was delivered, opened, clicked is the earliest told."""
    # Each waits its turn by its key, as in ``accept``.
    ordered = sorted(reports, key=attrgetter("notification_id"))
    engaged = [_engagement(report) for report in ordered if report.is_open or report.is_click]
    with connection.cursor() as cursor:
        cursor.executemany(_RAISE_DELIVERY, [_delivery(report) for report in ordered])
        if engaged:
            cursor.executemany(_ENGAGE, engaged)


def _delivery(report: Report) -> dict[str, Any]:
    moment = _time(report.moment)
    return {
        "id": _id(report.notification_id),
        "rank": Notification.Delivery.values.index(report.status),
        "status": report.status,
        "delivered_at": moment if report.status == Notification.Delivery.DELIVERED else None,
        "code": report.code,
        "reason": report.reason,
        "at": moment if report.code else None,
    }


def _engagement(report: Report) -> dict[str, Any]:
    moment = _time(report.moment)
    return {
        "id": _id(report.notification_id),
        "opened_at": moment,
        "clicked_at": moment if report.is_click else None,
    }


def _time(moment: datetime) -> Any:
    return _TIME.get_db_prep_value(moment, connection)


def _columns(notification: Notification) -> Prepared:
    return [
        _id(notification.pk),
        _id(notification.event_id),
        notification.event_type,
        notification.subject,
        notification.event_source,
        notification.partition_key,
        notification.template,
        notification.recipient,
        _CONTEXT.get_db_prep_save(notification.context, connection),
    ]


_CONTEXT: Any = Notification._meta.get_field("context")
_RAW: Any = DeliveryEvent._meta.get_field("raw")
_TIME: Any = Notification._meta.get_field("delivered_at")
_ID: Any = Attempt._meta.get_field("notification").target_field


def _uuids(found: Sequence[Any]) -> set[uuid.UUID]:
    return {pk if isinstance(pk, uuid.UUID) else uuid.UUID(pk) for pk in found}


def _id(value: uuid.UUID) -> Any:
    return _ID.get_db_prep_value(value, connection)
