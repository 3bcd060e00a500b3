"""Read and write the suppression list as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from emails.models import Suppression
from emails.reputation.suppressions import Entry, Source
from queues import addresses

MAX_BYTES = 2 * 1024 * 1024
MAX_ROWS = 20_000
COLUMNS = ("address", "state", "source", "reason", "since", "added_by", "lifted_at")

# Names of the column in exports of SES's console and API, and other usual ones.
_ADDRESS = ("address", "email", "emailaddress", "email address", "recipient")
_REASON = ("reason", "note")
# A spreadsheet would run a cell that begins with one of these as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass
class Read:
    """The content of a file. ``wrong`` lists the lines without an address; ``problem`` is about the whole file."""

    entries: list[Entry] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)
    problem: str = ""


def read(content: bytes, *, reason: str, by: str) -> Read:
    """Read addresses, each with its reason from the file or else the one given.

    The file has a heading line, or each line begins with the address.
    """
    found = Read()
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    except UnicodeDecodeError:
        found.problem = "The file is not UTF-8 text. Save it as CSV in UTF-8 and try again."
        return found
    except csv.Error as exc:
        found.problem = f"The file is not CSV: {exc}."
        return found
    rows, first = [[cell.strip() for cell in row] for row in rows], 1
    address, why = 0, None
    if (
        rows
        and (heading := [cell.lower() for cell in rows[0]])
        and not _is_address("".join(rows[0][:1]))
    ):
        address = next((heading.index(name) for name in _ADDRESS if name in heading), -1)
        why = next((heading.index(name) for name in _REASON if name in heading), None)
        rows, first = rows[1:], 2
    if address < 0:
        found.problem = "The first line has no column “address” and is not an address itself."
    elif len(rows) > MAX_ROWS:
        found.problem = f"The file has {len(rows):,} lines. Import at most {MAX_ROWS:,} at once."
    if found.problem:
        return found
    for number, row in enumerate(rows, first):
        if not any(row):
            continue
        cell = _plain(row[address]) if len(row) > address else ""
        if not _is_address(cell):
            found.wrong.append(number)
            continue
        said = _plain(row[why]) if why is not None and len(row) > why else ""
        found.entries.append(Entry(cell, Source.IMPORT, said or reason, by))
    return found


def write(rows: Iterable[Suppression]) -> Iterator[str]:
    """Yield the CSV text in pieces, the heading first."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_safe(getattr(row, name)) for name in COLUMNS])
        if buffer.tell() > 16_384:
            yield _emptied(buffer)
    yield _emptied(buffer)


def _emptied(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _safe(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _plain(cell: str) -> str:
    """Undo ``_safe``: remove the quote that it put before a formula character."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_FORMULA) else cell


def _is_address(cell: str) -> bool:
    try:
        addresses.deliverable(_plain(cell.strip()))
    except addresses.Undeliverable:
        return False
    return True
