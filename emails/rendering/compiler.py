"""Compile Handlebars templates to Python functions, so that no email has to read its template again.

``emails.rendering.parser`` parses, and ``emails.rendering.functions`` writes the functions. They print what
handlebars.js 4.7 prints for data that came as JSON. Whatever the template alone decides is decided here: which
partial is called, which helper, and which value a name means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

from emails.rendering.expressions import (
    BLOCKS,
    UNBOUND,
    Choice,
    Evaluate,
    Expressions,
    Helper,
    Hidden,
    Names,
    Options,
    State,
    Written,
    beginning,
    calling,
)
from emails.rendering.functions import Function, Module
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
    partial_name,
)
from emails.rendering.values import NoOutline, TooDeep

Emit = Callable[[State, Function], None]


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A compiled template, partial, or body of a block, with the inline partials that are defined in it."""

    parts: list[str | Emit]
    depth: int
    inlines: Mapping[str, Body] = field(default_factory=dict)

    def emit(self, state: State, outside: State, code: Function) -> None:
        """Write the statements that print the body; ``outside`` is where its inline partials belong to."""
        code.module.count_body()
        with code.inner() as fits:
            if fits:
                self._emit(state, outside, code)
            else:
                code.later(lambda inner: self._emit(state, outside, inner), state.live)

    def called(self, state: State, code: Function) -> None:
        """Write the statements that print a whole template, which has nothing outside."""
        self.emit(state, state._replace(scopes="None"), code)

    def module(self, partials: Mapping[str, Body], *, is_apart: bool) -> Module:
        """Return the functions of a whole template, which can call these partials."""
        return Module(lambda code: self.called(beginning(code, partials), code), is_apart=is_apart)

    def _emit(self, state: State, outside: State, code: Function) -> None:
        if state.depth + self.depth > MAX_DEPTH:
            code.fail(TooDeep, f"maximum depth of partials and blocks exceeded ({MAX_DEPTH})")
            return
        if self.inlines:
            known = {**state.known[state.partials], **_closures(self.inlines, outside)}
            state = state._replace(known={**state.known, state.partials: known})
        for part in self.parts:
            code.text(part) if isinstance(part, str) else part(state, code)


class Compiler:
    """Compiles templates with one set of helpers; with ``escape``, they escape for HTML what they print."""

    def __init__(
        self, helpers: Mapping[str, Helper | Written], *, strict: bool, escape: bool
    ) -> None:
        self._expressions = Expressions(helpers, strict=strict)
        self._escape = escape

    def template(self, program: Program) -> Body:
        """Compile what ``parse`` returned for a file; raises BadTemplate."""
        return self._body(program, depth=0, names=())

    def _body(self, program: Program | None, *, depth: int, names: Names) -> Body:
        """Compile nodes that follow each other.

        ``depth`` counts the blocks around the nodes in this file; the state counts those of the callers.
        """
        program = program or Program()
        if program.names:
            names = (program.names, *names)
        parts: list[str | Emit] = []
        inlines: dict[str, Body] = {}
        for node in program.nodes:
            if isinstance(node, Inline):
                hidden: Names = tuple(map(Hidden, names))
                inlines[node.name] = self._body(node.body, depth=depth + 1, names=hidden)
            elif isinstance(node, Text):
                parts.append(node.value)
            elif not isinstance(node, Comment):
                parts.append(self._node(node, depth, names))
        return Body(parts, depth, inlines)

    def _node(
        self, node: Mustache | Block | Partial | PartialBlock, depth: int, names: Names
    ) -> Emit:
        if isinstance(node, Mustache):
            return self._mustache(node, names)
        if isinstance(node, Block):
            return self._block(node, depth + 1, names)
        return self._partial(node, depth, names)

    def _mustache(self, node: Mustache, names: Names) -> Emit:
        evaluate = self._expressions.mustache(node.call, names)
        name = f", {node.call.name.text!r}" if self._expressions.strict else ""

        def emit(state: State, code: Function) -> None:
            self._print(evaluate(state, code), code, name, is_raw=not node.is_escaped)

        return emit

    def _print(self, atom: str, code: Function, name: str = "", *, is_raw: bool = False) -> None:
        is_apart = code.module.is_apart
        if is_raw and self._escape and is_apart:
            code.fail(NoOutline, "")
            return
        show = "plain"
        if self._escape:
            show = "apart" if is_apart else "unescaped" if is_raw else "html"
        shown = f"{show}({atom}{name})"
        if show in ("plain", "apart"):
            # The fast path of most values.
            shown = f"{atom} if type({atom}) is str and {atom}.isascii() else {shown}"
        code.value(code.once(shown, known_as=f"{show}({atom})"))

    def _block(self, node: Block, depth: int, names: Names) -> Emit:
        body = self._body(node.body, depth=depth, names=names)
        inverse = self._body(node.inverse, depth=depth, names=names)
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
    ) -> Emit:
        """Compile the blocks of handlebars.js itself."""
        if len(call.arguments) != 1:
            _refuse(f"#{call.name.text} requires exactly one argument", call)
        evaluate = self._expressions.value(call.arguments[0], names)
        if call.name.text == "each":
            return lambda state, code: _repeat(
                code.data(evaluate(state, code)), given, body, inverse, state, code
            )
        if call.name.text == "with":
            return _stepping(evaluate, given, body, inverse)
        if given:
            _refuse(f"#{call.name.text} has no value to give a name to", call)
        named = self._expressions.named(call.named, names)
        branches = (inverse, body) if call.name.text == "if" else (body, inverse)

        def emit(state: State, code: Function) -> None:
            value, zero = evaluate(state, code), ""
            if call.named:
                zero = f", is_zero_true=is_true({named(state, code)}.get('includeZero'))"
            _choose(f"is_true({value}{zero})", *branches, state, code)

        return emit

    def _section(
        self, path: Path, given: tuple[str, ...], body: Body, inverse: Body, names: Names
    ) -> Emit:
        """Compile ``{{#name}}``: repeat for a list, skip for false and null, step into any other value."""
        evaluate = self._expressions.value(path, names)
        unbound = (UNBOUND,) * len(given)

        def step(value: str, state: State, code: Function) -> None:
            here = code.once(f"{state.here} if {value} is True else {value}")
            body.emit(state.within(code, here, unbound), state, code)

        def emit(state: State, code: Function) -> None:
            value = code.data(evaluate(state, code))
            with code.block(f"if {value} is False or {value} is None:"):
                inverse.emit(state, state, code)
            # The value of one name is a list or none: hardly ever are both functions called.
            live = (*state.live, value)
            with code.block(f"elif is_list({value}):"):
                code.later(partial(_repeat, value, given, body, inverse, state), live)
            with code.block("else:"):
                code.later(partial(step, value, state), live)

        return emit

    def _helper_block(self, call: Call, body: Body, inverse: Body, names: Names) -> Emit:
        helper = self._expressions.helper(call, names)
        arguments = self._expressions.arguments(call, names)
        named = self._expressions.named(call.named, names)

        def emit(state: State, code: Function) -> None:
            given, options = arguments(state, code), named(state, code)
            if isinstance(helper, Choice):
                test = f"{code.module.constant(helper.is_first)}({given})"
                _choose(test, inverse, body, state, code)
            elif code.module.is_apart:
                # The helper may change the texts of its branches, which would lack their values.
                code.fail(NoOutline, "")
            else:
                rendered = code.module.name("r")
                code.line(f"{rendered} = []")
                branches = [_branch(part, rendered, state, code) for part in (body, inverse)]
                options = f"{code.module.constant(Options)}({options}, {', '.join(branches)})"
                value = code.module.name("t")
                code.line(f"{value} = {calling(helper, given, options, code)}")
                with code.block(f"if any({value} is each for each in {rendered}):"):
                    code.value(f"str({value})")
                with code.block("else:"):
                    self._print(value, code)

        return emit

    def _partial(self, node: Partial | PartialBlock, depth: int, names: Names) -> Emit:
        find = self._partial_name(node, names)
        named = self._expressions.named(node.named, names)
        evaluate = self._expressions.value(node.context, names) if node.context else None
        indent = node.indent if isinstance(node, Partial) else ""
        block = None
        if isinstance(node, PartialBlock):
            block = self._body(node.body, depth=depth + 1, names=names)

        def emit(state: State, code: Function) -> None:
            name, computed = find if isinstance(find, str) else "", ""
            if not isinstance(find, str):
                computed = code.once(f"partial_name({find(state, code)})")
            context = evaluate(state, code) if evaluate else state.here
            if node.named:
                context = f"overlaid({context}, {named(state, code)})"
            inner = state.called(code, code.data(context), depth + 1)
            known = _callable(state)
            if block is not None:
                inner = _with_block(block, state, inner)
                known = {name: inner.frames[0]["partial-block"], **known}
            if computed:
                _call_computed(computed, known, indent, inner, code)
            elif name in known:
                _call(known[name], indent, inner, code)
            else:
                code.fail(ValueError, f"The partial {name} could not be found")

        return emit

    def _partial_name(self, node: Partial | PartialBlock, names: Names) -> str | Evaluate:
        if isinstance(node.name, Call):
            return self._expressions.value(node.name, names)
        return partial_name(node.name)


class _Closure:
    """An inline partial, which sees what is around the place where it is written."""

    def __init__(self, body: Body, state: State) -> None:
        self.body = body
        self._state = state

    def called(self, called: State, code: Function) -> None:
        """Write the partial for the state in which a partial of a file would be printed."""
        state = self._state.within(code, called.here)
        state = state._replace(
            frames=called.frames,
            depth=called.depth,
            known=called.known,
            active=called.active,
            live=(*called.live, state.here, state.scopes),
        )
        self.body.emit(state, self._state, code)


class _BlockClosure(_Closure):
    """The block given to a partial; inside it, ``@partial-block`` is that of the place where it is written."""

    def called(self, called: State, code: Function) -> None:
        """Write the block for the state in which a partial of a file would be printed."""
        around = self._state.frames[0]["partial-block"]
        frames = ({**called.frames[0], "partial-block": around}, called.frames)
        super().called(called._replace(frames=frames), code)


def _closures(inlines: Mapping[str, Body], state: State) -> dict[str, _Closure]:
    return {name: _Closure(body, state) for name, body in inlines.items()}


def _callable(state: State) -> dict[str, Body | _Closure]:
    """Return what can be called where we are."""
    known, block = dict(state.known[state.partials]), state.frames[0]["partial-block"]
    known.pop("@partial-block", None)
    return {**known, "@partial-block": block} if block else known


def _with_block(block: Body, state: State, inner: State) -> State:
    """Give a partial its block, and the inline partials that the block defines."""
    given = _BlockClosure(block, state)
    known = {**inner.known[inner.partials], **_closures(block.inlines, state)}
    return inner._replace(
        frames=({**inner.frames[0], "partial-block": given}, inner.frames),
        known={**inner.known, inner.partials: known},
    )


def _call_computed(
    name: str,
    known: Mapping[str, Body | _Closure],
    indent: str,
    state: State,
    code: Function,
) -> None:
    """Call the partial that a variable names."""
    for each, called in known.items():
        with code.block(f"{'elif' if each != next(iter(known)) else 'if'} {name} == {each!r}:"):
            code.later(partial(_call, called, indent, state), state.live)
    with code.block("else:" if known else "if True:"):
        code.line(f"raise ValueError(f'The partial {{{name}}} could not be found')")


def _call(called: Body | _Closure, indent: str, state: State, code: Function) -> None:
    body = called if isinstance(called, Body) else called.body
    if body in state.active:
        work = partial(_print_partial, called, indent, state)
        code.later(work, state.live, is_recursion=True)
    else:
        state = state._replace(active=state.active | {body})
        _print_partial(called, indent, state, code)


def _print_partial(called: Body | _Closure, indent: str, state: State, code: Function) -> None:
    if not indent:
        called.called(state, code)
        return
    with code.kept() as kept:
        called.called(state, code)
    code.indented(kept, indent)


def _refuse(problem: str, call: Call) -> NoReturn:
    raise BadTemplate(problem, call.name.place)


def _choose(test: str, no: Body, yes: Body, state: State, code: Function) -> None:
    """Print one of two bodies."""
    with code.block(f"if {code.once(test)}:"):
        yes.emit(state, state, code)
    with code.block("else:"):
        no.emit(state, state, code)


def _branch(part: Body, rendered: str, state: State, code: Function) -> str:
    """Write the function with which a helper prints a branch of its block; returns its name."""
    name = code.module.name("b")
    with code.block(f"def {name}(context=None):"):
        here = code.once(f"{state.here} if context is None else context")
        scopes = code.once(f"{state.scopes} if context is None else inside({state.scopes}, {here})")
        inner = state._replace(here=here, scopes=scopes, live=(*state.live, here, scopes))
        with code.kept() as (printed,):
            part.emit(inner, state, code)
        code.line(f"{rendered}.append(SafeString(''.join({printed})))")
        code.line(f"return {rendered}[-1]")
    return name


def _stepping(evaluate: Evaluate, given: tuple[str, ...], body: Body, inverse: Body) -> Emit:
    """Compile ``{{#with}}``."""

    def emit(state: State, code: Function) -> None:
        value = code.data(evaluate(state, code))
        with code.block(f"if is_empty({value}):"):
            inverse.emit(state, state, code)
        with code.block("else:"):
            body.emit(state.within(code, value, (value,) if given else ()), state, code)

    return emit


def _repeat(
    items: str, given: tuple[str, ...], body: Body, inverse: Body, state: State, code: Function
) -> None:
    """Print the body of an ``{{#each}}`` for each item."""
    listed, name = code.once(f"[*pairs({items})]"), code.module.name
    index, key, item, last, scopes = name("i"), name("k"), name("s"), name("n"), name("S")
    code.line(f"{last} = len({listed}) - 1", defines=last)
    with (
        code.counted(f"len({listed})"),
        code.block(f"for {index}, ({key}, {item}) in enumerate({listed}):"),
    ):
        state.step_inside(code, item, scopes)
        place = {
            "key": key,
            "index": index,
            "first": f"({index} == 0)",
            "last": f"({index} == {last})",
        }
        inner = state._replace(
            here=item,
            scopes=scopes,
            frames=({**state.frames[0], **place}, state.frames),
            live=(*state.live, index, key, item, last, scopes),
        )
        if given:
            inner = inner._replace(params=((item, key), state.params))
        body.emit(inner, state, code)
    with code.block(f"if not {listed}:"):
        inverse.emit(state, state, code)
