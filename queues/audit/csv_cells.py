"""Write values into the cells of a CSV file, so that no spreadsheet runs one as a formula, and read them back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

# A spreadsheet would run a cell that begins with one of these as a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001  # full width, too
_PIECE = 16_384


def safe(value: object) -> str:
    """Return the text of a cell: a quote keeps a formula from running, and a time is in UTC and says so."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def plain(cell: str) -> str:
    """Undo ``safe``: remove the quote that it put before a formula."""
    return cell[1:] if cell[:1] == "'" and cell.lstrip("'").startswith(_FORMULA) else cell


def write(heading: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Yield the text of a file in pieces, the heading first; memory holds one piece."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(heading)
    for row in rows:
        writer.writerow([safe(value) for value in row])
        if buffer.tell() > _PIECE:
            yield _emptied(buffer)
    yield _emptied(buffer)


def _emptied(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
