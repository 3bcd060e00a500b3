"""Pieces of SQL that Django has no word for, on PostgreSQL and SQLite."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

from django.db import connection, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, Q, UUIDField, Value
from django.db.models.functions import Now
from django.db.models.sql import Query
from django.db.models.sql.compiler import SQLCompiler


def moment(ahead: timedelta = timedelta()) -> tuple[str, list[Any]]:
    """SQL and parameters of the database's own time, so far ahead: for statements written out."""
    sql, params = _moment(connection.vendor, ahead)
    return sql, [*params]


def due_in(ahead: timedelta) -> Any:
    """The database's own time, so far ahead, for the ORM.

    SQLite compares texts, and writes a sum with more digits: now and nothing would come after now.
    """
    return Now() + ahead if ahead else Now()


@cache
def _moment(vendor: str, ahead: timedelta) -> tuple[str, tuple[Any, ...]]:
    # Of no model: it names no column.
    query = Query(None)
    sql, params = query.get_compiler(connection=connection).compile(
        due_in(ahead).resolve_expression(query)
    )
    return sql, tuple(params)


def unhurried() -> str:
    """A condition that holds, and lets the statement's commit return before the disk has it.

    For what may be lost when the database's machine fails, and is seen by everybody until then. What is committed
    later, and waits for the disk, takes it along. In a transaction it changes nothing: the rest must not be lost.
    """
    return "TRUE" if connection.in_atomic_block else _UNHURRIED[connection.vendor]


def clock_us() -> str:
    """SQL of the database's own time in microseconds since 1970, an integer; not that of the transaction."""
    return _CLOCK_US[connection.vendor]


def greatest() -> str:
    """The name of the function that gives the greatest of its arguments."""
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
    """A word of ours, spelt out in the SQL instead of passed beside it."""

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        """The word alone, without parameters."""
        return f"'{self.value}'", []


class RandomUuid(Func):
    """A new one for each row."""

    template = "GEN_RANDOM_UUID()"
    output_field = UUIDField()

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> Any:
        """Django keeps UUIDs as 32 hex digits there."""
        return self.as_sql(compiler, connection, template="LOWER(HEX(RANDOMBLOB(16)))", **context)


def in_state(*states: models.TextChoices) -> Q:
    """Rows of these states, by the partial index on just them, where there is one.

    SQLite recognises the condition of an index only where the SQL spells it out; a parameter could be anything.
    """
    first, *more = [Literal(state.value) for state in states]
    return Q(state__in=[first, *more]) if more else Q(state=first)
