"""Keep what a template can see at one place: the value where it is, those outside, names, and what it has asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from emails.checking.shapes import NUMBER, TRUTH, UNKNOWN, Shape
from emails.rendering.syntax import Program

# One value of the event: where it comes from, and the names that lead from there to it.
Fact = tuple[object, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Value:
    """A value and what it can be; two with the same ``owner`` and ``path`` are the same value of the event."""

    shape: Shape
    owner: object = field(default_factory=object)
    path: tuple[str, ...] = ()

    @property
    def fact(self) -> Fact:
        """What a block knows once it has asked for this value."""
        return self.owner, self.path

    def names(self) -> set[str]:
        """Return the names that the value is known to have."""
        return self.shape.names()

    def step(self, name: str, facts: frozenset[Fact]) -> tuple[Value, bool] | None:
        """Return the value inside this one, and whether it is there for sure; None if no data has it."""
        found = self.shape.step(name, is_null_excluded=self.fact in facts)
        if found is None:
            return None
        inner = Value(found.shape, self.owner, (*self.path, name))
        return inner, found.is_sure or inner.fact in facts


@dataclass(frozen=True, eq=False)
class Overlaid(Value):
    """The context of a partial that is called with named arguments, which come before the names of the context."""

    base: Value = field(default_factory=lambda: Value(UNKNOWN))
    named: Mapping[str, Value] = field(default_factory=dict)

    def names(self) -> set[str]:
        """Return the names that the value is known to have."""
        return {*self.named, *self.base.names()}

    def step(self, name: str, facts: frozenset[Fact]) -> tuple[Value, bool] | None:
        """Return the value inside this one, and whether it is there for sure; None if no data has it."""
        given = self.named.get(name)
        return (given, True) if given is not None else self.base.step(name, facts)


@dataclass(frozen=True, eq=False)
class Callee:
    """A partial: of a file, or written in the template; then ``around`` is where it is written."""

    file: str
    program: Program
    around: Scope | None = None
    is_block: bool = False


@dataclass(frozen=True)
class Scope:
    """One place in a template while it is walked through."""

    file: str
    here: Value
    outer: Any = None
    names: tuple[Mapping[str, Value], ...] = ()
    frame: Mapping[str, Value] = field(default_factory=dict)
    outer_frame: Any = None
    known: Mapping[str, Callee] = field(default_factory=dict)
    block: Callee | None = None
    facts: frozenset[Fact] = frozenset()
    active: frozenset[int] = frozenset()
    depth: int = 0

    def within(self, value: Value, names: Mapping[str, Value] | None = None) -> Scope:
        """Return the scope one step inside a value; a step into the value where we are is none."""
        outer = self.outer if value is self.here else (self.here, self.outer)
        given = (names, *self.names) if names else self.names
        return replace(self, here=value, outer=outer, names=given)

    def repeated(self, item: Value, key: Value) -> Scope:
        """Return the scope in which the body of an ``{{#each}}`` is printed."""
        truth, number = Value(TRUTH), Value(NUMBER)
        place = {"key": key, "index": number, "first": truth, "last": truth}
        inner = replace(
            self, frame={**self.frame, **place}, outer_frame=(self.frame, self.outer_frame)
        )
        return inner.within(item)

    def knowing(self, facts: frozenset[Fact]) -> Scope:
        """Return the scope in which these values were asked for."""
        return replace(self, facts=self.facts | facts)

    def given(self, name: str) -> Value | None:
        """Return the value to which a block gave this name."""
        return next((names[name] for names in self.names if name in names), None)
