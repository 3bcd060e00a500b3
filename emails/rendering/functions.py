"""Write the Python functions that templates are compiled to (see ``emails.rendering.compiler``).

Their source consists of names that we make, and of ``repr()`` for the texts and numbers of a template. Nothing from
the data ever gets into it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple

from emails.rendering import values
from emails.rendering.values import Key, NoOutline

# Python nests twenty loops at most. What does not fit into one function becomes a function of its own when it is
# called first.
MAX_NESTED = 16
MAX_LINES = 5000
# So does a partial that is called inside itself, anew for each depth of the data, which has no end.
MAX_RECURSIONS = 1000
# A list that is repeated inside itself, and partials that call each other, multiply. A template may run this many
# statements for one file of an email, and have this many written.
MAX_STATEMENTS = 2_000_000
MAX_WRITTEN = 60_000

_WORDS = {"None", "True", "False"}
_OPTIONAL = {"else:"}
_words = re.compile(r"\w+").findall
_is_variable = re.compile(r"[A-Za-z]\w*").fullmatch


class Outline(NamedTuple):
    """A template's output without its values, which are not yet escaped.

    All emails of one shape (the same number of lines, the same branches) have the same key, so expensive work is done
    once for all of them.
    """

    module: Module
    key: Key
    values: list[str]

    @property
    def text(self) -> str:
        """The output with a numbered mark in the place of each value."""
        return self.module.outline(self.key)


class Module:
    """The functions of one template, with what they share.

    They print its text, or its shape: which of its pieces follow each other, apart from the values between them.
    """

    def __init__(self, emit: Callable[[Function], None], *, is_apart: bool) -> None:
        self.is_apart = is_apart
        self._names = count(1)
        self._globals: dict[str, Any] = {**values.RUNTIME}
        self._pieces: dict[int, tuple[str, ...]] = {}
        self._recursions = 0
        self._written = 0
        self._bodies = 0
        self._root = self._function("template", emit, ("s", "D", "N"))

    @property
    def is_full(self) -> bool:
        """Return True if a new module should take its place, so that its functions do not become ever more."""
        # A template alone, without recursion, is written only once.
        is_long = self._recursions > 0 and max(self._written, self._bodies) > MAX_WRITTEN // 2
        return is_long or self._recursions > MAX_RECURSIONS

    def text(self, context: object, data: Mapping[str, object]) -> str:
        """Print the template."""
        printed: list[str] = []
        self._root(printed, context, data, [MAX_STATEMENTS])
        return values.joined(printed)

    def shape(self, context: object, data: Mapping[str, object]) -> Outline:
        """Return the shape that the template takes for this data, and its values; raises NoOutline."""
        key: list[Any] = []
        apart: list[str] = []
        self._root(key, apart, context, data, [MAX_STATEMENTS])
        if len(apart) > values.MAX_MARKS:
            raise NoOutline
        return Outline(self, tuple(key), apart)

    def length(self, key: Key) -> int:
        """Return how many characters the text of a shape has, without indents, marks and values."""
        return sum(
            self.length(part[1]) if isinstance(part, tuple) else sum(map(len, self._pieces[part]))
            for part in key
        )

    def outline(self, key: Key) -> str:
        """Return the text of a shape, with a mark in the place of each value."""
        marks = iter(values.MARKS)
        return "".join(self._marked(part, marks) for part in key)

    def _marked(self, part: Any, marks: Iterator[str]) -> str:
        if isinstance(part, tuple):
            indent, inner = part
            return values.indented("".join(self._marked(each, marks) for each in inner), indent)
        texts: tuple[str, ...] = self._pieces[part]
        return texts[0] + "".join(f"{next(marks)}{text}" for text in texts[1:])

    def count_body(self) -> None:
        """Count a block or partial that is written, with each of its calls; raises TooMuch."""
        self._bodies += 1
        if self._bodies > MAX_WRITTEN:
            raise values.TooMuch("partials and blocks are called too often in each other")

    def name(self, prefix: str) -> str:
        """Return a new name."""
        return f"{prefix}{next(self._names)}"

    def constant(self, value: object) -> str:
        """Return the name of an object that the functions use."""
        name = f"c{id(value)}"
        self._globals[name] = value
        return name

    def piece(self, texts: tuple[str, ...]) -> int:
        """Return the number of a piece: the texts before, between and after its values."""
        number = next(self._names)
        self._pieces[number] = texts
        return number

    def later(
        self,
        emit: Callable[[Function], None],
        parameters: tuple[str, ...],
        *,
        is_recursion: bool = False,
    ) -> str:
        """Return the name of a function that is written when it is called first."""
        name = self.name("f")

        def first(*arguments: Any) -> None:
            self._recursions += is_recursion
            self._function(name, counted, parameters)(*arguments)

        def counted(code: Function) -> None:
            with code.counted("1"):
                emit(code)

        self._globals[name] = first
        return name

    def _function(
        self, name: str, emit: Callable[[Function], None], parameters: tuple[str, ...]
    ) -> Callable[..., None]:
        # Two threads may write the same function at the same time: either one is right.
        function = Function(self, parameters)
        if self._written > MAX_WRITTEN:
            raise values.TooMuch("partials and blocks are called too often in each other")
        emit(function)
        source = function.source(name)
        self._written += source.count("\n")
        exec(compile(source, "<template>", "exec"), self._globals)  # noqa: S102  # made from the template alone
        return self._globals[name]  # type: ignore[no-any-return]


class Function:
    """The source of one function while it is written: statements, in the order in which they run.

    An *atom* is the name of a variable, which has one value for good, or a constant. The same expression with the same
    atoms is evaluated once. So a helper must return the same for the same arguments.
    """

    def __init__(self, module: Module, parameters: tuple[str, ...]) -> None:
        self.module = module
        self._out: tuple[str, ...] = ("B", "V") if module.is_apart else ("o",)
        self._parameters = (*self._out, *parameters)
        self._lines: list[tuple[int, str, str]] = []
        self._level = 1
        self._nested = 0
        self._known: list[dict[str, str]] = [{}]
        # The text and the values that are printed next, one after the other.
        self._run: list[tuple[bool, str]] = []

    def source(self, name: str) -> str:
        """Return the source, without the variables that nothing uses and the branches that do nothing."""
        self.flush()
        self.line("return")
        lines, used, below = [], {*self._parameters}, 0
        for level, line, variable in reversed(self._lines):
            is_empty = line.endswith(":") and below <= level
            if (variable and variable not in used) or (is_empty and line in _OPTIONAL):
                continue
            used.update(_words(line))
            lines.append(" " * level + line + " pass" * is_empty)
            below = level
        head = f"def {name}({', '.join(self._parameters)}):"
        return "\n".join([head, *reversed(lines)])

    def line(self, line: str, *, defines: str = "") -> None:
        """Write a statement; it is left out if nobody uses the variable that it defines."""
        self._lines.append((self._level, line, defines))

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Write a compound statement around what is written meanwhile."""
        self.flush()
        self.line(head)
        self._level += 1
        self._known.append({})
        yield
        self.flush()
        self._known.pop()
        self._level -= 1

    @contextmanager
    def counted(self, times: str) -> Iterator[None]:
        """Count the statements that are written meanwhile against the limit, as often as they run."""
        self.flush()
        place = len(self._lines)
        self.line("")
        yield
        self.flush()
        cost = len(self._lines) - place
        self._lines[place] = (self._lines[place][0], f"spend(N, {times} * {cost})", "")

    @contextmanager
    def inner(self) -> Iterator[bool]:
        """Go into a body of the template; False if it must become a function of its own."""
        self._nested += 1
        yield self._nested <= MAX_NESTED and len(self._lines) <= MAX_LINES
        self._nested -= 1

    def later(
        self,
        emit: Callable[[Function], None],
        live: tuple[str, ...],
        *,
        is_recursion: bool = False,
    ) -> None:
        """Call a function that is written when it is called first; ``live`` are the variables that it needs."""
        self.flush()
        live = tuple(dict.fromkeys(live))
        name = self.module.later(emit, live, is_recursion=is_recursion)
        self.line(f"{name}({', '.join((*self._out, *live))})")

    def once(self, expression: str, *, known_as: str = "") -> str:
        """Return the variable with the value of an expression, which is evaluated only where it is not known yet.

        ``known_as`` stands for expressions that differ in the error that they raise.
        """
        known_as = known_as or expression
        for known in reversed(self._known):
            if found := known.get(known_as):
                return found
        name = self.module.name("t")
        self.line(f"{name} = {expression}")
        self._known[-1][known_as] = name
        return name

    def variable(self, atom: str) -> str:
        """Return a variable with the value of an atom, which may be a literal."""
        return atom if _is_variable(atom) and atom not in _WORDS else self.once(atom)

    def data(self, atom: str) -> str:
        """Return the variable with the value of an atom, which must not be a function."""
        variable = self.variable(atom)
        check = f"if type({variable}) is not str and callable({variable}): data({variable})"
        if not any(check in known for known in self._known):
            self.line(check)
            self._known[-1][check] = variable
        return variable

    def fail(self, error: type[Exception], text: str) -> str:
        """Raise an error; returns an atom for what comes after it, which never runs."""
        self.line(f"raise {error.__name__}({text!r})")
        return "None"

    def text(self, text: str) -> None:
        """Print a text of the template."""
        if text:
            self._run.append((False, text))

    def value(self, atom: str) -> None:
        """Print a variable, a text that is escaped already or stays apart."""
        self._run.append((True, atom))

    def flush(self) -> None:
        """Write the statements that print what was to be printed."""
        run, self._run = self._run, []
        atoms = [atom for is_value, atom in run if is_value]
        if not self.module.is_apart:
            joined = [text if is_value else repr(text) for is_value, text in run]
            self._print(self._out[0], joined)
        elif run:
            texts = [""]
            for is_value, text in run:
                texts.append("") if is_value else texts.append(texts.pop() + text)
            self._print(self._out[0], [str(self.module.piece(tuple(texts)))])
            self._print(self._out[1], atoms)

    def _print(self, out: str, parts: list[str]) -> None:
        if parts:
            self.line(f"{out} += ({', '.join(parts)},)")

    @contextmanager
    def kept(self) -> Iterator[tuple[str, ...]]:
        """Keep what is printed meanwhile in lists of its own, whose names are given."""
        self.flush()
        before, self._out = self._out, tuple(map(self.module.name, self._out))
        for name in self._out:
            self.line(f"{name} = []")
        yield self._out
        self.flush()
        self._out = before

    def indented(self, kept: tuple[str, ...], indent: str) -> None:
        """Print kept lines with an indent."""
        if not self.module.is_apart:
            self.value(f"indented(joined({kept[0]}), {indent!r})")
            return
        self.line(f"unbroken({kept[1]})")
        self.line(f"{self._out[0]} += (({indent!r}, tuple({kept[0]})),)")
        self.line(f"{self._out[1]} += {kept[1]}")
