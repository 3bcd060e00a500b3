"""The producer's own file: what it began and what was committed, appended with one write a line.

A line without a number says that a fact was begun, so that a producer that was killed can ask what became of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
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

    def left(self) -> tuple[list[Fact], int]:
        """Of what it is not known whether it was committed, and the highest ``n``: where to go on."""
        begun: dict[int, Fact] = {}
        last = 0
        for fact in self._lines():
            last = max(last, fact.n)
            if fact.number:
                begun.pop(fact.n, None)
            else:
                begun[fact.n] = fact
        return list(begun.values()), last

    def _lines(self) -> Iterator[Fact]:
        with self._path.open() as file:
            for line in file:
                yield Fact(**json.loads(line))
