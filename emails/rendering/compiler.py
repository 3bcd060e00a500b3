"""Compile Handlebars templates to Python functions, so that no email has to read its template again.

``emails.rendering.parser`` parses. The functions print what handlebars.js 4.7 prints for data that came as JSON.

A compiled template gives its text, or its outline (see ``emails.rendering.values.Outline``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from emails.rendering import values
from emails.rendering.expressions import (
    BLOCKS,
    UNBOUND,
    Evaluate,
    Expressions,
    Helper,
    Hidden,
    Names,
    Options,
    State,
    constant,
    inside,
)
from emails.rendering.parser import MAX_DEPTH
from emails.rendering.syntax import (
    BadTemplate,
    Block,
    Call,
    Comment,
    Inline,
    Mustache,
    Partial,
    PartialBlock,
    Path,
    Program,
    Text,
)
from emails.rendering.values import NoOutline, SafeString, TooDeep, mark

Fill = Callable[[State], str]
# The second state is that outside of the body: there its inline partials belong to.
FillBody = Callable[[State, State], str]


@dataclass(frozen=True, slots=True)
class Body:
    """A compiled template, partial, or body of a block, with the inline partials that are defined in it."""

    fill: FillBody
    inlines: Mapping[str, Body] = field(default_factory=dict)

    def render(self, state: State) -> str:
        """Print a whole template, which has nothing outside."""
        outside = state.copy()
        outside.scopes = None
        return self.fill(state, outside)


class Compiler:
    """Compiles templates with one set of helpers; with ``escape``, they escape for HTML what they print."""

    def __init__(self, helpers: Mapping[str, Helper], *, strict: bool, escape: bool) -> None:
        self._expressions = Expressions(helpers, strict=strict)
        self._escape = escape

    def template(self, program: Program) -> Body:
        """Compile what ``parse`` returned for a file; raises BadTemplate."""
        return self._body(program, depth=0, names=())

    def _body(self, program: Program, *, depth: int, names: Names) -> Body:
        """Compile nodes that follow each other.

        ``depth`` counts the blocks around the nodes in this file; the state counts those of the callers.
        """
        if program.names:
            names = (program.names, *names)
        pieces: list[str] = []
        fills: list[tuple[int, Fill]] = []
        inlines: dict[str, Body] = {}
        for node in program.nodes:
            if isinstance(node, Inline):
                hidden: Names = tuple(map(Hidden, names))
                inlines[node.name] = self._body(node.body, depth=depth + 1, names=hidden)
            elif isinstance(node, Text):
                pieces.append(node.value)
            elif not isinstance(node, Comment):
                fills.append((len(pieces), self._node(node, depth, names)))
                pieces.append("")

        def fill(state: State, outside: State) -> str:
            if state.depth + depth > MAX_DEPTH:
                raise TooDeep(f"maximum depth of partials and blocks exceeded ({MAX_DEPTH})")
            filled = pieces.copy()
            for place, part in fills:
                filled[place] = part(state)
            return "".join(filled)

        return Body(_with_inlines(fill, inlines) if inlines else fill, inlines)

    def _node(
        self, node: Mustache | Block | Partial | PartialBlock, depth: int, names: Names
    ) -> Fill:
        if isinstance(node, Mustache):
            return self._mustache(node, names)
        if isinstance(node, Block):
            return self._block(node, depth + 1, names)
        return self._partial(node, depth, names)

    def _mustache(self, node: Mustache, names: Names) -> Fill:
        evaluate, show = self._expressions.mustache(node.call, names), self._print
        is_raw, name = not node.is_escaped, node.call.name.text
        is_plain = self._escape and not is_raw

        def fill(state: State) -> str:
            value = evaluate(state)
            if type(value) is not str:
                self._refuse_object(value, name)
            elif is_plain and value.isascii():
                # The fast path of most values.
                printed = state.printed
                return values.escape(value) if printed is None else mark(value, printed)
            return show(value, state, is_raw=is_raw)

        return fill

    def _refuse_object(self, value: object, name: str) -> None:
        if self._expressions.strict and values.has_object(value):
            raise ValueError(f"{name} is an object, not a text: name one of its fields")

    def _print(self, value: object, state: State, *, is_raw: bool = False) -> str:
        if isinstance(value, SafeString) or (is_raw and self._escape):
            if state.printed is not None:
                raise NoOutline
            return values.text_of(value)
        text = values.isolated(values.text_of(value))
        if not self._escape:
            return text
        return values.escape(text) if state.printed is None else mark(text, state.printed)

    def _block(self, node: Block, depth: int, names: Names) -> Fill:
        body = self._body(node.body or Program(), depth=depth, names=names)
        inverse = self._body(node.inverse or Program(), depth=depth, names=names)
        given = (node.body or node.inverse or Program()).names
        call = node.call
        if self._expressions.is_helper(call, names) or call.has_arguments:
            if call.name.is_simple and call.name.text in BLOCKS:
                return self._builtin(call, given, body, inverse, names)
            if given:
                _refuse("only #each, #with and sections give names to their values", call)
            return self._helper_block(call, body, inverse, names)
        if call.name.is_simple and call.name.text in BLOCKS:
            _refuse(f"#{call.name.text} requires exactly one argument", call)
        return self._section(call.name, given, body, inverse, names)

    def _builtin(
        self, call: Call, given: tuple[str, ...], body: Body, inverse: Body, names: Names
    ) -> Fill:
        """Compile the blocks of handlebars.js itself."""
        if len(call.arguments) != 1:
            _refuse(f"#{call.name.text} requires exactly one argument", call)
        evaluate = self._expressions.value(call.arguments[0], names)
        if call.name.text == "each":
            return lambda state: _repeat(values.data(evaluate(state)), given, body, inverse, state)
        if call.name.text == "with":
            return _stepping(evaluate, given, body, inverse)
        if given:
            _refuse(f"#{call.name.text} has no value to give a name to", call)
        is_zero_true = self._expressions.named(call.named, names)
        branches = (inverse, body) if call.name.text == "if" else (body, inverse)

        def fill(state: State) -> str:
            value, zero = evaluate(state), values.is_true(is_zero_true(state).get("includeZero"))
            return branches[values.is_true(value, is_zero_true=zero)].fill(state, state)

        return fill

    def _section(
        self, path: Path, given: tuple[str, ...], body: Body, inverse: Body, names: Names
    ) -> Fill:
        """Compile ``{{#name}}``: repeat for a list, skip for false and null, step into any other value."""
        evaluate = self._expressions.value(path, names)
        unbound = (UNBOUND,) * len(given)

        def fill(state: State) -> str:
            value = values.data(evaluate(state))
            if value is False or value is None:
                return inverse.fill(state, state)
            if values.is_list(value):
                return _repeat(value, given, body, inverse, state)
            here = state.scopes[0] if value is True else value
            return body.fill(state.within(here, unbound), state)

        return fill

    def _helper_block(self, call: Call, body: Body, inverse: Body, names: Names) -> Fill:
        helper = self._expressions.helper(call, names)
        arguments = self._expressions.arguments(call, names)
        named = self._expressions.named(call.named, names)

        def fill(state: State) -> str:
            branches: list[SafeString] = []

            def branch(part: Body) -> Callable[..., SafeString]:
                def render(context: object = None) -> SafeString:
                    inner = state if context is None else state.within(context)
                    branches.append(SafeString(part.fill(inner, state)))
                    return branches[-1]

                return render

            given = arguments(state)
            value = helper(given, Options(named(state), branch(body), branch(inverse)))
            if any(value is rendered for rendered in branches):
                return str(value)
            if branches and state.printed is not None:
                # The helper changed the text of a branch, and in an outline that text has marks instead of values.
                raise NoOutline
            return self._print(value, state)

        return fill

    def _partial(self, node: Partial | PartialBlock, depth: int, names: Names) -> Fill:
        find = self._partial_name(node, names)
        named = self._expressions.named(node.named, names)
        evaluate = self._expressions.value(node.context, names) if node.context else None
        indent = node.indent if isinstance(node, Partial) else ""
        block = None
        if isinstance(node, PartialBlock):
            block = self._body(node.body, depth=depth + 1, names=names)

        def fill(state: State) -> str:
            name = find(state)
            frames, known = state.frames, state.partials.known
            partial = frames[0]["partial-block"] if name == "@partial-block" else known.get(name)
            context = evaluate(state) if evaluate else state.scopes[0]
            context = values.data(_overlaid(context, named(state)))
            if block is not None:
                given = _BlockClosure(block, state)
                frames = ({**frames[0], "partial-block": given}, frames)
                known = {**known, **_closures(block.inlines, state)}
                partial = given if partial is None else partial
            if partial is None:
                raise ValueError(f"The partial {name} could not be found")
            inner = State.of(context, known, state.printed)
            inner.frames, inner.depth = frames, state.depth + depth + 1
            return _indented(partial, indent, inner)

        return fill

    def _partial_name(self, node: Partial | PartialBlock, names: Names) -> Evaluate:
        if isinstance(node.name, Path):
            return constant(node.name.text.replace("[", "").replace("]", ""))
        if not isinstance(node.name, Call):
            return constant(values.text_of(node.name.value))
        evaluate = self._expressions.value(node.name, names)

        def find(state: State) -> str:
            found = evaluate(state)
            if not isinstance(found, str):
                raise ValueError("a partial name must be a string")
            return found

        return find


class _Closure:
    """An inline partial, which sees what is around the place where it is written."""

    def __init__(self, body: Body, state: State) -> None:
        self._body = body
        self._state = state

    def __call__(self) -> None:
        """Make this a function in the eyes of ``values.data``: nothing prints it."""

    def render(self, called: State) -> str:
        """Print the partial for the state in which a partial of a file would be printed."""
        state = self._state.within(called.scopes[0])
        state.frames, state.depth, state.printed = called.frames, called.depth, called.printed
        return self._body.fill(state, self._state)


class _BlockClosure(_Closure):
    """The block given to a partial; inside it, ``@partial-block`` is that of the place where it is written."""

    def render(self, called: State) -> str:
        """Print the block for the state in which a partial of a file would be printed."""
        around = self._state.frames[0]["partial-block"]
        called.frames = ({**called.frames[0], "partial-block": around}, called.frames)
        return super().render(called)


def _closures(inlines: Mapping[str, Body], state: State) -> dict[str, _Closure]:
    return {name: _Closure(body, state) for name, body in inlines.items()}


def _with_inlines(fill: FillBody, inlines: Mapping[str, Body]) -> FillBody:
    """Let a body know its inline partials, from its beginning to its end."""

    def filled(state: State, outside: State) -> str:
        partials, before = state.partials, state.partials.known
        partials.known = {**before, **_closures(inlines, outside)}
        try:
            return fill(state, outside)
        finally:
            partials.known = before

    return filled


def _refuse(problem: str, call: Call) -> NoReturn:
    raise BadTemplate(problem, call.name.place)


def _overlaid(context: Any, named: Mapping[str, Any]) -> Any:
    """Add the named arguments of a partial to its context, as JavaScript copies an object."""
    if not named:
        return context
    if isinstance(context, Mapping):
        return {**context, **named}
    if values.is_list(context) or isinstance(context, str):
        return {**{str(index): item for index, item in enumerate(context)}, **named}
    return dict(named)


def _indented(partial: Body | _Closure, indent: str, state: State) -> str:
    before = len(state.printed or ())
    text = partial.render(state)
    if not indent:
        return text
    if state.printed is not None and any("\n" in value for value in state.printed[before:]):
        # The lines of a value would have to be indented as well.
        raise NoOutline
    *lines, last = text.split("\n")
    return "".join(f"{indent}{line}\n" for line in lines) + (last and indent + last)


def _stepping(evaluate: Evaluate, given: tuple[str, ...], body: Body, inverse: Body) -> Fill:
    """Compile ``{{#with}}``."""

    def fill(state: State) -> str:
        value = values.data(evaluate(state))
        if values.is_empty(value):
            return inverse.fill(state, state)
        return body.fill(state.within(value, (value,) if given else ()), state)

    return fill


def _repeat(items: Any, given: tuple[str, ...], body: Body, inverse: Body, state: State) -> str:
    """Print the body of an ``{{#each}}`` for each item."""
    pairs = list(values.pairs(items))
    if not pairs:
        return inverse.fill(state, state)
    inner, frame, last = state.copy(), state.frames[0], len(pairs) - 1
    texts = []
    for index, (key, item) in enumerate(pairs):
        inner.scopes = inside(state.scopes, item)
        place = {"key": key, "index": index, "first": index == 0, "last": index == last}
        inner.frames = ({**frame, **place}, state.frames)
        if given:
            inner.params = ((item, key), state.params)
        texts.append(body.fill(inner, state))
    return "".join(texts)
