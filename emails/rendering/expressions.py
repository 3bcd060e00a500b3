"""Compile the expressions between mustaches: names, paths, literals, calls of helpers.

Each expression becomes a function from a ``State``, the position of rendering, to a value. Everything that depends
on the template alone is decided here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from dotpromptz_handlebars import SafeString, StrictModeError
from dotpromptz_handlebars import _render as parser

from emails.rendering import values


class State:
    """The position of rendering: the values and frames around it, innermost first, each with its outer ones.

    ``{{@name}}`` reads from ``frames``; ``as |name|`` writes to ``params``. If an outline is wanted, ``printed``
    collects the printed values. A body never changes its caller's state: it changes a copy.
    """

    __slots__ = ("depth", "frames", "params", "partials", "printed", "scopes")

    scopes: tuple[Any, Any]
    frames: tuple[dict[str, Any], Any]
    params: dict[str, Any]
    partials: Mapping[str, Any]
    depth: int
    printed: list[str] | None

    @classmethod
    def of(cls, context: object, partials: Mapping[str, Any], printed: list[str] | None) -> State:
        """Return the state at the beginning of a template."""
        state = cls()
        state.scopes, state.frames, state.params = (context, None), ({"root": context}, None), {}
        state.partials, state.depth, state.printed = partials, 0, printed
        return state

    def copy(self) -> State:
        """Return a second state with the same position."""
        state = State()
        state.scopes, state.frames, state.params = self.scopes, self.frames, self.params
        state.partials, state.depth, state.printed = self.partials, self.depth, self.printed
        return state

    def within(self, value: object, params: Mapping[str, Any] | None = None) -> State:
        """Return a state one step inside a value."""
        state = self.copy()
        state.scopes = (value, self.scopes)
        if params:
            state.params = {**self.params, **params}
        return state


class Options:
    """The second argument of a helper: its named arguments, and the functions that render its block."""

    __slots__ = ("fn", "hash", "inverse")

    def __init__(
        self,
        named: Mapping[str, Any],
        fn: Callable[..., SafeString],
        inverse: Callable[..., SafeString],
    ) -> None:
        """Take the named arguments and the two branches; ``fn`` and ``inverse`` may be given a value to step into."""
        self.hash = named
        self.fn = fn
        self.inverse = inverse


Helper = Callable[[list[Any], Options], object]
Evaluate = Callable[[State], Any]

_LITERALS = {"true": True, "false": False}
# The value of a parameter that a block names but gives no value.
UNBOUND = object()


def no_block(context: object = None) -> SafeString:
    """Render the branch of a helper call that has no block: nothing."""
    return SafeString("")


class Expressions:
    """Compiles expressions with one set of helpers; every other name is looked up in the data.

    With ``strict``, a name that the data lacks raises StrictModeError. Other errors are ValueError. An error in the
    template itself is raised only when the expression is evaluated: it may stand where no data ever leads.
    """

    def __init__(self, helpers: Mapping[str, Helper], *, strict: bool) -> None:
        self.helpers = helpers
        self._strict = strict

    def value(self, token: str) -> Evaluate:
        """Compile one argument."""
        try:
            return self._value(token)
        except ValueError as exc:
            return failing(str(exc))

    def call(self, call: Mapping[str, Any], *, is_argument: bool = False) -> Evaluate:
        """Compile ``{{name}}``, ``{{helper argument}}`` or, as an argument, ``(helper argument)``."""
        name: str = call["name"]
        has_arguments = bool(call["args"] or call["hash"])
        if name not in self.helpers and not has_arguments and not is_argument:
            return constant(None) if call.get("literal") else self.value(name)
        helper, arguments = self.helper(call), self.arguments(call)
        if call["hash"]:
            named = self.named(call["hash"])
            return lambda state: helper(arguments(state), Options(named(state), no_block, no_block))
        # All threads share these options, and nobody can write into them.
        options = Options(MappingProxyType({}), no_block, no_block)
        return lambda state: helper(arguments(state), options)

    def helper(self, call: Mapping[str, Any]) -> Helper:
        """Return the helper that is called; if there is none, one that raises ValueError."""
        message = f'Missing helper: "{call["name"]}"'

        def missing(arguments: list[Any], options: Options) -> object:
            raise ValueError(message)

        return self.helpers.get(call["name"], missing)

    def arguments(self, call: Mapping[str, Any]) -> Callable[[State], list[Any]]:
        """Compile the arguments that have no name."""
        evaluations = [self.value(token) for token in call["args"]]
        return lambda state: [evaluate(state) for evaluate in evaluations]

    def named(self, tokens: Mapping[str, str]) -> Callable[[State], dict[str, Any]]:
        """Compile the arguments that have a name."""
        evaluations = [(name, self.value(token)) for name, token in tokens.items()]
        return lambda state: {name: evaluate(state) for name, evaluate in evaluations}

    def _value(self, token: str) -> Evaluate:
        if token.startswith("(") and token.endswith(")"):
            return self.call(parser._call(token[1:-1].strip()), is_argument=True)
        if parser._is_quoted(token):
            return constant(parser._unescape(token))
        if token in _LITERALS:
            return constant(_LITERALS[token])
        number = parser._number(token)
        if number is not None:
            return constant(number)
        if token.startswith("@"):
            return self._data_path(token)
        return self._path(token)

    def _path(self, token: str) -> Evaluate:
        parts = parser._parts(token)
        climbs = next((n for n, part in enumerate(parts) if part != ".."), len(parts))
        names = parts[climbs:]
        blamed = token if self._strict else None
        if climbs or not names or names[0] in (".", "this"):
            steps = [part for part in names if part not in (".", "this")]
            return _path_from_here(climbs, steps, blamed)
        steps = [part for part in names[1:] if part not in (".", "this")]
        return _path_from_name(names[0], steps, blamed)

    def _data_path(self, token: str) -> Evaluate:
        parts = parser._parts(token[1:])
        blamed = token if self._strict else None

        def evaluate(state: State) -> Any:
            frames = state.frames
            current: Any = frames[0]
            for part in parts:
                if part == "..":
                    frames = frames[1]
                    if frames is None:
                        return _missing(blamed)
                    current = frames[0]
                else:
                    current = values.step(current, part, path=blamed)
            return current

        return evaluate


def constant(value: object) -> Evaluate:
    """Return an expression that always has this value."""
    return lambda state: value


def failing(message: str) -> Evaluate:
    """Return an expression that raises ValueError with this message."""

    def evaluate(state: State) -> Any:
        raise ValueError(message)

    return evaluate


def _path_from_here(climbs: int, steps: list[str], blamed: str | None) -> Evaluate:
    def evaluate(state: State) -> Any:
        scopes = state.scopes
        for _ in range(climbs):
            scopes = scopes[1]
            if scopes is None:
                return _missing(blamed)
        current = scopes[0]
        for name in steps:
            current = values.step(current, name, path=blamed)
        return values.data(current)

    return evaluate


def _path_from_name(first: str, steps: list[str], blamed: str | None) -> Evaluate:
    def begin(state: State) -> Any:
        # A name that a block gave stays visible in the blocks inside it, and hides the same name in the data.
        if first in state.params:
            if state.params[first] is UNBOUND:
                raise ValueError(f"{first} is not defined")
            return state.params[first]
        return values.step(state.scopes[0], first, path=blamed)

    def evaluate(state: State) -> Any:
        current = begin(state)
        for name in steps:
            current = values.step(current, name, path=blamed)
        return values.data(current)

    def evaluate_name(state: State) -> Any:
        # The fast path of most expressions: one name, in an object, where no block named anything.
        here = state.scopes[0]
        if type(here) is dict and first in here and not state.params:
            return values.data(here[first])
        return values.data(begin(state))

    return evaluate if steps else evaluate_name


def _missing(blamed: str | None) -> None:
    if blamed is not None:
        raise StrictModeError(blamed)
