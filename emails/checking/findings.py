"""What a check says of a template: the problem, where it stands, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from emails.rendering.syntax import Lines, Place

# What a person reads of one template; the rest are mostly consequences.
MAX_PROBLEMS = 100
_NAMES_SHOWN = 12
# The codes of what is bad and breaks nothing.
WARNINGS = frozenset({"clipped", "no-alt", "no-preheader"})


class Level(StrEnum):
    """How bad a problem is: an error bars the template from being saved and published."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, order=True)
class Problem:
    """One problem of a template; line and column are counted from one.

    ``code`` is a word for programs, ``message`` says what is wrong, and ``hint`` what to write instead.
    """

    file: str
    line: int
    column: int
    code: str
    message: str
    hint: str = ""
    level: Level = Level.ERROR

    def __str__(self) -> str:
        """Write the problem as compilers do: ``body.html.hbs:3:7: …``."""
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.level}: {self.message}.{hint}"


class TooMany(Exception):
    """The check ends here: there are enough problems, or it would take too long."""


class Findings:
    """Collects problems, each once: a partial is read at each of its calls."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._lines = {name: Lines(source) for name, source in files.items()}
        self._found: dict[tuple[str, Place, str], Problem] = {}

    def __iter__(self) -> Iterator[Problem]:
        """Yield the problems by file and place."""
        return iter(sorted(self._found.values()))

    def has_errors(self) -> bool:
        """Return True if any problem bars the template."""
        return any(problem.level == Level.ERROR for problem in self._found.values())

    def at(self, file: str, offset: int, code: str, message: str, hint: str = "") -> None:
        """Note an error at the character of a file that comes after ``offset`` others."""
        self.add(file, self._lines[file].place(offset), code, message, hint)

    def add(self, file: str, place: Place, code: str, message: str, hint: str = "") -> None:
        """Note a problem; raises TooMany with the last one that is kept."""
        level = Level.WARNING if code in WARNINGS else Level.ERROR
        problem = Problem(file, *place, code, message, hint, level)
        self._found.setdefault((file, place, code), problem)
        if len(self._found) >= MAX_PROBLEMS:
            raise TooMany


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the sentence that helps somebody who misspelt a name."""
    names = sorted(set(known))
    if close := get_close_matches(name, names, n=1, cutoff=0.6):
        return f'Did you mean "{close[0]}"?'
    if not names:
        return ""
    more = ", …" if len(names) > _NAMES_SHOWN else ""
    return f"There are: {', '.join(names[:_NAMES_SHOWN])}{more}."
