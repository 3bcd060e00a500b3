"""Find out what the expressions of a template can be, and report names that the event may not have."""

from __future__ import annotations

from collections.abc import Mapping

from emails.checking.findings import Findings, did_you_mean
from emails.checking.scopes import Fact, Scope, Value
from emails.checking.shapes import UNKNOWN, Shape, written
from emails.checking.signatures import SIGNATURES, Parameter
from emails.rendering.expressions import BLOCKS
from emails.rendering.syntax import Argument, Call, Literal, Path

_KINDS = {
    "cents": ("integer",),
    "number": ("integer", "number"),
    "text": ("string",),
    "time": ("string",),
    "address": ("string",),
}
_WANTED = {
    "cents": "a whole number of cents",
    "number": "a number",
    "text": "a text",
    "time": "a time with its zone",
    "address": "an address (format uri)",
}


class Evaluator:
    """Evaluates expressions to what they can be; what is wrong is reported once and then taken for right."""

    def __init__(self, findings: Findings, root: Value, data: Mapping[str, Value]) -> None:
        self._findings = findings
        self._root = root
        self._data = data

    def value(self, argument: Argument, scope: Scope) -> Value:
        """Return what an argument can be, null included."""
        if isinstance(argument, Literal):
            return Value(written(argument.value))
        if isinstance(argument, Call):
            return self.call(argument, scope)
        return self._path(argument, scope)

    def printed(self, call: Call, scope: Scope) -> Value:
        """Return what ``{{name}}`` or ``{{helper argument}}`` prints, and report what cannot be printed."""
        if call.name.is_simple and call.name.text in BLOCKS:
            self._error(scope, call.name, "block", f"#{call.name.text} is a block")
            return Value(UNKNOWN)
        if call.has_arguments or self.is_helper(call, scope):
            value = self.call(call, scope)
        else:
            value = self._path(call.name, scope)
        # Who looks a value up says that it may be absent.
        if call.name.text != "lookup":
            self._refuse_null(value, call.name, scope)
        if value.shape.has_object():
            hint = did_you_mean("", value.names())
            self._error(
                scope, call.name, "object", f"{call.name.text} is no text: it has parts", hint
            )
        return value

    def is_helper(self, call: Call, scope: Scope) -> bool:
        """Return True if a call means a helper; a name that a block gave hides a helper."""
        name = call.name
        return name.is_simple and name.parts[0] in SIGNATURES and not scope.given(name.parts[0])

    def call(self, call: Call, scope: Scope, *, has_block: bool = False) -> Value:
        """Return what a helper returns, and report arguments that it refuses."""
        name = call.name.parts[0] if call.name.parts else call.name.text
        if not self.is_helper(call, scope):
            known = {*SIGNATURES} if not has_block else {*SIGNATURES, *BLOCKS}
            hint = did_you_mean(name, known)
            self._error(
                scope, call.name, "unknown-helper", f'there is no helper "{call.name.text}"', hint
            )
            self._evaluate_all(call, scope)
            return Value(UNKNOWN)
        signature = SIGNATURES[name]
        if signature.is_block and not has_block:
            hint = f"Write {signature.example}"
            self._error(scope, call.name, "block", f"{name} needs a block", hint)
        if name == "lookup":
            return self._lookup(call, scope)
        if not signature.is_block and has_block:
            self._error(scope, call.name, "block", f"{name} takes no block")
        self._check_arguments(call, signature.parameters, scope)
        if name == "link" and len(call.arguments) == 1:
            return self._link(call, scope)
        return Value(signature.returns)

    def facts(self, argument: Argument, scope: Scope) -> frozenset[Fact]:
        """Return what is known to be there where an argument is true."""
        value = self._asked(argument, scope)
        if value is None:
            return frozenset()
        return frozenset(
            (value.owner, value.path[:length]) for length in range(len(value.path) + 1)
        )

    # --- Paths

    def _path(self, path: Path, scope: Scope) -> Value:
        begin, parts = self._beginning(path, scope)
        if begin is None:
            return Value(UNKNOWN)
        value = begin
        for index, name in enumerate(parts):
            found = value.step(name, scope.facts)
            if found is None:
                self._unknown(path, name, value, scope)
                return Value(UNKNOWN)
            inner, is_sure = found
            if not is_sure:
                self._may_be_absent(path, value, name, parts[:index], scope)
            value = inner
        return value

    def _beginning(self, path: Path, scope: Scope) -> tuple[Value | None, tuple[str, ...]]:
        if path.is_data:
            return self._data_value(path, scope), path.parts[1:]
        can_be_given = not path.climbs and path.parts and not path.is_scoped
        if can_be_given and (given := scope.given(path.parts[0])):
            return given, path.parts[1:]
        here, outer = scope.here, scope.outer
        for _ in range(path.climbs):
            if outer is None:
                self._error(
                    scope, path, "unknown", f"{path.text}: there is nothing outside of this place"
                )
                return None, ()
            here, outer = outer
        return here, path.parts

    def _data_value(self, path: Path, scope: Scope) -> Value | None:
        frame, outer = scope.frame, scope.outer_frame
        for _ in range(path.climbs):
            if outer is None:
                self._error(scope, path, "unknown", f"{path.text}: there is no block around")
                return None
            frame, outer = outer
        known = {"root": self._root, **self._data, **frame}
        name = path.parts[0] if path.parts else ""
        if name not in known:
            hint = did_you_mean(name, known)
            is_in_each = name in ("index", "key", "first", "last")
            where = " outside of {{#each}}" if is_in_each else ""
            self._error(scope, path, "unknown", f"there is no @{name}{where}", hint)
            return None
        return known[name]

    def _unknown(self, path: Path, name: str, value: Value, scope: Scope) -> None:
        visible = set(value.names())
        if value is scope.here:
            visible |= {given for names in scope.names for given in names}
        owner = _text_before(path, name)
        what = f"{owner} has" if owner else "the event has" if value is self._root else "there is"
        self._error(scope, path, "unknown", f'{what} no "{name}"', did_you_mean(name, visible))

    def _may_be_absent(
        self, path: Path, value: Value, name: str, before: tuple[str, ...], scope: Scope
    ) -> None:
        base = _written_path(path, before)
        step = value.shape.step(name, is_null_excluded=True)
        if value.shape.may_be_null and step is not None and step.is_sure:
            self._error(
                scope,
                path,
                "may-be-null",
                f"{base} may be null, and then has no {name}",
                f"Ask for it: {{{{#with {base}}}}}…{{{{/with}}}} or {{{{#if {base}}}}}…{{{{/if}}}}.",
            )
            return
        hint = f'Ask for it: {{{{#if (lookup {base} "{name}")}}}}…{{{{/if}}}}.'
        self._error(scope, path, "may-be-absent", f"{path.text} may be absent", hint)

    def _refuse_null(self, value: Value, name: Path, scope: Scope) -> None:
        if value.shape.may_be_null and value.fact not in scope.facts:
            text = name.text
            hint = f"Ask for it: {{{{#if {text}}}}}…{{{{/if}}}}."
            self._error(scope, name, "may-be-null", f"{text} may be null", hint)

    # --- Helpers

    def _lookup(self, call: Call, scope: Scope) -> Value:
        if len(call.arguments) != 2 or call.named:
            self._error(scope, call.name, "argument", "lookup takes an object and a name")
            self._evaluate_all(call, scope)
            return Value(UNKNOWN)
        collection, key = call.arguments
        value = self.value(collection, scope)
        if not isinstance(key, Literal):
            self.value(key, scope)
            items = value.shape.items()
            return Value((items or UNKNOWN).or_null())
        name = str(key.value)
        found = value.step(name, scope.facts | {value.fact})
        if found is None:
            if value.shape.kinds != {"null"}:
                hint = did_you_mean(name, value.names())
                self._findings.add(scope.file, key.place, "unknown", f'there is no "{name}"', hint)
            return Value(UNKNOWN)
        inner, _ = found
        shape = inner.shape if inner.fact in scope.facts else inner.shape.or_null()
        return Value(shape, inner.owner, inner.path)

    def _asked(self, argument: Argument, scope: Scope) -> Value | None:
        """Return the value that an argument asks for, without a report."""
        quiet = Evaluator(_Silent(), self._root, self._data)
        if isinstance(argument, Literal):
            return None
        value = quiet.value(argument, scope)
        is_lookup = isinstance(argument, Path) or argument.name.text == "lookup"
        return value if is_lookup else None

    def _link(self, call: Call, scope: Scope) -> Value:
        [argument] = call.arguments
        value = Evaluator(_Silent(), self._root, self._data).value(argument, scope)
        if value.shape.literal is not None:
            return value
        return Value(SIGNATURES["link"].returns)

    def _check_arguments(self, call: Call, parameters: tuple[Parameter, ...], scope: Scope) -> None:
        by_name = {each.named for each in parameters if each.named} & {*call.named}
        wanted = [each for each in parameters if each.named not in by_name or not each.named]
        named = {each.named: each for each in parameters if each.named}
        if len(call.arguments) != len(wanted) or not {*call.named} <= {*named}:
            names = " ".join(each.name for each in parameters) or "no arguments"
            self._error(
                scope,
                call.name,
                "argument",
                f"{call.name.text} takes {names}",
                f"For example {SIGNATURES[call.name.parts[0]].example}",
            )
            self._evaluate_all(call, scope)
            return
        given = [*zip(wanted, call.arguments, strict=True)]
        given += [(named[name], argument) for name, argument in call.named.items()]
        for parameter, argument in given:
            self._check_argument(call, parameter, argument, scope)

    def _check_argument(
        self, call: Call, parameter: Parameter, argument: Argument, scope: Scope
    ) -> None:
        value = self.value(argument, scope)
        if parameter.kind == "any" or value.shape.is_unknown:
            return
        place = argument if isinstance(argument, Path) else call.name
        self._refuse_null(value, place, scope)
        if not _fits(value.shape, parameter.kind):
            text = argument.name.text if isinstance(argument, Call) else argument.text
            wanted = f"{call.name.text} wants {_WANTED[parameter.kind]}"
            self._error(scope, place, "argument", f"{wanted}, and {text} is none")

    def _evaluate_all(self, call: Call, scope: Scope) -> None:
        for argument in (*call.arguments, *call.named.values()):
            self.value(argument, scope)

    def _error(self, scope: Scope, path: Path, code: str, message: str, hint: str = "") -> None:
        self._findings.add(scope.file, path.place, code, message, hint)


class _Silent(Findings):
    """Keeps no problem: what is evaluated twice is reported once."""

    def __init__(self) -> None:
        super().__init__({})

    def add(self, *problem: object) -> None:
        """Forget the problem."""


def _fits(shape: Shape, kind: str) -> bool:
    if not shape.fits(*_KINDS[kind]):
        return False
    if shape.literal is not None:
        return True
    if kind == "time":
        return shape.is_time
    return kind != "address" or shape.is_link


def _written_path(path: Path, parts: tuple[str, ...]) -> str:
    """Write the beginning of a path as a template would."""
    up = "/".join([".."] * path.climbs)
    at = "@" if path.is_data else ""
    if at and parts != path.parts:
        parts = (path.parts[0], *parts)
    names = ".".join(name if name.isidentifier() else f"[{name}]" for name in parts)
    return f"{at}{'/'.join(filter(None, (up, names)))}" or "this"


def _text_before(path: Path, name: str) -> str:
    """Return the path up to a name in it."""
    names = [*path.parts]
    return ".".join(names[: names.index(name)]) if name in names else ""
