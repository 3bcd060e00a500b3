"""Change big tables while old processes read and write them.

Sources: PostgreSQL manual, "CREATE INDEX", "Building Indexes Concurrently", and "ALTER TABLE"; CONTRIBUTING.md has the
rule, and ``tests/test_migrations.py`` holds migrations to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from django.db import NotSupportedError
from django.db.migrations.operations import AddConstraint, AddIndex, AlterField, RemoveIndex
from django.db.models import Index, Model, QuerySet

M = TypeVar("M", bound=Model)
BATCH = 2000


class AddIndexOnline(AddIndex):
    """Add an index without locking the table against readers and writers; the migration needs ``atomic = False``.

    It may run again after it failed or was killed: an index that is there stays, and PostgreSQL's half-built one is
    dropped first.
    """

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Build the index, unless it is there."""
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        add_index(schema_editor, model, self.index)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Remove the index, if it is there."""
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            remove_index(schema_editor, model, self.index)


class RemoveIndexOnline(RemoveIndex):
    """Remove an index as ``AddIndexOnline`` adds one; the migration needs ``atomic = False``."""

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Remove the index, if it is there."""
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            index = from_state.models[app_label, self.model_name_lower].get_index_by_name(self.name)
            remove_index(schema_editor, model, index)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Build the index again, unless it is there."""
        index = to_state.models[app_label, self.model_name_lower].get_index_by_name(self.name)
        AddIndexOnline(self.model_name, index).database_forwards(
            app_label, schema_editor, from_state, to_state
        )


class UnindexFieldOnline(AlterField):
    """Remove the indexes of a field that had ``db_index``, as ``RemoveIndexOnline`` does; its column stays as it is.

    On PostgreSQL a text has two of them: the second, for ``startswith``, costs each write as much as the first.
    """

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Remove the indexes that are there."""
        model = from_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        option = " CONCURRENTLY" if _concurrently(schema_editor) else ""
        for name in _names_of_field(schema_editor, model, self.name):
            schema_editor.execute(f"DROP INDEX{option} IF EXISTS {schema_editor.quote_name(name)}")

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Build the indexes again."""
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        option = " CONCURRENTLY" if _concurrently(schema_editor) else ""
        for statement in schema_editor._field_indexes_sql(model, model._meta.get_field(self.name)):
            schema_editor.execute(
                str(statement).replace("CREATE INDEX", f"CREATE INDEX{option} IF NOT EXISTS", 1)
            )


class AddUniqueOnline(AddConstraint):
    """Add a unique constraint with expressions, which is an index, as ``AddIndexOnline`` adds one."""

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Build the index, unless it is there; a half-built one is dropped first."""
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        option = " CONCURRENTLY" if _concurrently(schema_editor) else ""
        name = schema_editor.quote_name(self.constraint.name)
        if _is_half_built(schema_editor, self.constraint.name):
            schema_editor.execute(f"DROP INDEX{option} {name}")
        if not _exists(schema_editor, model, self.constraint.name):
            statement = str(self.constraint.create_sql(model, schema_editor))
            schema_editor.execute(
                statement.replace("CREATE UNIQUE INDEX", f"CREATE UNIQUE INDEX{option}", 1)
            )


def add_index(schema_editor: Any, model: type[Model], index: Any) -> None:
    """Build an index as ``AddIndexOnline`` does; for ``RunPython`` on a table of Django's own, too."""
    if _is_half_built(schema_editor, index.name):
        remove_index(schema_editor, model, index)
    if not _exists(schema_editor, model, index.name):
        schema_editor.add_index(model, index, **_concurrently(schema_editor))


def remove_index(schema_editor: Any, model: type[Model], index: Any) -> None:
    """Remove an index, if it is there, as ``RemoveIndexOnline`` does."""
    if _exists(schema_editor, model, index.name):
        schema_editor.remove_index(model, index, **_concurrently(schema_editor))


def batches(rows: QuerySet[M], *, size: int = 1000) -> Iterator[QuerySet[M]]:
    """Cut rows into batches, in the order of their keys; each batch is to be one short UPDATE of its own transaction.

    The whole table is read once. Use it in a migration with ``atomic = False``, on a condition that a row that was
    updated does not meet any more, so that the migration may run again.
    """
    pks = list(rows.order_by("pk").values_list("pk", flat=True)[:size])
    while pks:
        yield rows.filter(pk__in=pks)
        pks = list(rows.filter(pk__gt=pks[-1]).order_by("pk").values_list("pk", flat=True)[:size])


def not_ascii(rows: QuerySet[Any], column: str) -> Iterator[tuple[Any, str]]:
    """Yield key and text of the rows whose text in this column is not ASCII, reading the table in short batches."""
    start = rows.order_by("pk")
    batch = list(start.values_list("pk", column)[:BATCH])
    while batch:
        yield from ((pk, text) for pk, text in batch if not text.isascii())
        batch = list(start.filter(pk__gt=batch[-1][0]).values_list("pk", column)[:BATCH])


def _concurrently(schema_editor: Any) -> dict[str, bool]:
    """Return the option to build or drop without a lock; SQLite has none, and locks the whole file for each write."""
    connection = schema_editor.connection
    if connection.in_atomic_block:
        raise NotSupportedError("Set atomic = False on the migration.")
    if connection.vendor != "postgresql":
        return {}
    # A time limit for the statements of pages must not end the building of an index.
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    return {"concurrently": True}


def _names_of_field(schema_editor: Any, model: type[Model], name: str) -> list[str]:
    """Return the names of the indexes that Django made for the field itself, not for ``Meta.indexes``."""
    field: Any = model._meta.get_field(name)
    others = {index.name for index in model._meta.indexes}
    # Django names none of its own, and looks for them in this way.
    return list(
        schema_editor._constraint_names(
            model, [field.column], index=True, unique=False, type_=Index.suffix, exclude=others
        )
    )


def _exists(schema_editor: Any, model: type[Model], name: str) -> bool:
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        return name in connection.introspection.get_constraints(cursor, model._meta.db_table)


def _is_half_built(schema_editor: Any, name: str) -> bool:
    """True for an index that PostgreSQL began and did not finish: it costs each write, and no query uses it."""
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid",
            [schema_editor.quote_name(name)],
        )
        return cursor.fetchone() is not None
