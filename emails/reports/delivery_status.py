"""Update the delivery status of notifications from SES's events; a status only rises in rank."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db import connection

from emails.models import DeliveryEvent, Notification
from emails.reports.ses_events import SesEvent
from emails.sending.statements import id_param, time_param
from queues.models.sql import moment

# A later event of lower rank changes nothing.
_RANK = "CASE delivery_status {cases} END".format(
    cases=" ".join(
        f"WHEN '{status}' THEN {rank}" for rank, status in enumerate(Notification.Delivery.values)
    )
)
# Of two events of equal rank the later one is shown.
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
_RAW: Any = DeliveryEvent._meta.get_field("raw")


def raise_delivery(told: Iterable[tuple[UUID, SesEvent]]) -> None:
    """Apply these events to their notifications; the result is the same in any order, and if they are repeated.

    A status only rises, and the earliest time of delivery, open and click is kept.
    """
    found = [(pk, event, status) for pk, event in told if (status := event.status) is not None]
    if not found:
        return
    # Rows are locked in the order of their keys, as in ``emails.sending.states``, so that no two processes deadlock.
    ordered = sorted(found, key=itemgetter(0))
    engaged = [
        _engagement(pk, event) for pk, event, _ in ordered if event.kind in ("Open", "Click")
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_RAISE_DELIVERY, [_delivery(*each) for each in ordered])
        if engaged:
            cursor.executemany(_ENGAGE, engaged)


def _delivery(pk: UUID, event: SesEvent, status: Notification.Delivery) -> dict[str, Any]:
    moment, code = time_param(event.moment), event.code
    return {
        "id": id_param(pk),
        "rank": Notification.Delivery.values.index(status),
        "status": status,
        "delivered_at": moment if status == Notification.Delivery.DELIVERED else None,
        "code": code,
        "reason": event.words,
        "at": moment if code else None,
    }


def _engagement(pk: UUID, event: SesEvent) -> dict[str, Any]:
    moment = time_param(event.moment)
    return {
        "id": id_param(pk),
        "opened_at": moment,
        "clicked_at": moment if event.kind == "Click" else None,
    }


def insert_events(events: Sequence[DeliveryEvent]) -> None:
    """Insert these events; those stored already stay as they are."""
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
            time_param(event.happened_at),
            _RAW.get_db_prep_save(event.raw, connection),
        )
    ]
    with connection.cursor() as cursor:
        cursor.execute(_REPORTS.format(rows=", ".join([row] * len(events))), params)
