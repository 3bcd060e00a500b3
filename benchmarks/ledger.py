"""The producer's own file: what it began and what was committed, appended with one write a line.

A line without a number says that a fact was begun, so that a producer that was killed can ask what became of it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


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
        """What is written stands, whatever dies afterwards."""
        with self._path.open("ab", buffering=0) as file:
            os.write(file.fileno(), f"{json.dumps(asdict(fact))}\n".encode())

    def committed(self) -> list[Fact]:
        """In the order of their commits."""
        return [fact for fact in self._lines() if fact.number]

    def begun(self) -> list[Fact]:
        """Of which it is not known whether they were committed."""
        known = {fact.n for fact in self.committed()}
        return [fact for fact in self._lines() if not fact.number and fact.n not in known]

    def last(self) -> int:
        """The highest ``n``; 0 in an empty file."""
        return max((fact.n for fact in self._lines()), default=0)

    def _lines(self) -> list[Fact]:
        return [Fact(**json.loads(line)) for line in self._path.read_text().splitlines()]
