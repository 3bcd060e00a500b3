"""Walk through a template as the engine would for every event of its type at once.

Both branches of a block are taken, a list is gone through until nothing changes, and each partial is read at each
of its calls, with what it is given there. The scopes are those of handlebars.js.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from emails.checking import markup, plain_text
from emails.checking.evaluating import Evaluator
from emails.checking.findings import Findings, TooMany, did_you_mean
from emails.checking.markup import Markup
from emails.checking.plain_text import PlainText
from emails.checking.scopes import Callee, Overlaid, Scope, Value
from emails.checking.shapes import NUMBER, TEXT, UNKNOWN, Shape
from emails.rendering.expressions import BLOCKS
from emails.rendering.parser import MAX_DEPTH
from emails.rendering.syntax import (
    Argument,
    Block,
    Call,
    Inline,
    Literal,
    Mustache,
    Node,
    Partial,
    PartialBlock,
    Place,
    Program,
    Text,
    partial_name,
)

# Partials that call each other, and blocks in blocks, multiply what must be read.
MAX_NODES = 50_000
MAX_CHARACTERS = 5_000_000
# What is printed into a style sheet or a comment must not multiply the states without end.
_MOST_ROUNDS = 10

States = Any


class Walk:
    """Walks through one file of a template, and through the partials that it calls."""

    def __init__(
        self,
        programs: Mapping[str, Program],
        findings: Findings,
        *,
        root: Shape,
        data: Mapping[str, Shape],
        hosts: frozenset[str],
    ) -> None:
        self._programs = programs
        self._findings = findings
        self._hosts = hosts
        self._root = Value(root)
        brand = {name: Value(shape) for name, shape in data.items()}
        self._expressions = Evaluator(findings, self._root, brand)
        self._sink: Markup | PlainText = Markup(hosts, self._report)
        self._place: tuple[str, int | Place] = ("", 0)
        self._nodes_left = MAX_NODES
        self._characters_left = MAX_CHARACTERS
        self.called: set[str] = set()

    def file(self, name: str) -> None:
        """Walk through a file; raises TooMany when there is no use in going on."""
        states: States = plain_text.BEGINNING
        self._sink = PlainText(self._hosts, self._report, is_line=name.endswith("subject.hbs"))
        if name.endswith(".html.hbs"):
            states, self._sink = markup.BEGINNING, Markup(self._hosts, self._report)
        program = self._programs[name]
        self._place = name, 0
        known = {
            file.removeprefix("partials/").removesuffix(".hbs"): Callee(file, partial)
            for file, partial in self._programs.items()
            if file.startswith("partials/")
        }
        scope = Scope(name, self._root, known=known, active=frozenset({id(program)}))
        states = self._program(program, scope, states)
        self._sink.end(states)

    def _report(self, at: int, code: str, message: str, hint: str) -> None:
        file, place = self._place
        if isinstance(place, Place):
            self._findings.add(file, place, code, message, hint)
        else:
            self._findings.at(file, place + at, code, message, hint)

    def _spend(self, scope: Scope, characters: int = 0) -> None:
        self._nodes_left -= 1
        self._characters_left -= characters
        if self._nodes_left < 0 or self._characters_left < 0:
            message = "this template calls its partials too often: it would be too long"
            self._findings.add(scope.file, Place(1, 1), "too-complex", message)
            raise TooMany

    def _program(self, program: Program | None, scope: Scope, states: States) -> States:
        if program is None:
            return states
        if scope.depth > MAX_DEPTH:
            self._findings.add(
                scope.file, Place(1, 1), "too-deep", "blocks and partials nest too deeply"
            )
            raise TooMany
        scope = replace(
            scope, known={**scope.known, **_inlines(program, scope)}, depth=scope.depth + 1
        )
        for node in program.nodes:
            states = self._node(node, scope, states)
        return states

    def _node(self, node: Node, scope: Scope, states: States) -> States:
        if isinstance(node, Text):
            self._spend(scope, len(node.value))
            self._place = scope.file, node.at + node.original.find(node.value)
            return self._sink.text(states, node.value) if node.value else states
        self._spend(scope)
        if isinstance(node, Mustache):
            return self._mustache(node, scope, states)
        if isinstance(node, Block):
            return self._block(node, scope, states)
        if isinstance(node, Partial | PartialBlock):
            return self._partial(node, scope, states)
        return states

    def _mustache(self, node: Mustache, scope: Scope, states: States) -> States:
        name = node.call.name
        if not node.is_escaped:
            message = f"{{{{{{{name.text}}}}}}} prints a value without escaping it"
            self._findings.add(
                scope.file, name.place, "raw", message, f"Write {{{{{name.text}}}}}."
            )
        value = self._expressions.printed(node.call, scope)
        self._place = scope.file, name.place
        return self._sink.value(states, value.shape, name.text)

    # --- Blocks

    def _block(self, node: Block, scope: Scope, states: States) -> States:
        call, name = node.call, node.call.name
        is_builtin = name.is_simple and name.text in BLOCKS
        if not (self._expressions.is_helper(call, scope) or call.has_arguments or is_builtin):
            return self._section(node, scope, states)
        if not is_builtin:
            self._expressions.call(call, scope, has_block=True)
            known = scope.knowing(self._equal(call, scope))
            return self._either((node.body, known), (node.inverse, scope), states)
        if len(call.arguments) != 1:
            message = f"#{name.text} takes one argument"
            self._findings.add(scope.file, name.place, "argument", message)
            return states
        value = self._expressions.value(call.arguments[0], scope)
        if name.text == "each":
            return self._each(node, value, scope, states)
        if name.text == "with":
            inner = scope.knowing(self._expressions.facts(call.arguments[0], scope))
            inner = inner.within(value, _named(node, value))
            return self._either((node.body, inner), (node.inverse, scope), states)
        known = scope.knowing(self._expressions.facts(call.arguments[0], scope))
        inside, outside = (known, scope) if name.text == "if" else (scope, known)
        return self._either((node.body, inside), (node.inverse, outside), states)

    def _equal(self, call: Call, scope: Scope) -> frozenset[Any]:
        """Return what is known where ``{{#ifeq}}`` finds a value equal to a literal."""
        if call.name.text != "ifeq" or len(call.arguments) != 2:
            return frozenset()
        one, other = call.arguments
        argument = other if isinstance(one, Literal) else one
        literal = one if isinstance(one, Literal) else other
        if not isinstance(literal, Literal) or literal.value is None:
            return frozenset()
        return self._expressions.facts(argument, scope)

    def _either(
        self, one: tuple[Program | None, Scope], other: tuple[Program | None, Scope], states: States
    ) -> States:
        return self._program(*one, states) | self._program(*other, states)

    def _each(self, node: Block, value: Value, scope: Scope, states: States) -> States:
        items = value.shape.items()
        if items is None:
            name = node.call.arguments[0] if node.call.arguments else node.call.name
            place, text = _place_of(name)
            if not value.shape.kinds <= {"null"}:
                self._findings.add(scope.file, place, "no-list", f"{text} is no list and no object")
            return self._program(node.inverse, scope, states)
        key = Value(NUMBER if value.shape.kinds <= {"array", "null"} else TEXT)
        item = Value(items)
        names = (node.body or node.inverse or Program()).names
        inner = scope.repeated(item, key)
        if names:
            inner = replace(
                inner, names=(dict(zip(names, (item, key), strict=False)), *scope.names)
            )
        after = states
        for _ in range(_MOST_ROUNDS):
            grown = after | self._program(node.body, inner, after)
            if grown == after:
                break
            after = grown
        else:
            message = "what is repeated does not leave the markup as it was before"
            self._findings.add(scope.file, node.call.name.place, "too-complex", message)
        return after | self._program(node.inverse, scope, states)

    def _section(self, node: Block, scope: Scope, states: States) -> States:
        path = node.call.name
        value = self._expressions.value(path, scope)
        kinds = value.shape.kinds
        after = self._program(node.inverse, scope, states)
        known = scope.knowing(self._expressions.facts(path, scope))
        if kinds & {"array", "any"}:
            after |= self._each(replace(node, inverse=None), value, known, states)
        if "boolean" in kinds:
            after |= self._program(node.body, known, states)
        if kinds - {"array", "boolean", "null"}:
            after |= self._program(node.body, known.within(value), states)
        return after

    # --- Partials

    def _partial(self, node: Partial | PartialBlock, scope: Scope, states: States) -> States:
        place, _ = _place_of(node.name)
        if isinstance(node.name, Call):
            message = "the name of a partial must be written out"
            self._findings.add(scope.file, place, "computed-partial", message)
            return states
        name = partial_name(node.name)
        context = self._expressions.value(node.context, scope) if node.context else scope.here
        if node.named:
            named = {key: self._expressions.value(each, scope) for key, each in node.named.items()}
            context = Overlaid(context.shape, base=context, named=named)
        inner = scope
        if isinstance(node, PartialBlock):
            block = Callee(scope.file, node.body, scope, is_block=True)
            known = {name: block, **scope.known, **_inlines(node.body, scope)}
            inner = replace(scope, block=block, known=known)
        callee = inner.block if name == "@partial-block" else inner.known.get(name)
        if callee is None:
            hint = did_you_mean(name, scope.known)
            self._findings.add(
                scope.file, place, "missing-partial", f'there is no partial "{name}"', hint
            )
            return states
        return self._call(callee, context, inner, states, (scope.file, place, name))

    def _call(
        self,
        callee: Callee,
        context: Value,
        scope: Scope,
        states: States,
        called: tuple[str, Place, str],
    ) -> States:
        file, place, name = called
        if id(callee.program) in scope.active:
            self._findings.add(file, place, "recursive-partial", f'"{name}" calls itself')
            return states
        self.called.add(callee.file)
        inner = _entered(callee, context, scope)
        return self._program(callee.program, inner, states)


def _entered(callee: Callee, context: Value, scope: Scope) -> Scope:
    """Return the scope in which a partial begins: that of a file sees its context alone."""
    active = scope.active | {id(callee.program)}
    if callee.around is None:
        return replace(scope, file=callee.file, here=context, outer=None, names=(), active=active)
    inner = callee.around.within(context)
    block = callee.around.block if callee.is_block else scope.block
    return replace(
        inner,
        frame=scope.frame,
        outer_frame=scope.outer_frame,
        known=scope.known,
        block=block,
        facts=scope.facts | inner.facts,
        active=active,
        depth=scope.depth,
    )


def _inlines(program: Program, scope: Scope) -> dict[str, Callee]:
    inlines: Iterable[Inline] = (node for node in program.nodes if isinstance(node, Inline))
    return {node.name: Callee(scope.file, node.body, scope) for node in inlines}


def _named(node: Block, value: Value) -> dict[str, Value]:
    names = (node.body or node.inverse or Program()).names
    return {name: value if not index else Value(UNKNOWN) for index, name in enumerate(names)}


def _place_of(argument: Argument) -> tuple[Place, str]:
    name = argument.name if isinstance(argument, Call) else argument
    return name.place, name.text
