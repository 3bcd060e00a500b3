"""The syntax tree of a Handlebars template, as ``emails.rendering.parser`` makes it and the compiler reads it."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

from emails.rendering.values import text_of

_begins_here = re.compile(r"^\.|this\b").search


class Place(NamedTuple):
    """A position in a template, both counted from one."""

    line: int
    column: int

    def __str__(self) -> str:
        """Say where, for an error message."""
        return f"line {self.line}, column {self.column}"


class Lines:
    """Finds the line and column of a character of a template."""

    def __init__(self, source: str) -> None:
        self._begins = [0, *(index + 1 for index, char in enumerate(source) if char == "\n")]

    def place(self, at: int) -> Place:
        """Return the position of the character that comes after ``at`` others."""
        line = bisect_right(self._begins, at)
        return Place(line, at - self._begins[line - 1] + 1)


class BadTemplate(ValueError):
    """A template that cannot be compiled; the text begins with line and column."""

    def __init__(self, problem: str, place: Place) -> None:
        super().__init__(f"{place}: {problem}")
        self.problem = problem
        self.place = place


@dataclass(frozen=True, slots=True)
class Path:
    """A name such as ``a.b``, ``../a``, ``this`` or ``@index``; ``climbs`` counts the ``..`` before the parts."""

    text: str
    place: Place
    parts: tuple[str, ...]
    climbs: int = 0
    is_data: bool = False

    @property
    def is_scoped(self) -> bool:
        """Return True if the path says that it begins at the value where we are: ``this.name`` or ``./name``."""
        return _begins_here(self.text) is not None

    @property
    def is_simple(self) -> bool:
        """Return True if this could be the name of a helper."""
        is_here = len(self.parts) == 1 and not self.climbs and not self.is_data
        return is_here and not self.is_scoped


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, a number, a boolean, ``null`` or ``undefined``."""

    text: str
    place: Place
    value: str | float | None


@dataclass(frozen=True, slots=True)
class Call:
    """A name with its arguments; without arguments it may be a variable as well as a helper."""

    name: Path
    arguments: tuple[Argument, ...]
    named: dict[str, Argument]

    @property
    def has_arguments(self) -> bool:
        """Return True if only a helper can be meant."""
        return bool(self.arguments or self.named)


Argument = Path | Literal | Call


class Strip(NamedTuple):
    """Whether a tag has ``~`` at its beginning and at its end: the white space there goes away."""

    before: bool = False
    after: bool = False


@dataclass(slots=True)
class Text:
    """Characters that are printed as they are; ``original`` still has the white space that tags took away.

    ``at`` counts the characters of the template before ``original``.
    """

    value: str
    original: str
    at: int
    is_left_stripped: bool = False
    is_right_stripped: bool = False


@dataclass(slots=True)
class Comment:
    """A comment; it prints nothing."""

    strip: Strip


@dataclass(slots=True)
class Mustache:
    """A value to print, ``{{name}}``; ``{{{name}}}`` does not escape it."""

    call: Call
    is_escaped: bool
    strip: Strip


@dataclass(slots=True)
class Program:
    """Nodes that follow each other, with the names that their block gives to its values (``as |name|``).

    The program of an ``{{else if}}`` is chained: it has only the block of this ``if``.
    """

    nodes: list[Node] = field(default_factory=list)
    names: tuple[str, ...] = ()
    is_chained: bool = False


@dataclass(slots=True)
class Block:
    """A block and its ``{{else}}``; ``{{^name}}`` may have the second alone."""

    call: Call
    body: Program | None
    inverse: Program | None
    opening: Strip
    middle: Strip
    closing: Strip


@dataclass(slots=True)
class Partial:
    """A partial, ``{{> name}}``; ``indent`` is the white space before it if it stands alone on its line."""

    name: Argument
    context: Argument | None
    named: dict[str, Argument]
    strip: Strip
    indent: str = ""


@dataclass(slots=True)
class PartialBlock:
    """A partial with a block for it, ``{{#> name}}``; the block is printed if there is no such partial."""

    name: Argument
    context: Argument | None
    named: dict[str, Argument]
    body: Program
    opening: Strip
    closing: Strip


@dataclass(slots=True)
class Inline:
    """A partial that the template itself defines, ``{{#*inline "name"}}``."""

    name: str
    body: Program
    opening: Strip
    closing: Strip


Node = Text | Comment | Mustache | Block | Partial | PartialBlock | Inline


def partial_name(name: Path | Literal) -> str:
    """Return the name of the partial that is called by this name."""
    if isinstance(name, Path):
        return name.text.replace("[", "").replace("]", "")
    return text_of(name.value)


def called_partials(program: Program | None) -> set[str] | None:
    """Return the names of the partials that a template calls; None if the data chooses one of them."""
    called: set[str] = set()
    for node in program.nodes if program else ():
        if isinstance(node, Partial | PartialBlock):
            if isinstance(node.name, Call):
                return None
            called.add(partial_name(node.name))
        for inner in _programs(node):
            found = called_partials(inner)
            if found is None:
                return None
            called |= found
    return called


def _programs(node: Node) -> tuple[Program | None, ...]:
    match node:
        case Block():
            return node.body, node.inverse
        case PartialBlock() | Inline():
            return (node.body,)
    return ()
