"""Statements about many notifications at once, written out: the ORM would compile them anew for every few emails.

Each column is named here, so a new one without a default fails the tests of this module's users at once.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from django.db import connection

from emails.models import Attempt, Notification
from queues.expressions import moment

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
_RAISE_DELIVERY = f"""\
UPDATE "emails_notification" SET delivered_at = COALESCE(delivered_at, %s),
delivery_status = CASE WHEN {_RANK} < %s THEN %s ELSE delivery_status END
WHERE id = %s AND ({_RANK} < %s OR (%s AND delivered_at IS NULL))"""  # noqa: S608  # the ranks are those above


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


def raise_delivery(told: Sequence[tuple[uuid.UUID, Notification.Delivery, datetime]]) -> None:
    """What SES said became of these notifications, and when; the status of each only rises."""
    rows = []
    # Each waits its turn by its key, as in ``accept``.
    for pk, status, told_at in sorted(told, key=itemgetter(0)):
        rank = Notification.Delivery.values.index(status)
        is_delivered = status == Notification.Delivery.DELIVERED
        delivered_at = (
            _DELIVERED_AT.get_db_prep_value(told_at, connection) if is_delivered else None
        )
        rows.append((delivered_at, rank, status, _id(pk), rank, is_delivered))
    with connection.cursor() as cursor:
        cursor.executemany(_RAISE_DELIVERY, rows)


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
_DELIVERED_AT: Any = Notification._meta.get_field("delivered_at")
_ID: Any = Attempt._meta.get_field("notification").target_field


def _uuids(found: Sequence[Any]) -> set[uuid.UUID]:
    return {pk if isinstance(pk, uuid.UUID) else uuid.UUID(pk) for pk in found}


def _id(value: uuid.UUID) -> Any:
    return _ID.get_db_prep_value(value, connection)
