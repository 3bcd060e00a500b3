"""Operations for migrations of big tables, while processes of the release before read and write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import migrations
from django.db.models import QuerySet

BATCH = 2000


class AddIndexOnline(migrations.AddIndex):
    """Add an index without blocking writers; the migration needs ``atomic = False``.

    Source: PostgreSQL's documentation, CREATE INDEX, "Building Indexes Concurrently".
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Create it ``CONCURRENTLY`` on PostgreSQL; SQLite has one writer anyway."""
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        elif self.allow_migrate_model(
            schema_editor.connection.alias,
            model := to_state.apps.get_model(app_label, self.model_name),
        ):
            schema_editor.add_index(model, self.index, concurrently=True)


def not_ascii(rows: QuerySet[Any], column: str) -> Iterator[tuple[Any, str]]:
    """Yield key and text of the rows whose text in this column is not ASCII, reading the table in short batches."""
    start = rows.order_by("pk")
    batch = list(start.values_list("pk", column)[:BATCH])
    while batch:
        yield from ((pk, text) for pk, text in batch if not text.isascii())
        batch = list(start.filter(pk__gt=batch[-1][0]).values_list("pk", column)[:BATCH])
