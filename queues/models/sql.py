"""SQL that Django's ORM cannot express, for PostgreSQL and SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any

from django.db import connection, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, Q, UUIDField, Value
from django.db.models.functions import Now
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler


def moment(ahead: timedelta = timedelta()) -> tuple[str, list[Any]]:
    """Return SQL and parameters for the database's current time plus ``ahead``, for hand-written statements."""
    sql, params = _moment(connection.vendor, ahead)
    return sql, [*params]


def due_in(ahead: timedelta) -> Any:
    """Return the database's current time plus ``ahead``, for the ORM.

    SQLite compares times as texts and writes a sum with more digits, so now plus zero would be later than now.
    """
    return Now() + ahead if ahead else Now()


@cache
def _moment(vendor: str, ahead: timedelta) -> tuple[str, tuple[Any, ...]]:
    # It needs no model: it names no column.
    query = Query(None)
    sql, params = query.get_compiler(connection=connection).compile(
        due_in(ahead).resolve_expression(query)
    )
    return sql, tuple(params)


def unhurried() -> str:
    """Return a condition that is always true and lets the commit return before the row is on the disk.

    Use it for rows that may be lost when the database's machine fails; until then everybody sees them. A later commit
    that waits for the disk saves them, too. Inside a transaction it changes nothing, because the rest of the
    transaction must not be lost.
    """
    return "TRUE" if connection.in_atomic_block else _UNHURRIED[connection.vendor]


@contextmanager
def in_one_message() -> Iterator[None]:
    """Execute the statements of the block as one transaction, which PostgreSQL gets in one message.

    BEGIN, each statement and COMMIT would be a round trip each, and cost more than the rows of short statements. The
    statements have parameters and return nothing: PostgreSQL executes them when the block ends. Source: PostgreSQL
    manual, "Multiple Statements in a Simple Query".
    """
    if not _takes_messages():
        with transaction.atomic():
            yield
        return
    texts: list[str] = []
    values: list[Any] = []

    def keep(execute: Any, sql: str, params: Any, many: bool, context: Any) -> None:
        texts.append(sql)
        values.extend(params)

    with connection.execute_wrapper(keep):
        yield
    with connection.cursor() as cursor:
        cursor.execute(";\n".join(texts), values)


def _takes_messages() -> bool:
    """Return True if several statements may be sent at once; with parameters apart PostgreSQL takes only one."""
    binds_apart = connection.settings_dict["OPTIONS"].get("server_side_binding")
    return connection.vendor == "postgresql" and not (binds_apart or connection.in_atomic_block)


def clock_us() -> str:
    """Return SQL for the current time in integer microseconds since 1970, not the transaction's start."""
    return _CLOCK_US[connection.vendor]


def greatest() -> str:
    """Return the name of the SQL function that gives the greatest of its arguments."""
    return _GREATEST[connection.vendor]


_UNHURRIED = {
    "sqlite": "TRUE",
    "postgresql": "set_config('synchronous_commit', 'off', true) = 'off'",
}
_CLOCK_US = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)",
}
_GREATEST = {"sqlite": "MAX", "postgresql": "GREATEST"}


class Literal(Value):
    """A constant of our own code, written into the SQL instead of passed as a parameter."""

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        """Return the quoted constant without parameters."""
        return f"'{self.value}'", []


class RandomUuid(Func):
    """A new random UUID for each row."""

    template = "GEN_RANDOM_UUID()"
    output_field = UUIDField()

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> Any:
        """Make 32 hex digits, which is how Django stores UUIDs on SQLite."""
        return self.as_sql(compiler, connection, template="LOWER(HEX(RANDOMBLOB(16)))", **context)


def in_state(*states: models.TextChoices) -> Q:
    """Select rows in these states in a way that lets the database use a partial index on them.

    SQLite uses a partial index only if the SQL spells out its condition; a parameter could be anything.
    """
    first, *more = [Literal(state.value) for state in states]
    return Q(state__in=[first, *more]) if more else Q(state=first)
