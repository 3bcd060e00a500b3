"""Export what a list's filter shows as CSV: in short queries, so that memory stays flat and no query takes long."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from queues.audit import csv_cells

BATCH = 2000
Values = tuple[Any, ...]


@dataclass(frozen=True)
class Export:
    """What the file of a list holds: its columns are fields of the model. It takes a permission of its own."""

    permission: str
    columns: Sequence[str]
    # The names of the columns in the file, if they differ.
    headings: Sequence[str] = ()


def respond(
    request: HttpRequest,
    rows: QuerySet[Any],
    export: Export,
    *,
    filter_words: str,
    cells: Callable[[Values], Sequence[object]],
) -> StreamingHttpResponse:
    """Stream the rows, newest first. The log says who exported what; at the end, how many rows there were.

    ``cells`` makes the cells of a row from the values of its columns: it masks what this user may not see.
    """
    name = str(rows.model._meta.verbose_name_plural)
    what = f"Exported {name}, {filter_words}"
    entry = LogEntry.objects.create(
        user_id=cast(int, request.user.pk),
        content_type=ContentType.objects.get_for_model(rows.model),
        object_repr=f"{name} as CSV",
        action_flag=CHANGE,
        change_message=f"{what}: not finished.",
    )
    found = (cells(values) for values in _counted(rows, export.columns, entry=entry, what=what))
    file = f"{name.replace(' ', '-')}-{timezone.localdate():%Y-%m-%d}.csv"
    return StreamingHttpResponse(
        csv_cells.write(export.headings or export.columns, found),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{file}"'},
    )


def _counted(
    rows: QuerySet[Any], columns: Sequence[str], *, entry: LogEntry, what: str
) -> Generator[Values]:
    """Yield the values of each row, and write down how many were read: all, or those until the reader went away."""
    count, end = 0, "stopped after"
    try:
        for key_and_values in _read(rows, columns):
            count += 1
            yield key_and_values[1:]
        end = "all"
    finally:
        words = f"{what}: {end} {count:,} row{'' if count == 1 else 's'}."
        LogEntry.objects.filter(pk=entry.pk).update(change_message=words)


def _read(rows: QuerySet[Any], columns: Sequence[str]) -> Iterator[Values]:
    """Read by key in batches: each query is short, and none holds a snapshot while somebody's network is slow."""
    rows = rows.select_related(None).order_by("-pk").values_list("pk", *columns)
    batch = list(rows[:BATCH])
    while batch:
        yield from batch
        batch = list(rows.filter(pk__lt=batch[-1][0])[:BATCH])
