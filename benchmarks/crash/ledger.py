"""The producer's own file: what it began and what was committed, appended with one write a line.

A line without a number says that a fact was begun, so that a producer that was killed can ask what became of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

# More than any line has.
LINE_BYTES = 1024


@dataclass(frozen=True)
class Fact:
    """An order or a transaction. ``number`` is empty until it is committed; ``account`` is for transactions."""

    n: int
    recipient: str
    account: str = ""
    number: str = ""


class Ledger:
    """One producer writes at a time; anybody reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def add(self, fact: Fact) -> None:
        """Append a fact; it stands whatever dies afterwards."""
        with self._path.open("ab", buffering=0) as file:
            os.write(file.fileno(), f"{json.dumps(asdict(fact))}\n".encode())

    def committed(self) -> list[Fact]:
        """Return the committed facts in the order of their commits."""
        return [fact for fact in self._lines() if fact.number]

    def count(self) -> int:
        """Count the committed facts without reading them: each has two lines, the first when it was begun."""
        return self._path.read_bytes().count(b"\n") // 2

    def last(self) -> Fact | None:
        """Return the fact to go on from: without a number it may or may not be committed; all before it are."""
        with self._path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LINE_BYTES))
            lines = file.read().splitlines()
        return Fact(**json.loads(lines[-1])) if lines else None

    def _lines(self) -> Iterator[Fact]:
        with self._path.open() as file:
            for line in file:
                yield Fact(**json.loads(line))
