"""Find the first unfinished event of each FIFO group, without reading the events that wait behind it.

The cost grows with the number of groups, not with the number of events in them: one step on the index
``outbox_group_head`` leads from each group to the next.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.db import connection

# SQLite uses a partial index only if the statement repeats its condition, so the states are written out.
_UNFINISHED = "state IN ('pending', 'claimed', 'held', 'dead')"
_BLOCKING = {"skip": f"{_UNFINISHED} AND state <> 'dead'", "hold": _UNFINISHED}
# BETWEEN names one group: with "=", PostgreSQL may walk the primary key instead, past all that was ever published.
_HEAD = """\
SELECT id FROM queues_outboxevent
WHERE queue = {queue} AND "group" BETWEEN {group} AND {group} AND {blocking}
ORDER BY "group", id LIMIT 1"""
_NEXT = """\
SELECT "group" FROM queues_outboxevent
WHERE queue = %(queue)s AND "group" > {after} AND {blocking}
ORDER BY "group" LIMIT 1"""
_HEADS = """\
WITH RECURSIVE visited (name, number) AS (
    SELECT ({first}), 1
    UNION ALL
    SELECT ({next}), number + 1 FROM visited WHERE name IS NOT NULL AND number < %(most)s
)
SELECT name, ({head}) FROM visited WHERE name IS NOT NULL ORDER BY number
"""
# The group where the last look at a queue ended. So groups take turns, and blocked ones do not delay the others.
_ends: dict[str, str] = {}


def pages(alias: str, *, size: int) -> Iterator[list[int]]:
    """Yield the ids of the heads, ``size`` groups at a time, from where the last call ended until all were seen.

    Some of them may be claimed, held or not due: the claim itself checks that.
    """
    after = _ends.get(alias, "")
    turns = 2 if after else 1
    while turns:
        page = _page(alias, after, size)
        turns -= len(page) < size
        _ends[alias] = after = page[-1][0] if len(page) == size else ""
        if page:
            yield [pk for _, pk in page]


def head(*, queue: str, group: str) -> str:
    """Return SQL for the first event of a group that blocks the later ones; ``queue`` and ``group`` are SQL, too."""
    return _HEAD.format(queue=queue, group=group, blocking=_BLOCKING[settings.FIFO_POISON])


def _page(alias: str, after: str, size: int) -> list[tuple[str, int]]:
    """Return group and head id of up to ``size`` groups after this one."""
    blocking = _BLOCKING[settings.FIFO_POISON]
    sql = _HEADS.format(
        first=_NEXT.format(after="%(after)s", blocking=blocking),
        next=_NEXT.format(after="visited.name", blocking=blocking),
        head=head(queue="%(queue)s", group="visited.name"),
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, {"queue": alias, "after": after, "most": size})
        return list(cursor.fetchall())
