"""Write the suppression list as CSV, and read such a file, or one of another email service, back."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from emails.models import Suppression
from emails.reputation import csv_text
from emails.reputation.csv_text import Unreadable
from emails.reputation.suppressions import Entry, Source
from queues import addresses
from queues.audit import csv_cells

MAX_ROWS = 100_000
COLUMNS = ("address", "state", "source", "reason", "since", "added_by", "lifted_at")

# How headings are called, without spaces, case and signs, the surest first: Amazon SES, Postmark, SendGrid, Brevo,
# Mailchimp ("Email Address" beside a postal "Address"), SparkPost ("recipient"), Mailgun ("address").
_ADDRESS = ("emailaddress", "email", "recipientemail", "recipient", "mail", "address")
# SES, SendGrid, Brevo; Postmark; Mailchimp; Mailgun; SparkPost.
_REASON = ("reason", "suppressionreason", "unsubreason", "error", "description", "note")


@dataclass(frozen=True)
class Refused:
    """A line of the file that holds no suppression, and why."""

    line: int
    why: str


@dataclass
class Read:
    """The content of a file: each address once. ``problem`` is about the whole file: then there are no entries."""

    entries: list[Entry] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    # How many lines name an address that another line names already.
    repeated: int = 0
    # What a person should know of how the file was read.
    notes: list[str] = field(default_factory=list)
    problem: str = ""

    @property
    def wrong(self) -> list[int]:
        """The numbers of the refused lines, as an editor counts them."""
        return [refused.line for refused in self.refused]


@dataclass(frozen=True)
class _Columns:
    """Where the columns of a file are. A file that is our own export has all of ``own``."""

    address: int
    reason: int | None = None
    own: Mapping[str, int] = field(default_factory=dict)


def read(content: bytes, *, reason: str, by: str) -> Read:
    """Read addresses, each with its reason from the file or else the one given.

    The file has a heading line, or its first line has an address in some column. Our own export keeps its states,
    sources, times and names.
    """
    found = Read()
    try:
        text, found.notes = csv_text.decode(content)
        rows = list(islice(csv_text.rows(text, _separator(text)), MAX_ROWS + 2))
        columns, below = _heading(rows, found.notes)
    except Unreadable as exc:
        found.problem = str(exc)
        return found
    if len(below) > MAX_ROWS:
        found.problem = f"The file has more than {MAX_ROWS:,} lines. Split it."
        return found
    entries: dict[str, Entry] = {}
    for line, row in below:
        try:
            entry = _entry(row, columns, Entry("", Source.IMPORT, reason, by))
        except ValueError as exc:
            found.refused.append(Refused(line, str(exc)))
            continue
        found.repeated += addresses.key(entry.address) in entries
        # A suppressed address stays so, however often the file lists it as lifted.
        known = entries.setdefault(addresses.key(entry.address), entry)
        if known.lifted_at and not entry.lifted_at:
            entries[addresses.key(entry.address)] = entry
    found.entries = list(entries.values())
    return found


def address_in(cell: str) -> str:
    """Return the email address in a cell of a file, without invisible characters around or in it.

    Raises ValueError, in words for staff, where the cell holds no address.
    """
    text = addresses.as_typed(cell)
    if not text:
        raise ValueError("no address")
    if "@" not in text:
        raise ValueError(f"“{_shown(cell)}” is not an email address")
    try:
        return addresses.deliverable(text)
    except addresses.Undeliverable as exc:
        raise ValueError(f"“{_shown(cell)}”: {exc}") from None


def write(rows: Iterable[Suppression]) -> Iterator[str]:
    """Yield the CSV text in pieces, the heading first."""
    return csv_cells.write(COLUMNS, ([getattr(row, name) for name in COLUMNS] for row in rows))


def _separator(text: str) -> str:
    """Return the separator with which the first line has an address, or names a column of them, and most cells."""

    def fits(separator: str) -> tuple[bool, int]:
        try:
            row = next(csv_text.rows(text, separator))[1]
        except (Unreadable, StopIteration):
            return False, 0
        return _address_column(row) is not None or _first_address(row) is not None, len(row)

    return csv_text.named_separator(text) or max(csv_text.SEPARATORS, key=fits)


def _heading(
    rows: Sequence[csv_text.Row], notes: list[str]
) -> tuple[_Columns, Sequence[csv_text.Row]]:
    """Return the columns and the rows below the heading, if there is one; add a note of what was taken for what."""
    if not rows:
        raise Unreadable("The file is empty.")
    line, row = rows[0]
    if (first := _first_address(row)) is not None:
        notes.append(f"No heading: the addresses are in column {first + 1}.")
        return _Columns(first), rows
    names = [_name(cell) for cell in row]
    address = _address_column(row)
    if address is None:
        raise Unreadable(
            f"Line {line} has no column “email” or “address”, and no address either. The first line must name the "
            "columns, or hold an address."
        )
    if names.count(names[address]) > 1:
        raise Unreadable(
            f"Line {line} names two columns “{row[address]}”. Which holds the address?"
        )
    own = {name: names.index(_name(name)) for name in COLUMNS if _name(name) in names}
    reason = next((names.index(name) for name in _REASON if name in names), None)
    is_own = {"address", "state", "lifted_at"} <= own.keys()
    words = "" if reason is None else f", the reasons in “{row[reason]}”"
    notes.append(
        "An export of Notifier: it keeps its states, sources, times and names."
        if is_own
        else f"The addresses are in the column “{row[address]}”{words}."
    )
    return _Columns(address, reason, own if is_own else {}), rows[1:]


def _address_column(row: Sequence[str]) -> int | None:
    names = [_name(cell) for cell in row]
    return next((names.index(name) for name in _ADDRESS if name in names), None)


def _first_address(row: Sequence[str]) -> int | None:
    for number, cell in enumerate(row):
        try:
            address_in(csv_cells.plain(cell))
        except ValueError:
            continue
        return number
    return None


def _name(cell: str) -> str:
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", cell)).casefold()


def _entry(row: Sequence[str], columns: _Columns, given: Entry) -> Entry:
    if len(row) <= columns.address:
        raise ValueError(f"only {len(row)} of the {columns.address + 1} cells up to the address")
    address = address_in(csv_cells.plain(row[columns.address].strip()))
    if columns.own:
        return _own_entry(
            address, {name: _cell(row, at) for name, at in columns.own.items()}, given
        )
    said = "" if columns.reason is None else _cell(row, columns.reason).strip()
    return Entry(address, given.source, said or given.reason, given.added_by)


def _own_entry(address: str, cells: Mapping[str, str], given: Entry) -> Entry:
    """Return what our own export said of an address, unchanged."""
    state = cells["state"] or "active"
    if state not in Suppression.State:
        raise ValueError(f"the state “{_shown(state)}” is none of {', '.join(Suppression.State)}")
    source = cells.get("source") or given.source
    if source not in Source:
        raise ValueError(f"the source “{_shown(source)}” is none of {', '.join(Source)}")
    lifted_at = _time(cells["lifted_at"]) if state == Suppression.State.LIFTED else None
    if state == Suppression.State.LIFTED and not lifted_at:
        raise ValueError("lifted, and no time in “lifted_at”")
    return Entry(
        address,
        Source(source),
        cells.get("reason", given.reason),
        cells.get("added_by", given.added_by)[:150],
        since=_time(cells.get("since", "")),
        lifted_at=lifted_at,
    )


def _time(cell: str) -> datetime | None:
    if not cell:
        return None
    try:
        time = datetime.fromisoformat(cell)
    except ValueError:
        raise ValueError(
            f"“{_shown(cell)}” is not a time such as 2026-11-22T10:00:00+00:00"
        ) from None
    # Beyond these years a time zone may lead out of the calendar.
    if time.tzinfo is None or not 1970 <= time.year <= 9000:
        raise ValueError(f"“{_shown(cell)}” is no time with a zone from the years 1970 to 9000")
    return time.astimezone(UTC)


def _cell(row: Sequence[str], at: int) -> str:
    """Return a cell as it was before an export made it safe; a short row ends with empty cells."""
    cell = csv_cells.plain(row[at]) if len(row) > at else ""
    return "".join(each if each in "\t\r\n" or each.isprintable() else " " for each in cell)


def _shown(cell: str) -> str:
    """Return what of a cell a message can quote."""
    text = "".join(each if each.isprintable() else "�" for each in cell.strip())
    return text if len(text) <= 60 else f"{text[:59]}…"
