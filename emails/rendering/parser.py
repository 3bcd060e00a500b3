"""Parse Handlebars templates by the grammar of handlebars.js 4.7 (``src/handlebars.yy``).

What that grammar refuses is refused, with line and column. Decorators other than ``inline`` are refused too.
"""

from __future__ import annotations

import re
from typing import NoReturn

from emails.rendering import lexer, values, whitespace
from emails.rendering.syntax import (
    Argument,
    BadTemplate,
    Block,
    Call,
    Comment,
    Inline,
    Lines,
    Literal,
    Mustache,
    Node,
    Partial,
    PartialBlock,
    Path,
    Place,
    Program,
    Strip,
    Text,
)

MAX_DEPTH = 100
_WORDS = {"true": True, "false": False, "null": None, "undefined": None}
_escaped_in_segment = re.compile(r"\\([\\\]])")


def parse(source: str) -> Program:
    """Return the tree of a template; raises BadTemplate."""
    parser = _Parser(source)
    program = parser.program(depth=0)
    parser.take("end")
    whitespace.control(program)
    return program


class _Parser:
    def __init__(self, source: str) -> None:
        self._lines = Lines(source)
        try:
            self._tokens = list(lexer.tokens(source))
        except lexer.Unreadable as exc:
            raise BadTemplate(str(exc), self._lines.place(exc.at)) from exc
        self._index = 0
        self._brackets = 0

    def program(self, *, depth: int) -> Program:
        """Parse statements up to a token that begins none."""
        if depth > MAX_DEPTH:
            self._refuse(f"nested deeper than {MAX_DEPTH} blocks: maximum depth exceeded")
        program = Program()
        while (node := self._statement(depth)) is not None:
            program.nodes.append(node)
        return program

    def take(self, kind: str) -> str:
        """Return the characters of the next token, which must be of this kind."""
        if self._kind != kind:
            found = self._tokens[self._index].text
            self._refuse(f"{found!r} is not expected here" if found else "a block is never closed")
        self._index += 1
        return self._tokens[self._index - 1].text

    @property
    def _kind(self) -> str:
        return self._tokens[self._index].kind

    def _statement(self, depth: int) -> Node | None:
        match self._kind:
            case "content":
                return self._text_node()
            case "comment":
                text = self.take("comment")
                return Comment(_strip(text, text))
            case "open":
                return self._mustache("open", "close")
            case "open unescaped":
                return self._mustache("open unescaped", "close unescaped")
            case "open block":
                return self._block(depth)
            case "open inverse":
                return self._inverse_block(depth)
            case "open raw":
                return self._raw_block()
            case "open partial":
                return self._partial()
            case "open partial block":
                return self._partial_block(depth)
        return None

    def _text_node(self) -> Text:
        token = self._tokens[self._index]
        self._index += 1
        return Text(token.text, token.text, token.at)

    def _mustache(self, opens: str, closes: str) -> Mustache:
        opening = self.take(opens)
        if "*" in opening:
            self._refuse("decorators are not supported")
        call = self._call()
        is_escaped = opens == "open" and "&" not in opening
        return Mustache(call, is_escaped, _strip(opening, self.take(closes)))

    def _block(self, depth: int) -> Node:
        opening = self.take("open block")
        if "*" in opening:
            return self._inline(opening, depth)
        call, names, strip = self._opened(opening)
        body = self.program(depth=depth + 1)
        body.names = names
        middle, inverse = self._chain(depth)
        closing = self._end(call.name)
        _close_chain(inverse, closing)
        return Block(call, body, inverse, strip, middle, closing)

    def _chain(self, depth: int) -> tuple[Strip, Program | None]:
        """Parse ``{{else}}`` or the blocks of ``{{else if}}``; the first strip is that of the tag itself."""
        if self._kind != "open else":
            return self._else(depth)
        call, names, strip = self._opened(self.take("open else"))
        if depth > MAX_DEPTH:
            self._refuse(f"nested deeper than {MAX_DEPTH} blocks: maximum depth exceeded")
        body = self.program(depth=depth + 1)
        body.names = names
        middle, inverse = self._chain(depth + 1)
        _close_chain(inverse, middle)
        block = Block(call, body, inverse, strip, middle, middle)
        return strip, Program([block], is_chained=True)

    def _else(self, depth: int) -> tuple[Strip, Program | None]:
        if self._kind != "else":
            return Strip(), None
        text = self.take("else")
        return _strip(text, text), self.program(depth=depth + 1)

    def _inverse_block(self, depth: int) -> Block:
        call, names, strip = self._opened(self.take("open inverse"))
        inverse = self.program(depth=depth + 1)
        inverse.names = names
        middle, body = self._else(depth)
        return Block(call, body, inverse, strip, middle, self._end(call.name))

    def _raw_block(self) -> Block:
        self.take("open raw")
        call = self._call()
        self.take("close raw")
        program = Program()
        while self._kind == "content":
            program.nodes.append(self._text_node())
        place = self._here()
        name = self.take("raw end")
        if name != call.name.text:
            raise BadTemplate(f"{call.name.text} doesn't match {name}", place)
        return Block(call, program, None, Strip(), Strip(), Strip())

    def _inline(self, opening: str, depth: int) -> Inline:
        place = self._here()
        call, names, strip = self._opened(opening)
        [name] = call.arguments if len(call.arguments) == 1 else [None]
        if call.name.text != "inline" or call.named or names:
            raise BadTemplate('decorators are not supported, only #*inline "name"', place)
        if not isinstance(name, Literal) or not isinstance(name.value, str):
            raise BadTemplate('an inline partial needs its name in quotes: #*inline "name"', place)
        body = self.program(depth=depth + 1)
        return Inline(name.value, body, strip, self._end(call.name))

    def _opened(self, opening: str) -> tuple[Call, tuple[str, ...], Strip]:
        """Parse an opening tag up to its end."""
        call, names = self._call(), []
        if self._kind == "open names":
            self.take("open names")
            names.append(_name(self.take("name")))
            while self._kind == "name":
                names.append(_name(self.take("name")))
            self.take("|")
        return call, tuple(names), _strip(opening, self.take("close"))

    def _end(self, name: Path | Literal) -> Strip:
        opening = self.take("open end")
        place = self._here()
        closed = self._helper_name()
        if _original(closed) != _original(name):
            raise BadTemplate(f"{name.text} doesn't match {closed.text}", place)
        return _strip(opening, self.take("close"))

    def _partial(self) -> Partial:
        opening = self.take("open partial")
        name, context, named = self._partial_call()
        return Partial(name, context, named, _strip(opening, self.take("close")))

    def _partial_block(self, depth: int) -> PartialBlock:
        opening = self.take("open partial block")
        name, context, named = self._partial_call()
        strip = _strip(opening, self.take("close"))
        if isinstance(name, Call):
            # Handlebars.js never finds the closing tag of such a block.
            self._refuse("a partial whose name is computed cannot have a block")
        body = self.program(depth=depth + 1)
        return PartialBlock(name, context, named, body, strip, self._end(name))

    def _partial_call(self) -> tuple[Argument, Argument | None, dict[str, Argument]]:
        name = self._subexpression() if self._kind == "(" else self._helper_name()
        place = self._here()
        arguments, named = self._arguments()
        if len(arguments) > 1:
            raise BadTemplate(f"unsupported number of partial arguments: {len(arguments)}", place)
        return name, next(iter(arguments), None), named

    def _call(self) -> Call:
        name = self._helper_name()
        if isinstance(name, Literal):
            name = Path(_original(name), name.place, (_original(name),))
        return Call(name, *self._arguments())

    def _arguments(self) -> tuple[tuple[Argument, ...], dict[str, Argument]]:
        arguments: list[Argument] = []
        named: dict[str, Argument] = {}
        while (kind := self._kind) in ("name", "@", "text", "number", "word", "("):
            if kind == "name" and self._tokens[self._index + 1].kind == "=":
                key = _name(self.take("name"))
                self.take("=")
                named[key] = self._argument()
            elif named:
                self._refuse("an argument without a name must stand before those with a name")
            else:
                arguments.append(self._argument())
        return tuple(arguments), named

    def _argument(self) -> Argument:
        return self._subexpression() if self._kind == "(" else self._helper_name()

    def _subexpression(self) -> Call:
        self.take("(")
        self._brackets += 1
        if self._brackets > MAX_DEPTH:
            self._refuse(f"more than {MAX_DEPTH} brackets in each other")
        call = self._call()
        self.take(")")
        self._brackets -= 1
        return call

    def _helper_name(self) -> Path | Literal:
        place = self._here()
        match self._kind:
            case "text":
                quoted = self.take("text")
                quote = quoted[0]
                return Literal(quoted, place, quoted[1:-1].replace(f"\\{quote}", quote))
            case "number":
                return _number(self.take("number"), place)
            case "word":
                word = self.take("word")
                return Literal(word, place, _WORDS[word])
        return self._path(place)

    def _path(self, place: Place) -> Path:
        begin, is_data = self._index, self._kind == "@"
        if is_data:
            self.take("@")
        climbs = 0
        parts: list[str] = []
        while True:
            segment = self.take("name")
            part = _name(segment)
            if not part:
                raise BadTemplate("an empty name", place)
            if part == segment and part in ("..", ".", "this"):
                if parts:
                    raise BadTemplate(f"invalid path: {self._text(begin)}", place)
                climbs += part == ".."
            else:
                parts.append(part)
            if self._kind != "separator":
                return Path(self._text(begin), place, tuple(parts), climbs, is_data)
            self.take("separator")

    def _text(self, begin: int) -> str:
        return "".join(token.text for token in self._tokens[begin : self._index])

    def _here(self) -> Place:
        return self._lines.place(self._tokens[self._index].at)

    def _refuse(self, problem: str) -> NoReturn:
        raise BadTemplate(problem, self._here())


def _close_chain(inverse: Program | None, closing: Strip) -> None:
    if inverse is not None and inverse.is_chained:
        [block] = inverse.nodes
        block.closing = closing  # type: ignore[union-attr]  # the node of a chained program is a block


def _strip(opening: str, closing: str) -> Strip:
    return Strip(opening[2:3] == "~", closing[-3:-2] == "~")


def _name(token: str) -> str:
    """Return the name of a token; ``[any thing]`` is a name too."""
    if not token.startswith("["):
        return token
    token = _escaped_in_segment.sub(r"\1", token)
    return token if "\n" in token else token[1:-1]


def _number(text: str, place: Place) -> Literal:
    if "." not in text:
        return Literal(text, place, int(text))
    value = float(text)
    return Literal(text, place, int(value) if value.is_integer() else value)


def _original(name: Path | Literal) -> str:
    """Return what a closing tag must repeat: brackets and quotes make no difference."""
    if isinstance(name, Literal):
        is_word = name.value is None or isinstance(name.value, bool)
        return name.text if is_word else values.text_of(name.value)
    return name.text.replace("[", "").replace("]", "")
