"""Write many notifications at once with plain SQL of constant text, which no ORM compiles anew for every few emails.

Each column is named here, so a new column without a default fails the tests of this module's users at once.

Notifications are written before their attempts, and many rows of a table in the order of their keys: two processes
that change the same rows must not wait for each other.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection, transaction

from emails.models import Attempt, Notification
from emails.sending.planning import Owed
from queues import addresses
from queues.models.sql import moment

# What each row is given, with PostgreSQL's types.
_GIVEN = {
    "id": "uuid",
    "event_id": "uuid",
    "event_type": "text",
    "subject": "text",
    "event_source": "text",
    "partition_key": "text",
    "template": "text",
    "recipient": "text",
    "recipient_key": "text",
    "context": "jsonb",
    "claim": "uuid",
    "sqs_message_id": "text",
    "edition_id": "bigint",
}
_FIRST_CLAIM = """\
INSERT INTO "emails_notification" ("id", "event_id", "event_type", "subject", "event_source", "partition_key",
"template", "recipient", "recipient_key", "context", "claim", "lease_until", "state", "attempts",
"attempt_started_at", "next_at", "created_at", "provider_message_id", "reason_code", "reason", "delivery_status",
"sqs_message_id", "edition_id")
SELECT id, event_id, event_type, subject, event_source, partition_key, template, recipient, recipient_key, context,
claim, {lease}, 'sending', 1, {now}, {now}, {now}, '', '', '', 'none', sqs_message_id, edition_id
FROM {given} WHERE NOT EXISTS (SELECT 1 FROM "emails_suppression" AS listed
WHERE LOWER(listed."address") = COALESCE(given.recipient_key, LOWER(given.recipient)) AND listed."state" = 'active')
{order} ON CONFLICT DO NOTHING"""
_FIRST_ATTEMPT = """\
INSERT INTO "emails_attempt" ("notification_id", "number", "started_at", "outcome", "provider_message_id",
"error_code", "error")
SELECT "id", 1, {now}, '', '', '', '' FROM {new} RETURNING "notification_id\""""
# SQLite reads JSON slowly: a statement for each row takes two thirds of the time. It would also compute the time anew
# for each column, and the lease's end in Python.
_ONE_ROW = f"(SELECT {', '.join(f'%s AS {name}' for name in ('now', 'until', *_GIVEN))}) AS given"
_THESE = '"emails_notification" WHERE "id" IN (SELECT value FROM JSON_EACH(%s))'
# PostgreSQL runs one statement as a transaction of its own, without two more round trips.
_ALL_ROWS = f"json_to_recordset(%s) AS given({', '.join(f'{name} {kind}' for name, kind in _GIVEN.items())})"
# As Python sorts the keys; the caller's order might not outlast a join.
_BY_KEY = 'ORDER BY event_id, template COLLATE "C", recipient COLLATE "C"'
_FIRST_CLAIM_AND_ATTEMPT = 'WITH new AS ({claim} RETURNING "id") {attempt}'
_CLAIM_ROW = _FIRST_CLAIM.format(lease="until", now="now", given=_ONE_ROW, order="")
_ATTEMPT_ROWS = _FIRST_ATTEMPT.format(now="%s", new=_THESE)

_SENT = """\
state = 'sent', sent_at = {now}, claim = NULL, lease_until = NULL, reason_code = '', reason = '',
provider_message_id"""
_ACCEPTED = "outcome = 'accepted', finished_at = {now}, provider_message_id"
_ACCEPT = """\
UPDATE "emails_notification" SET {sent} = %s WHERE id = %s AND state <> 'sent'"""
_ACCEPT_ATTEMPT = """\
UPDATE "emails_attempt" SET {accepted} = %s WHERE notification_id = %s AND number = %s"""
# All notifications are locked, in the order of their keys, before the first row is changed: both updates wait for the
# whole array. With an array PostgreSQL looks up each key, whatever its statistics say.
_ACCEPT_AT_ONCE = """\
WITH given AS (
    SELECT * FROM json_to_recordset(%s) AS given(id uuid, number integer, message_id text)
), locked AS MATERIALIZED (
    SELECT id FROM emails_notification WHERE id = ANY (ARRAY(SELECT id FROM given)) ORDER BY id FOR NO KEY UPDATE
), sent AS (
    UPDATE emails_notification AS notification SET {sent} = given.message_id FROM given
    WHERE notification.id = ANY (ARRAY(SELECT id FROM locked)) AND notification.id = given.id
    AND notification.state <> 'sent'
)
UPDATE emails_attempt AS attempt SET {accepted} = given.message_id FROM given
WHERE attempt.notification_id = ANY (ARRAY(SELECT id FROM locked)) AND attempt.notification_id = given.id
AND attempt.number = given.number"""


def insert_claimed(
    new: Mapping[uuid.UUID, Owed], *, claim: uuid.UUID, lease: timedelta
) -> set[uuid.UUID]:
    """Save these emails under these ids as claimed, each with its first attempt; returns the ids that it saved.

    It leaves out emails that have a row already, and those to suppressed addresses. All or none are saved.
    """
    rows = [_row(pk, owed, claim) for pk, owed in new.items()]
    write = _insert_by_rows if connection.vendor == "sqlite" else _insert_at_once
    made = {pk for (pk,) in write(rows, lease)}
    return {pk for pk in new if pk in made or pk.hex in made}


def accept(accepted: Sequence[tuple[str, uuid.UUID, int]]) -> None:
    """Save acceptances: SES's message id, the notification, and the number of the attempt. All or none are saved."""
    rows = [(message_id, pk.hex, number) for message_id, pk, number in accepted]
    if connection.vendor == "sqlite":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(_accepting(_ACCEPT), [row[:2] for row in rows])
            cursor.executemany(_accepting(_ACCEPT_ATTEMPT), rows)
    else:
        names = ("message_id", "id", "number")
        given = _json([dict(zip(names, row, strict=True)) for row in rows])
        with connection.cursor() as cursor:
            cursor.execute(_accepting(_ACCEPT_AT_ONCE), [given])


def _accepting(sql: str) -> str:
    now, _ = moment()
    return sql.format(sent=_SENT.format(now=now), accepted=_ACCEPTED.format(now=now))


def time_param(moment: datetime) -> Any:
    """Return a time as this database takes it as a parameter."""
    return _TIME.get_db_prep_value(moment, connection)


def id_param(value: uuid.UUID) -> Any:
    """Return a notification's id as this database takes it as a parameter."""
    return _ID.get_db_prep_value(value, connection)


_TIME: Any = Notification._meta.get_field("delivered_at")
_ID: Any = Attempt._meta.get_field("notification").target_field


def _row(pk: uuid.UUID, owed: Owed, claim: uuid.UUID) -> dict[str, Any]:
    event = owed.event
    return {
        "id": pk.hex,
        "event_id": event.id.hex,
        "event_type": event.type,
        "subject": event.subject,
        "event_source": event.source,
        "partition_key": event.partitionkey,
        "template": owed.template,
        "recipient": owed.recipient,
        "recipient_key": addresses.foreign_key(owed.recipient),
        "context": event.data,
        "claim": claim.hex,
        "sqs_message_id": owed.sqs_message_id,
        "edition_id": owed.edition,
    }


def _insert_by_rows(rows: Sequence[dict[str, Any]], lease: timedelta) -> Any:
    with transaction.atomic(), connection.cursor() as cursor:
        now, until = _times(cursor, lease)
        params = [
            (now, until, *(row | {"context": _json(row["context"])}).values()) for row in rows
        ]
        cursor.executemany(_CLAIM_ROW, params)
        cursor.execute(_ATTEMPT_ROWS, [now, _json([row["id"] for row in rows])])
        return cursor.fetchall()


def _times(cursor: Any, lease: timedelta) -> tuple[str, str]:
    """Return the database's time, once for many rows, and when a lease that begins now ends."""
    now, _ = moment()
    until, params = moment(lease)
    cursor.execute(f"SELECT {now}, {until}", params)
    found: tuple[str, str] = cursor.fetchone()
    return found


def _insert_at_once(rows: Sequence[dict[str, Any]], lease: timedelta) -> Any:
    now, _ = moment()
    until, until_params = moment(lease)
    claim = _FIRST_CLAIM.format(lease=until, now=now, given=_ALL_ROWS, order=_BY_KEY)
    attempt = _FIRST_ATTEMPT.format(now=now, new="new")
    with connection.cursor() as cursor:
        cursor.execute(
            _FIRST_CLAIM_AND_ATTEMPT.format(claim=claim, attempt=attempt),
            [*until_params, _json(rows)],
        )
        return cursor.fetchall()


def _json(value: Any) -> str:
    """Write JSON as ``json.dumps`` does, in a tenth of its time."""
    try:
        text = orjson.dumps(value)
    except TypeError:
        # A number of more than 64 bits, or half a character.
        return json.dumps(value)
    # It writes null for NaN and infinity, which the database must refuse.
    return json.dumps(value) if b"null" in text else text.decode()
