"""Write many notifications at once with plain SQL, which the ORM would compile again for every few emails.

Each column is named here, so a new column without a default fails the tests of this module's users at once.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from django.db import connection

from emails.models import Attempt, Notification
from queues import addresses
from queues.models.sql import moment

_FIRST_CLAIM = """\
INSERT INTO "emails_notification" ("id", "event_id", "event_type", "subject", "event_source", "partition_key",
"template", "recipient", "recipient_key", "context", "claim", "lease_until", "state", "attempts",
"attempt_started_at", "next_at", "created_at", "provider_message_id", "reason_code", "reason", "delivery_status",
"sqs_message_id")
VALUES {rows} ON CONFLICT DO NOTHING RETURNING "id", EXISTS (SELECT 1 FROM "emails_suppression" AS listed
WHERE LOWER(listed."address") = COALESCE("emails_notification"."recipient_key",
LOWER("emails_notification"."recipient")) AND listed."state" = 'active')
"""
_FIRST_CLAIM_ROW = """\
(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, {lease}, 'sending', 1, {now}, {now}, {now}, '', '', '', 'none', %s)"""
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


def insert_claimed(
    new: Sequence[Notification], *, claim: uuid.UUID, lease: timedelta
) -> tuple[set[uuid.UUID], set[uuid.UUID]]:
    """Save these notifications as claimed, unless they exist; returns the ids of the new ones in two sets.

    Those in the first set also get their first attempt. Those in the second set go to addresses that must get no email:
    the caller takes their claims back.
    """
    now, _ = moment()
    lease_sql, lease_params = moment(lease)
    row = _FIRST_CLAIM_ROW.format(lease=lease_sql, now=now)
    params = [
        param
        for notification in new
        for param in (
            *_columns(notification),
            id_param(claim),
            *lease_params,
            notification.sqs_message_id,
        )
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
    """Save acceptances with two statements: SES's message id, the notification, and the number of the attempt."""
    now, _ = moment()
    rows = [(message_id, id_param(pk), number) for message_id, pk, number in accepted]
    # The order is the same everywhere, notifications first, because other processes change the same rows.
    rows.sort(key=itemgetter(1))
    with connection.cursor() as cursor:
        cursor.executemany(_ACCEPT.format(now=now), [row[:2] for row in rows])
        cursor.executemany(_ACCEPT_ATTEMPT.format(now=now), rows)


def time_param(moment: datetime) -> Any:
    """Return a time as this database takes it as a parameter."""
    return _TIME.get_db_prep_value(moment, connection)


def _columns(notification: Notification) -> list[Any]:
    return [
        id_param(notification.pk),
        id_param(notification.event_id),
        notification.event_type,
        notification.subject,
        notification.event_source,
        notification.partition_key,
        notification.template,
        notification.recipient,
        addresses.foreign_key(notification.recipient),
        _CONTEXT.get_db_prep_save(notification.context, connection),
    ]


_CONTEXT: Any = Notification._meta.get_field("context")
_TIME: Any = Notification._meta.get_field("delivered_at")
_ID: Any = Attempt._meta.get_field("notification").target_field


def _uuids(found: Sequence[Any]) -> set[uuid.UUID]:
    return {pk if isinstance(pk, uuid.UUID) else uuid.UUID(pk) for pk in found}


def id_param(value: uuid.UUID) -> Any:
    """Return a notification's id as this database takes it as a parameter."""
    return _ID.get_db_prep_value(value, connection)
