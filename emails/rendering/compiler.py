"""Compile Handlebars templates to Python functions, so that no email has to read its template again.

The library parses. Its own renderer walks the parsed tree for every email, which costs five times as much. The tests
compare the two: output and errors are the same.

A compiled template gives its text, or its outline (see ``emails.rendering.values.Outline``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dotpromptz_handlebars import (
    Block,
    InlinePartial,
    Mustache,
    Node,
    Partial,
    PartialBlock,
    SafeString,
    TemplateRecursionError,
    Text,
)
from dotpromptz_handlebars import _render as parser

from emails.rendering import values
from emails.rendering.expressions import (
    UNBOUND,
    Evaluate,
    Expressions,
    Helper,
    Options,
    State,
    constant,
    failing,
)
from emails.rendering.values import NoOutline, mark

MAX_DEPTH = 100

Fill = Callable[[State], str]


class Body(list[Node]):
    """The parsed nodes of a template, a partial or a partial's block, with the function compiled from them.

    It is a list as in the library, because a template may ask ``{{#if @partial-block}}``.
    """

    fill: Fill


class Compiler:
    """Compiles templates with one set of helpers; with ``escape``, they escape for HTML what they print."""

    def __init__(self, helpers: Mapping[str, Helper], *, strict: bool, escape: bool) -> None:
        self._expressions = Expressions(helpers, strict=strict)
        self._escape = escape

    def body(self, nodes: list[Node]) -> Body:
        """Compile the nodes that ``parse`` returned for a file."""
        body = Body(nodes)
        body.fill = self._sequence(nodes, depth=0)
        return body

    def _sequence(self, nodes: Sequence[Node], *, depth: int) -> Fill:
        """Compile nodes that follow each other.

        ``depth`` counts the blocks around the nodes in this file; the state counts those of the callers.
        """
        pieces: list[str] = []
        fills: list[tuple[int, Fill]] = []
        for node in nodes:
            if not isinstance(node, Text):
                fills.append((len(pieces), self._node(node, depth)))
            pieces.append(node.value if isinstance(node, Text) else "")
        defines = any(isinstance(node, InlinePartial) for node in nodes)

        def fill(state: State) -> str:
            if state.depth + depth > MAX_DEPTH:
                raise TemplateRecursionError(f"maximum template depth exceeded ({MAX_DEPTH})")
            if defines:
                # An inline partial is defined for the nodes of this sequence, not for the blocks around it.
                state = state.copy()
            filled = pieces.copy()
            for place, part in fills:
                filled[place] = part(state)
            return "".join(filled)

        return fill

    def _node(self, node: Node, depth: int) -> Fill:
        if isinstance(node, Mustache):
            evaluate, show, raw = self._expressions.call(node.call), self._print, node.raw
            return lambda state: show(evaluate(state), state, raw=raw)
        if isinstance(node, Block):
            return self._block(node, depth + 1)
        if isinstance(node, InlinePartial):
            return _definition(node.name, self.body(node.body))
        if isinstance(node, PartialBlock):
            return self._partial(node, depth, indent="", block=self.body(node.body))
        assert isinstance(node, Partial)  # noqa: S101  # ElseNode is gone once a block is parsed
        return self._partial(node, depth, indent=node.indent, block=None)

    def _print(self, value: object, state: State, *, raw: bool = False) -> str:
        if not self._escape:
            return values.text_of(value)
        if raw or isinstance(value, SafeString):
            if state.printed is not None:
                raise NoOutline
            return values.text_of(value)
        text = values.text_of(value)
        return values.escape(text) if state.printed is None else mark(text, state.printed)

    def _block(self, node: Block, depth: int) -> Fill:
        body = self._sequence(node.body, depth=depth)
        inverse = self._sequence(node.inverse, depth=depth)
        match node.call["name"]:
            case "if":
                return self._condition(node, body, inverse)
            case "unless":
                return self._condition(node, inverse, body)
            case "with":
                return self._with(node, body, inverse)
            case "each":
                return self._each(node, body, inverse)
        call = node.call
        is_helper = call["name"] in self._expressions.helpers
        if is_helper or call["literal"] or call["args"] or call["hash"]:
            return self._helper_block(node, body, inverse)
        return self._section(node, body, inverse)

    def _condition(self, node: Block, shown: Fill, otherwise: Fill) -> Fill:
        if len(node.call["args"]) != 1:
            return _failing(f"#{node.call['name']} requires exactly one argument")
        evaluate = self._expressions.value(node.call["args"][0])
        is_zero_true = self._expressions.value(node.call["hash"].get("includeZero", "false"))

        def fill(state: State) -> str:
            value, zero = evaluate(state), is_zero_true(state) is True
            return (shown if values.is_true(value, is_zero_true=zero) else otherwise)(state)

        return fill

    def _with(self, node: Block, body: Fill, inverse: Fill) -> Fill:
        if len(node.call["args"]) != 1:
            return _failing("#with requires exactly one argument")
        evaluate, names = self._expressions.value(node.call["args"][0]), node.call["params"]

        def fill(state: State) -> str:
            value = values.data(evaluate(state))
            if values.is_empty(value):
                return inverse(state)
            return body(state.within(value, dict(zip(names, (value, None), strict=False))))

        return fill

    def _each(self, node: Block, body: Fill, inverse: Fill) -> Fill:
        if len(node.call["args"]) != 1:
            return _failing("Must pass iterator to #each")
        evaluate, names = self._expressions.value(node.call["args"][0]), node.call["params"]
        return lambda state: _repeat(values.data(evaluate(state)), names, body, inverse, state)

    def _section(self, node: Block, body: Fill, inverse: Fill) -> Fill:
        """Compile ``{{#name}}``: repeat for a list, skip for false and null, step into any other value."""
        evaluate, names = self._expressions.value(node.call["name"]), node.call["params"]

        def fill(state: State) -> str:
            value = values.data(evaluate(state))
            if value is False or value is None:
                return inverse(state)
            if value is True:
                inner = state.copy()
                inner.params = {**state.params, **dict.fromkeys(names, UNBOUND)}
                return body(inner)
            if values.is_list(value):
                return _repeat(value, names, body, inverse, state)
            return body(state.within(value))

        return fill

    def _helper_block(self, node: Block, body: Fill, inverse: Fill) -> Fill:
        helper = self._expressions.helper(node.call)
        arguments = self._expressions.arguments(node.call)
        named = self._expressions.named(node.call["hash"])

        def fill(state: State) -> str:
            branches: list[SafeString] = []

            def branch(fill: Fill) -> Callable[..., SafeString]:
                def render(context: object = None) -> SafeString:
                    inner = state if context is None else state.within(context)
                    branches.append(SafeString(fill(inner)))
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

    def _partial(
        self, node: Partial | PartialBlock, depth: int, *, indent: str, block: Body | None
    ) -> Fill:
        find = self._partial_name(node.name)
        named = self._expressions.named(node.hash)
        evaluate = self._expressions.value(node.context_path) if node.context_path else None

        def fill(state: State) -> str:
            name = find(state)
            inner = state.copy()
            inner.depth += depth + 1
            partial = state.partials.get(name)
            if name == "@partial-block":
                partial = state.frames[0].get(name[1:])
                if not partial:
                    raise ValueError(f"The partial {name} could not be found")
                return str(partial.fill(inner))
            if partial is None:
                if block is None:
                    raise ValueError(f"The partial {name} could not be found")
                return block.fill(inner)
            overlay = named(state)
            context = evaluate(state) if evaluate else state.scopes[0]
            if overlay:
                context = {**context, **overlay} if isinstance(context, Mapping) else overlay
            # A partial starts anew: of its caller's surroundings it sees only the frames.
            inner.scopes, inner.params = (values.data(context), None), {}
            if block is not None:
                inner.frames = ({**state.frames[0], "partial-block": block}, state.frames[1])
            return _indented(partial, indent, inner)

        return fill

    def _partial_name(self, name: str) -> Evaluate:
        if not name.startswith("("):
            return constant(name)
        evaluate = self._expressions.value(name)

        def find(state: State) -> str:
            found = evaluate(state)
            if not isinstance(found, str):
                raise ValueError("a partial name must be a string")
            return found

        return find


def _definition(name: str, body: Body) -> Fill:
    def fill(state: State) -> str:
        state.partials = {**state.partials, name: body}
        return ""

    return fill


def _failing(message: str) -> Fill:
    return lambda state: str(failing(message)(state))


def _indented(partial: Body, indent: str, state: State) -> str:
    if not indent:
        return partial.fill(state)
    before = len(state.printed or ())
    text = partial.fill(state)
    if state.printed is not None and any("\n" in value for value in state.printed[before:]):
        # The lines of a value would have to be indented as well.
        raise NoOutline
    return parser._apply_indent(text, indent)


def _repeat(items: Any, names: list[str], body: Fill, inverse: Fill, state: State) -> str:
    if isinstance(items, Mapping):
        pairs = list(items.items())
    else:
        pairs = list(enumerate(items)) if values.is_list(items) else []
    if not pairs:
        return inverse(state)
    inner, frame, last = state.copy(), state.frames[0], len(pairs) - 1
    texts = []
    for index, (key, item) in enumerate(pairs):
        inner.scopes = (item, state.scopes)
        place = {"key": key, "index": index, "first": index == 0, "last": index == last}
        inner.frames = ({**frame, **place}, state.frames)
        if names:
            inner.params = {**state.params, **dict(zip(names, (item, key), strict=False))}
        texts.append(body(inner))
    return "".join(texts)
