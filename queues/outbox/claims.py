"""Claim events of the outbox, settle those that SQS took, release expired claims: one hand-written statement each.

The ORM would take two statements for a claim, make a model with every column of each row, and compile each statement
anew: that was most of what an event cost.
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import connection

from queues.aws import sqs
from queues.models.sql import moment
from queues.outbox import fifo_heads
from queues.outbox.looks import Look

LEASE = timedelta(seconds=30)

# An event that only a look from the start finds waits at most so long, while such looks are fast.
FROM_START_SECONDS = 1.0
# SQLite uses a partial index only if the statement repeats its condition, so the states are written out.
# BETWEEN names one queue: with "=", PostgreSQL may walk the primary key instead, past all that was ever published.
_OLDEST = """\
SELECT id FROM queues_outboxevent
WHERE state = 'pending' AND queue BETWEEN %s AND %s AND id > %s AND available_at <= {now}
ORDER BY queue, id LIMIT %s"""
_THESE = """\
SELECT id FROM queues_outboxevent AS event
WHERE state = 'pending' AND id IN ({marks}) AND available_at <= {now}{is_head}"""
_IS_HEAD = " AND id = ({head})"
# The due rows are selected first: as a subquery of the UPDATE they might be read, and rows locked, more than once.
_TAKE = """\
WITH due AS ({due} {lock})
UPDATE queues_outboxevent
SET state = 'claimed', claim = %s, lease_until = {lease}, tries = tries + 1
WHERE id {in_due}
RETURNING id, CAST(event_id AS text), type, "group", CAST(deduplication_id AS text), traceparent, body, tries"""
_SETTLE = """\
UPDATE queues_outboxevent
SET state = 'published', claim = NULL, lease_until = NULL, published_at = {now}, error = '',
    sqs_message_id = {message_id}
WHERE id {in_settled} AND claim = %s"""
_EXPIRED = "SELECT id FROM queues_outboxevent WHERE state = 'claimed' AND lease_until < {now}"
_RELEASE = """\
UPDATE queues_outboxevent SET state = 'pending', claim = NULL, lease_until = NULL
WHERE state = 'claimed' AND lease_until < {now}"""
_LOOK = "SELECT 1 FROM ({rows}) AS found LIMIT 1"
# With an array PostgreSQL looks up each id, whatever its statistics say; with a join it might read the whole table.
_IN_DUE = {
    "postgresql": "= ANY (ARRAY(SELECT id FROM due))",
    "sqlite": "IN (SELECT id FROM due)",
}
_MESSAGE_ID = {
    "postgresql": "CAST(%s AS jsonb) ->> CAST(id AS text)",
    # SQLite has ->> only since 3.38.
    "sqlite": "JSON_EXTRACT(%s, '$.\"' || id || '\"')",
}
# Given a list of 250 ids, SQLite reads the whole table instead, if it believes that this has only some thousand rows.
_IN_SETTLED = {
    "postgresql": "IN ({marks})",
    "sqlite": "IN (SELECT CAST(key AS integer) FROM JSON_EACH(%s))",
}
_SECONDS = int(LEASE.total_seconds())
_CLAIMED_AT = {
    "postgresql": f"lease_until - interval '{_SECONDS} seconds'",
    # The function with which Django subtracts times.
    "sqlite": f"django_format_dtdelta('-', lease_until, {_SECONDS * 1_000_000})",
}
_LOCK = {"postgresql": "FOR UPDATE SKIP LOCKED", "sqlite": ""}
# By queue alias; and those that cannot begin later than at the start: for expired claims, and for heads of groups.
looks: defaultdict[str, Look] = defaultdict(lambda: Look(least_seconds=FROM_START_SECONDS))
_for_expired = Look()
# More often than others: the next event of a group must wait for such a look.
head_looks: defaultdict[str, Look] = defaultdict(lambda: Look(part=20))


class Claimed(NamedTuple):
    """An event that the maker of this claim may publish while the claim stands; ``tries`` counts this try."""

    pk: int
    event_id: str | None
    type: str
    group: str
    deduplication_id: str
    traceparent: str
    body: str
    tries: int
    queue: str
    claim: uuid.UUID

    @property
    def is_news(self) -> bool:
        """True if no subscriber can have had it before: an event published again has another deduplication id."""
        return self.event_id == self.deduplication_id


def take_oldest(alias: str, *, most: int, from_start: bool = False) -> list[Claimed]:
    """Claim the oldest due events of a standard queue, ``most`` at most.

    The claim is committed on return, unless the caller is in a transaction. Other relays skip rows that are locked here
    and, later, rows that are claimed. Not each look is one ``from_start``: see ``queues.outbox.looks``.
    """
    look = looks[alias]
    if from_start or look.is_due():
        with look.from_start():
            taken = _take_oldest(alias, most, after=0)
    else:
        taken = _take_oldest(alias, most, after=look.floor)
    if taken:
        look.found(taken[-1].pk)
    return taken


def take_heads(alias: str, *, most: int, from_start: bool = False) -> list[Claimed]:
    """Claim due heads of the next groups of a FIFO queue, ``most`` at most.

    A million rows may wait behind one blocked head. While looks that find nothing take long, not each call is one.
    """
    look = head_looks[alias]
    if not (from_start or look.is_due()):
        return []
    with look.from_start():
        turns = (take_these(alias, page) for page in fifo_heads.pages(alias, size=most))
        taken = next(filter(None, turns), [])
    if taken:
        look.forget()
    return taken


def take_these(alias: str, pks: Sequence[int]) -> list[Claimed]:
    """Claim those of these events that are due; on a FIFO queue, only if nothing in their group must come first."""
    head = fifo_heads.head(queue="event.queue", group='event."group"')
    due = _THESE.format(
        marks=_marks(pks),
        now=moment()[0],
        is_head=_IS_HEAD.format(head=head) if sqs.queue(alias).is_fifo else "",
    )
    return _take(alias, due, pks)


def settle(claim: uuid.UUID, message_ids: Mapping[int, str]) -> None:
    """Mark these events published under SQS's ids; rows whose claim has ended stay as they are."""
    vendor, as_json = connection.vendor, json.dumps(message_ids)
    sql = _SETTLE.format(
        now=moment()[0],
        message_id=_MESSAGE_ID[vendor],
        in_settled=_IN_SETTLED[vendor].format(marks=_marks(message_ids)),
    )
    ids = [as_json] if vendor == "sqlite" else list(message_ids)
    with connection.cursor() as cursor:
        cursor.execute(sql, [as_json, *ids, claim.hex])


def claimed_at() -> str:
    """Return SQL for the time at which a relay claimed a row; it calls SQS right after."""
    return _CLAIMED_AT[connection.vendor]


def release_expired(*, from_start: bool = False) -> int:
    """Set events back to pending whose relay died after it claimed them; returns how many.

    While that takes long, only some calls do it.
    """
    if not (from_start or _for_expired.is_due()):
        return 0
    with _for_expired.from_start():
        return _release_expired()


def forget() -> None:
    """Let all looks begin at the start."""
    looks.clear()
    head_looks.clear()
    _for_expired.forget()


def _release_expired() -> int:
    now, _ = moment()
    if not _may_find(_EXPIRED.format(now=now), []):
        return 0
    with connection.cursor() as cursor:
        # The empty list is needed: without parameters the driver would leave doubled percent signs doubled.
        cursor.execute(_RELEASE.format(now=now), [])
        return int(cursor.rowcount)


def _take_oldest(alias: str, most: int, *, after: int) -> list[Claimed]:
    return _take(alias, _OLDEST.format(now=moment()[0]), [alias, alias, after, most])


def _take(alias: str, due: str, params: Sequence[Any]) -> list[Claimed]:
    if not _may_find(due, params):
        return []
    claim = uuid.uuid4()
    lease, lease_params = moment(LEASE)
    vendor = connection.vendor
    sql = _TAKE.format(due=due, lock=_LOCK[vendor], lease=lease, in_due=_IN_DUE[vendor])
    with connection.cursor() as cursor:
        cursor.execute(sql, [*params, claim.hex, *lease_params])
        # Fetch all rows at once: a half-read result would keep SQLite locked.
        rows = sorted(cursor.fetchall())
    return [_claimed(row, alias, claim) for row in rows]


def _marks(params: Collection[Any]) -> str:
    return ", ".join(["%s"] * len(params))


def _may_find(rows: str, params: Sequence[Any]) -> bool:
    """Look first on SQLite: a SELECT takes no lock, but an UPDATE of no rows would wait for the one writer."""
    if connection.vendor != "sqlite":
        return True
    with connection.cursor() as cursor:
        cursor.execute(_LOOK.format(rows=rows), params)
        return cursor.fetchone() is not None


def _claimed(row: Sequence[Any], alias: str, claim: uuid.UUID) -> Claimed:
    pk, event_id, type_, group, deduplication_id, traceparent, body, tries = row
    return Claimed(
        pk=pk,
        event_id=_dashed(event_id) if event_id else None,
        type=type_,
        group=group,
        deduplication_id=_dashed(deduplication_id),
        traceparent=traceparent,
        body=body,
        tries=tries,
        queue=alias,
        claim=claim,
    )


def _dashed(digits: str) -> str:
    """Write a UUID with dashes; on SQLite, Django stores 32 hex digits."""
    return str(uuid.UUID(digits)) if len(digits) == 32 else digits
