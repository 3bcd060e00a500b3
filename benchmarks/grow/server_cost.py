"""Read what a PostgreSQL server has spent so far: CPU time, commits, WAL, statements, rows on the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks import process_tree
from benchmarks.installation import postgresql

TABLES = ("queues_outboxevent", "emails_notification", "emails_attempt")
# As a server has them that must not lose a commit, and what counts statements, which hosted servers have as well.
_LIKE_PRODUCTION = {
    "fsync": "on",
    "full_page_writes": "on",
    "shared_preload_libraries": "pg_stat_statements",
}
_STATEMENTS = """\
SELECT query, calls, rows, total_exec_time, wal_bytes FROM pg_stat_statements AS one
JOIN pg_database ON pg_database.oid = one.dbid WHERE datname = %s AND toplevel"""


@dataclass(frozen=True)
class Statement:
    """One kind of statement: how often it ran, its rows, its milliseconds in the server, its bytes of WAL."""

    text: str
    calls: int
    rows: int
    milliseconds: float
    wal_bytes: int


@dataclass(frozen=True)
class Spent:
    """What the server spent between two readings; ``commits`` are transactions that wrote something."""

    cpu_seconds: float
    commits: int
    wal_bytes: int
    statements: Sequence[Statement]

    @property
    def calls(self) -> int:
        """The number of statements."""
        return sum(one.calls for one in self.statements)

    def calls_of(self, text: str) -> int:
        """Return how often statements with this text ran."""
        return sum(one.calls for one in self.statements if text in one.text)


def like_production() -> None:
    """Set the server as one that must lose nothing, and let it count statements; it starts anew."""
    server = postgresql()
    with psycopg.connect(server.url, autocommit=True) as connection:
        for name, value in _LIKE_PRODUCTION.items():
            change = sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value)
            connection.execute(change)
    server.crash()
    server.start()


class Meter:
    """Reads the server's counts for one database, over a connection to another."""

    def __init__(self, database: str) -> None:
        self._name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
        self._connection = psycopg.connect(postgresql().url, autocommit=True)
        self._connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        backend = self._ask("SELECT pg_backend_pid()")[0]
        # The server's first process is the parent of all others.
        self._server = int(Path(f"/proc/{backend}/stat").read_text().rsplit(")", 1)[1].split()[1])

    @contextmanager
    def measured(self) -> Iterator[list[Spent]]:
        """Put what the server spent in this block into the list; its processes must have ended within it."""
        self._connection.execute("CHECKPOINT")
        self._connection.execute("SELECT pg_stat_statements_reset()")
        before = self._read()
        found: list[Spent] = []
        yield found
        cpu, commits, wal = (now - then for now, then in zip(self._read(), before, strict=True))
        found.append(Spent(cpu, int(commits), int(wal), self._statements()))

    def row_bytes(self, database: str, rows: int) -> dict[str, float]:
        """Return bytes by table, indexes included, of each of so many rows, once no dead ones are left."""
        with psycopg.connect(database, autocommit=True) as connection:
            for table in TABLES:
                connection.execute(sql.SQL("VACUUM FULL {}").format(sql.Identifier(table)))
            found = connection.execute(
                "SELECT name, pg_total_relation_size(name) FROM unnest(%s::text[]) AS name",
                [list(TABLES)],
            ).fetchall()
        return {name: size / rows for name, size in found}

    def _read(self) -> tuple[float, float, float]:
        cpu = process_tree.usage(self._server).cpu_seconds
        # Only a transaction that writes gets an id.
        commits = self._ask("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        wal = self._ask("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
        return cpu, float(commits[0]), float(wal[0])

    def _statements(self) -> list[Statement]:
        rows = self._connection.execute(_STATEMENTS, [self._name]).fetchall()
        return sorted((Statement(*row) for row in rows), key=lambda one: -one.milliseconds)

    def _ask(self, query: Any, *params: object) -> tuple[Any, ...]:
        row = self._connection.execute(query, params).fetchone()
        assert row is not None  # noqa: S101  # each has one row
        return row
