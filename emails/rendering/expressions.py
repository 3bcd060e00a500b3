"""Compile the expressions between mustaches: names, paths, literals, calls of helpers.

Each expression becomes an ``Evaluate``: for a ``State``, the position in the template, it writes the statements that
evaluate it and returns the atom with its value. What can never work is refused before, with line and column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from emails.rendering.functions import Function
from emails.rendering.syntax import Argument, BadTemplate, Call, Literal, Path
from emails.rendering.values import Missing, SafeString

# The blocks of handlebars.js itself; they cannot be called in an expression.
BLOCKS = ("if", "unless", "each", "with")


class State(NamedTuple):
    """The position in a template while it is compiled: atoms for the values and frames around it, innermost first.

    ``scopes`` is the variable with the value where we are and those outside. ``{{@name}}`` reads from ``frames``, and
    from the variable ``D``; ``as |name|`` writes to ``params``. ``partials`` says whose partials can be called: their
    changes are in ``known``. ``active`` are the partials in which we are, ``live`` all variables of the state.
    """

    here: str
    scopes: str
    frames: tuple[dict[str, Any], Any]
    params: Any
    partials: object
    known: Mapping[object, Mapping[str, Any]]
    depth: int
    active: frozenset[object]
    live: tuple[str, ...]

    def within(self, code: Function, value: str, params: tuple[Any, ...] = ()) -> State:
        """Return the state one step inside a value."""
        here, scopes = code.variable(value), code.module.name("S")
        self.step_inside(code, here, scopes)
        inner = self._replace(here=here, scopes=scopes, live=(*self.live, here, scopes))
        return inner._replace(params=(params, self.params)) if params else inner

    def step_inside(self, code: Function, here: str, scopes: str) -> None:
        """Write what gives the variable ``scopes`` the scopes one step inside ``here``."""
        inside = f"inside({self.scopes}, {here})"
        if self.scopes != "None":
            # The fast path of most steps.
            is_step = f"type({here}) is dict and {here} is not {self.here}"
            inside = f"({here}, {self.scopes}) if {is_step} else {inside}"
        code.line(f"{scopes} = {inside}", defines=scopes)

    def called(self, code: Function, here: str, depth: int) -> State:
        """Return the state in which a partial begins: it sees its context alone."""
        scopes, partials = code.module.name("S"), object()
        code.line(f"{scopes} = ({here}, None)", defines=scopes)
        return self._replace(
            here=here,
            scopes=scopes,
            params=None,
            partials=partials,
            known={**self.known, partials: self.known[self.partials]},
            depth=self.depth + depth,
            live=(*self.live, here, scopes),
        )


def beginning(code: Function, partials: Mapping[str, Any]) -> State:
    """Return the state at the beginning of a template; ``{{@name}}`` reads its data, as in handlebars.js."""
    code.line("S = (s, None)", defines="S")
    frames = ({"root": "s", "partial-block": None}, None)
    return State(
        "s", "S", frames, None, None, {None: partials}, 0, frozenset(), ("s", "S", "D", "N")
    )


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


# A helper returns the same for the same arguments.
Helper = Callable[[list[Any], Options], object]
Evaluate = Callable[[State, Function], str]
# The names that blocks gave to their values, innermost first.
Names = tuple[tuple[str, ...], ...]


class Choice:
    """A helper that only chooses between the branches of its block; ``is_first`` takes the list of its arguments."""

    def __init__(self, is_first: Callable[[list[Any]], bool]) -> None:
        self.is_first = is_first

    def __call__(self, arguments: list[Any], options: Options) -> SafeString:
        """Return the branch."""
        return options.fn() if self.is_first(arguments) else options.inverse()


class Written:
    """A helper that writes for a locale, such as an amount; ``write`` takes ``@locale`` as its third argument."""

    def __init__(self, write: Callable[[list[Any], Options, str], object]) -> None:
        self.write = write


class Hidden(tuple[str, ...]):
    """Names of blocks around an inline partial: handlebars.js loses their values, so we refuse them."""


# The value of a parameter that a block names but gives no value.
UNBOUND = object()


def no_block(context: object = None) -> SafeString:
    """Stand for the branches of a helper that was called without a block; raises ValueError."""
    raise ValueError("this helper needs a block")


# All threads share these options, and nobody can write into them.
_NO_OPTIONS = Options(MappingProxyType({}), no_block, no_block)


class Expressions:
    """Compiles expressions with one set of helpers; every other name is looked up in the data.

    With ``strict``, a name that the data lacks raises Missing. Other errors are ValueError. What no data can make
    right raises BadTemplate already when it is compiled.
    """

    def __init__(self, helpers: Mapping[str, Helper | Written], *, strict: bool) -> None:
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
        named = self.named(call.named, names)

        def evaluate(state: State, code: Function) -> str:
            given, options = arguments(state, code), code.module.constant(_NO_OPTIONS)
            if call.named:
                made, none = code.module.constant(Options), code.module.constant(no_block)
                options = f"{made}({named(state, code)}, {none}, {none})"
            return code.once(calling(helper, given, options, code))

        return evaluate

    def helper(self, call: Call, names: Names) -> Helper | Written:
        """Return the helper that is called; raises BadTemplate if there is none."""
        if call.name.is_simple and call.name.text in BLOCKS:
            _refuse_block(call.name)
        if not self.is_helper(call, names):
            _refuse(f'Missing helper: "{call.name.text}"', call.name)
        return self.helpers[call.name.parts[0]]

    def arguments(self, call: Call, names: Names) -> Evaluate:
        """Compile the arguments that have no name, to the expression of a list."""
        evaluations = [self.value(argument, names) for argument in call.arguments]
        return lambda state, code: f"[{', '.join(each(state, code) for each in evaluations)}]"

    def named(self, arguments: Mapping[str, Argument], names: Names) -> Evaluate:
        """Compile the arguments that have a name, to the expression of a dictionary."""
        evaluations = [(name, self.value(value, names)) for name, value in arguments.items()]

        def evaluate(state: State, code: Function) -> str:
            return (
                f"{{{', '.join(f'{name!r}: {each(state, code)}' for name, each in evaluations)}}}"
            )

        return evaluate

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
        return _path_from_here(path.climbs, path.parts, blamed)

    def _data_path(self, path: Path) -> Evaluate:
        blamed = path.text if self.strict else None

        def evaluate(state: State, code: Function) -> str:
            frames: Any = state.frames
            for _ in range(path.climbs):
                frames = frames[1]
                if frames is None:
                    return code.fail(Missing, blamed) if blamed is not None else "None"
            if not path.parts:
                frame = [f"{name!r}: {_shown(atom)}" for name, atom in frames[0].items()]
                return code.once(f"{{**D, {', '.join(frame)}}}")
            name, *steps = path.parts
            known = name in frames[0]
            atom = (
                code.variable(_shown(frames[0][name])) if known else _step(code, "D", name, blamed)
            )
            for step in steps:
                if blamed is None:
                    atom = code.once(f"step_in_data({atom}, {step!r})")
                else:
                    atom = _step(code, atom, step, blamed)
            return atom

        return evaluate


def calling(helper: Helper | Written, given: str, options: str, code: Function) -> str:
    """Return the expression that calls a helper with these arguments."""
    if not isinstance(helper, Written):
        return f"{code.module.constant(helper)}({given}, {options})"
    locale = code.once("D.get('locale', 'en')")
    return f"{code.module.constant(helper.write)}({given}, {options}, {locale})"


def constant(value: object) -> Evaluate:
    """Return an expression that always has this value."""
    return lambda state, code: repr(value)


def _shown(atom: Any) -> str:
    """Return the atom of a value in a frame: the block given to a partial is a function, as no data may be."""
    return atom if isinstance(atom, str) else "None" if atom is None else "no_data"


def _given(name: str, names: Names) -> tuple[int, int] | None:
    """Return which block gave this name, counted from the innermost, and to which of its values."""
    for level, given in enumerate(names):
        if name in given:
            return level, given.index(name)
    return None


def _path_from_here(climbs: int, steps: tuple[str, ...], blamed: str | None) -> Evaluate:
    def evaluate(state: State, code: Function) -> str:
        atom = state.here
        if climbs:
            atom = code.once(f"climb({state.scopes}, {climbs}, {blamed!r})")
        return _stepping(code, atom, steps, blamed)

    return evaluate


def _path_from_param(level: int, place: int, path: Path, blamed: str | None) -> Evaluate:
    """Compile a path that begins with a name that a block gave."""
    name, *steps = path.parts

    def evaluate(state: State, code: Function) -> str:
        params = state.params
        for _ in range(level):
            params = params and params[1]
        if params is None:
            return code.fail(ValueError, f"{name} is not defined")
        atom = params[0][place] if place < len(params[0]) else "None"
        if atom is UNBOUND:
            return code.fail(ValueError, f"{name} is not defined")
        return _stepping(code, atom, tuple(steps), blamed)

    return evaluate


def _stepping(code: Function, atom: str, steps: tuple[str, ...], blamed: str | None) -> str:
    for name in steps:
        atom = _step(code, atom, name, blamed)
    return code.data(atom)


def _step(code: Function, atom: str, name: str, blamed: str | None) -> str:
    step = f"step({atom}, {name!r}, path={blamed!r})"
    if atom != "None":
        # The fast path of most steps.
        step = f"{atom}[{name!r}] if type({atom}) is dict and {name!r} in {atom} else {step}"
    return code.once(step, known_as=f"{atom}[{name!r}]")


def _refuse_block(name: Path) -> NoReturn:
    _refuse(f"#{name.text} is a block", name)


def _refuse(problem: str, name: Path) -> NoReturn:
    raise BadTemplate(problem, name.place)
