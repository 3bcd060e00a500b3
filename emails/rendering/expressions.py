"""Compile the expressions between mustaches: names, paths, literals, calls of helpers.

Each expression becomes a function from a ``State``, the position of rendering, to a value. Everything that depends
on the template alone is decided here, once; what can never work is refused here, with line and column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from emails.rendering import values
from emails.rendering.syntax import Argument, BadTemplate, Call, Literal, Path
from emails.rendering.values import Missing, SafeString

# The blocks of handlebars.js itself; they cannot be called in an expression.
BLOCKS = ("if", "unless", "each", "with")


class Partials:
    """The partials that a template can call at this moment; its inline partials come and go."""

    __slots__ = ("known",)

    def __init__(self, known: Mapping[str, Any]) -> None:
        self.known = known


class State:
    """The position of rendering: the values and frames around it, innermost first, each with its outer ones.

    ``{{@name}}`` reads from ``frames``; ``as |name|`` writes to ``params``. If an outline is wanted, ``printed``
    collects the printed values. A body never changes its caller's state: it changes a copy.
    """

    __slots__ = ("depth", "frames", "params", "partials", "printed", "scopes")

    scopes: Any
    frames: tuple[dict[str, Any], Any]
    params: Any
    partials: Partials
    depth: int
    printed: list[str] | None

    @classmethod
    def of(
        cls,
        context: object,
        partials: Mapping[str, Any],
        printed: list[str] | None,
        data: Mapping[str, Any] = MappingProxyType({}),
    ) -> State:
        """Return the state at the beginning of a template; ``{{@name}}`` reads ``data``, as in handlebars.js."""
        state = cls()
        state.scopes, state.params = (context, None), None
        state.frames = ({**data, "root": context, "partial-block": None}, None)
        state.partials, state.depth, state.printed = Partials(partials), 0, printed
        return state

    def copy(self) -> State:
        """Return a second state with the same position."""
        state = State()
        state.scopes, state.frames, state.params = self.scopes, self.frames, self.params
        state.partials, state.depth, state.printed = self.partials, self.depth, self.printed
        return state

    def within(self, value: object, params: tuple[Any, ...] = ()) -> State:
        """Return a state one step inside a value."""
        state = self.copy()
        state.scopes = inside(self.scopes, value)
        if params:
            state.params = (params, self.params)
        return state


def inside(scopes: Any, value: object) -> tuple[Any, Any]:
    """Return the scopes one step inside a value; stepping into the value where we are is no step."""
    if scopes is None:
        return value, None
    here = scopes[0]
    if value is here or (type(value) is not dict and values.is_same(value, here)):
        return value, scopes[1]
    return value, scopes


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
# The names that blocks gave to their values, innermost first.
Names = tuple[tuple[str, ...], ...]


class Hidden(tuple[str, ...]):
    """Names of blocks around an inline partial: handlebars.js loses their values, so we refuse them."""


# The value of a parameter that a block names but gives no value.
UNBOUND = object()


def no_block(context: object = None) -> SafeString:
    """Stand for the branches of a helper that was called without a block; raises ValueError."""
    raise ValueError("this helper needs a block")


class Expressions:
    """Compiles expressions with one set of helpers; every other name is looked up in the data.

    With ``strict``, a name that the data lacks raises Missing. Other errors are ValueError. What no data can make
    right raises BadTemplate already when it is compiled.
    """

    def __init__(self, helpers: Mapping[str, Helper], *, strict: bool) -> None:
        self.helpers = helpers
        self.strict = strict

    def value(self, argument: Argument, names: Names) -> Evaluate:
        """Compile one argument."""
        if isinstance(argument, Literal):
            return constant(argument.value)
        if isinstance(argument, Call):
            return self.helper_call(argument, names)
        return self._data_path(argument) if argument.is_data else self._path(argument, names)

    def mustache(self, call: Call, names: Names) -> Evaluate:
        """Compile ``{{name}}`` or ``{{helper argument}}``."""
        if call.has_arguments or self.is_helper(call, names):
            return self.helper_call(call, names)
        if call.name.is_simple and call.name.text in BLOCKS:
            _refuse_block(call.name)
        return self.value(call.name, names)

    def is_helper(self, call: Call, names: Names) -> bool:
        """Return True if the name of this call is that of a helper; a name that a block gave hides a helper."""
        name = call.name
        return name.is_simple and name.parts[0] in self.helpers and not _given(name.parts[0], names)

    def helper_call(self, call: Call, names: Names) -> Evaluate:
        """Compile a call without a block."""
        helper, arguments = self.helper(call, names), self.arguments(call, names)
        if call.named:
            named = self.named(call.named, names)
            return lambda state: helper(arguments(state), Options(named(state), no_block, no_block))
        # All threads share these options, and nobody can write into them.
        options = Options(MappingProxyType({}), no_block, no_block)
        return lambda state: helper(arguments(state), options)

    def helper(self, call: Call, names: Names) -> Helper:
        """Return the helper that is called; raises BadTemplate if there is none."""
        if call.name.is_simple and call.name.text in BLOCKS:
            _refuse_block(call.name)
        if not self.is_helper(call, names):
            _refuse(f'Missing helper: "{call.name.text}"', call.name)
        return self.helpers[call.name.parts[0]]

    def arguments(self, call: Call, names: Names) -> Callable[[State], list[Any]]:
        """Compile the arguments that have no name."""
        evaluations = [self.value(argument, names) for argument in call.arguments]
        return lambda state: [evaluate(state) for evaluate in evaluations]

    def named(
        self, arguments: Mapping[str, Argument], names: Names
    ) -> Callable[[State], dict[str, Any]]:
        """Compile the arguments that have a name."""
        evaluations = [(name, self.value(value, names)) for name, value in arguments.items()]
        return lambda state: {name: evaluate(state) for name, evaluate in evaluations}

    def _path(self, path: Path, names: Names) -> Evaluate:
        blamed = path.text if self.strict else None
        if not path.climbs and path.parts and not path.is_scoped:
            given = _given(path.parts[0], names)
            if given and isinstance(names[given[0]], Hidden):
                _refuse(
                    f"an inline partial cannot see {path.parts[0]}: pass it as an argument", path
                )
            if given:
                return _path_from_param(*given, path, blamed)
            if len(path.parts) == 1:
                return _name_in_data(path.parts[0], blamed)
        return _path_from_here(path.climbs, path.parts, blamed)

    def _data_path(self, path: Path) -> Evaluate:
        blamed = path.text if self.strict else None

        def evaluate(state: State) -> Any:
            frames: Any = state.frames
            for _ in range(path.climbs):
                frames = frames[1]
                if frames is None:
                    return _missing(blamed)
            current: Any = frames[0]
            for part in path.parts:
                if blamed is None and isinstance(current, int | float | str) and not current:
                    return current  # So handlebars.js does, with data paths alone.
                current = values.step(current, part, path=blamed)
            return current

        return evaluate


def constant(value: object) -> Evaluate:
    """Return an expression that always has this value."""
    return lambda state: value


def _given(name: str, names: Names) -> tuple[int, int] | None:
    """Return which block gave this name, counted from the innermost, and to which of its values."""
    for level, given in enumerate(names):
        if name in given:
            return level, given.index(name)
    return None


def _path_from_here(climbs: int, steps: tuple[str, ...], blamed: str | None) -> Evaluate:
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


def _path_from_param(level: int, place: int, path: Path, blamed: str | None) -> Evaluate:
    """Compile a path that begins with a name that a block gave."""
    name, *steps = path.parts

    def evaluate(state: State) -> Any:
        params = state.params
        for _ in range(level):
            params = params[1]
        current = params[0][place] if place < len(params[0]) else None
        if current is UNBOUND:
            raise ValueError(f"{name} is not defined")
        for step in steps:
            current = values.step(current, step, path=blamed)
        return values.data(current)

    return evaluate


def _name_in_data(name: str, blamed: str | None) -> Evaluate:
    def evaluate(state: State) -> Any:
        # The fast path of most expressions: one name, in an object.
        here = state.scopes[0]
        if type(here) is dict and name in here:
            return values.data(here[name])
        return values.data(values.step(here, name, path=blamed))

    return evaluate


def _missing(blamed: str | None) -> None:
    if blamed is not None:
        raise Missing(blamed)


def _refuse_block(name: Path) -> NoReturn:
    _refuse(f"#{name.text} is a block", name)


def _refuse(problem: str, name: Path) -> NoReturn:
    raise BadTemplate(problem, name.place)
