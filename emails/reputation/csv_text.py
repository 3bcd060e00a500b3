"""Turn the bytes of a CSV file into rows with their line numbers; what is unclear is an error, not a guess."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence

SEPARATORS = (",", ";", "\t")
# The number of the line that a row begins on, and its cells.
Row = tuple[int, Sequence[str]]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# An Excel workbook of today (a ZIP archive), and one of before 2007.
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
# Excel writes and obeys such a first line.
_SEP = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)
_LINE_ENDS = re.compile(r"\r\n|\r|\n")


class Unreadable(Exception):
    """The file cannot be read as a whole; the message tells staff why."""


def decode(content: bytes) -> tuple[str, list[str]]:
    """Return the text, and what a person should know of how it was decoded.

    Spreadsheets save UTF-8 with and without a byte order mark, UTF-16 with one ("Unicode text"), or a code page.
    """
    if content.startswith(_WORKBOOKS):
        raise Unreadable("This is an Excel workbook. Save it as CSV in UTF-8 and try again.")
    for bom, encoding in _BOMS:
        if content.startswith(bom):
            try:
                return content[len(bom) :].decode(encoding), []
            except UnicodeDecodeError:
                raise Unreadable(f"The file begins as {encoding.upper()} and is not.") from None
    if content.count(b"\0") > len(content) // 4:
        raise Unreadable("This is not CSV in UTF-8. Save the file as CSV in UTF-8 and try again.")
    try:
        return content.decode(), []
    except UnicodeDecodeError as exc:
        line = len(_LINE_ENDS.findall(content[: exc.start].decode())) + 1
        note = f"The file is not UTF-8 (line {line}), so it was read as Windows-1252."
    try:
        return content.decode("cp1252"), [note]
    except UnicodeDecodeError:
        return content.decode("latin-1"), [note.replace("Windows-1252", "Latin-1")]


def named_separator(text: str) -> str:
    """Return the separator that a first line ``sep=;`` names; empty without one."""
    found = _SEP.match(text)
    return found[1] if found else ""


def rows(text: str, separator: str) -> Iterator[Row]:
    """Yield the rows that are not empty. Raises Unreadable for quotes that do not fit."""
    lines = iter(io.StringIO(text, newline=""))
    before = 0
    if _SEP.match(text):
        next(lines)
        before = 1
    if text.lstrip()[:1] in "[{" and text.strip():
        raise Unreadable("This is JSON, not CSV.")
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        begin = before + reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            raise Unreadable(_wrong(exc, begin)) from exc
        _refuse_swallowed(row, begin, end=before + reader.line_num, separator=separator)
        if any(cell.strip() for cell in row):
            yield begin, row


def _wrong(exc: csv.Error, line: int) -> str:
    if "unexpected end of data" in str(exc):
        return (
            f"Line {line} opens a quote that is never closed. Close it, or double it inside a text."
        )
    return f"The file is not CSV. Line {line}: {exc}."


def _refuse_swallowed(row: Sequence[str], begin: int, *, end: int, separator: str) -> None:
    """Refuse a quoted text that seems to hold rows: two quotes that do not belong together would hide them."""
    if end == begin:
        return
    for cell in row:
        for line in _LINE_ENDS.split(cell)[1:]:
            if separator in line and "@" in line and len(line.split(separator)) >= len(row):
                raise Unreadable(
                    f"The quoted text from line {begin} to line {end} holds what looks like other rows. Is a quote "
                    "missing, or one too many?"
                )
