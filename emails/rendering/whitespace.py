"""Take away the white space around tags, as handlebars.js 4.7 does (``lib/handlebars/compiler/whitespace-control.js``).

``~`` takes away all white space at its side of a tag. A block tag, a partial or a comment that stands alone on its line
takes the line with it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from emails.rendering.lexer import SPACES, WHITE
from emails.rendering.syntax import (
    Block,
    Comment,
    Inline,
    Mustache,
    Node,
    Partial,
    PartialBlock,
    Program,
    Strip,
    Text,
)

_line_ends = re.compile(rf"[{WHITE}]*?\r?\n").match
_line_or_root_ends = re.compile(rf"[{WHITE}]*?(?:\r?\n|\Z)").match
_left = (" \t", SPACES)
_right = (re.compile(r"\A[ \t]*\r?\n?"), re.compile(rf"\A[{WHITE}]+"))


class _Edges(NamedTuple):
    """What a node wants around itself; the first three are true if the node could stand alone on its line."""

    opens_line: bool
    closes_line: bool
    is_line: bool
    strip: Strip


def control(program: Program, *, is_root: bool = True) -> None:
    """Take the white space away in the text nodes of a program and of all blocks in it."""
    nodes = program.nodes
    for index, node in enumerate(nodes):
        edges = _edges(node)
        if edges is None:
            continue
        is_begin = _is_begin(nodes, index, is_root=is_root)
        is_end = _is_end(nodes, index, is_root=is_root)
        if edges.strip.after:
            _trim_right(nodes, index, all_of_it=True)
        if edges.strip.before:
            _trim_left(nodes, index, all_of_it=True)
        if edges.is_line and is_begin and is_end:
            _trim_right(nodes, index)
            if _trim_left(nodes, index) and isinstance(node, Partial):
                node.indent = _indent(nodes[index - 1])
        if edges.opens_line and is_begin:
            _trim_right(_first(node).nodes, None)
            _trim_left(nodes, index)
        if edges.closes_line and is_end:
            _trim_right(nodes, index)
            _trim_left(_last(node).nodes, None)


def _edges(node: Node) -> _Edges | None:
    if isinstance(node, Text):
        return None
    if isinstance(node, Mustache):
        return _Edges(False, False, False, node.strip)
    if isinstance(node, Comment | Partial):
        return _Edges(False, False, True, node.strip)
    if isinstance(node, Block):
        return _block(node)
    control(node.body, is_root=False)
    return _around(node, node.body, node.body)


def _around(node: Block | PartialBlock | Inline, first: Program, last: Program) -> _Edges:
    edges = _Edges(
        _is_end(first.nodes, -1),
        _is_begin(last.nodes, len(last.nodes)),
        False,
        Strip(node.opening.before, node.closing.after),
    )
    if node.opening.after:
        _trim_right(first.nodes, None, all_of_it=True)
    if first is last and node.closing.before:
        _trim_left(first.nodes, None, all_of_it=True)
    return edges


def _block(block: Block) -> _Edges:
    for branch in (block.body, block.inverse):
        if branch is not None:
            control(branch, is_root=False)
    program, inverse = _first(block), block.inverse if block.body else None
    if inverse is None:
        return _around(block, program, program)
    first = last = inverse
    if inverse.is_chained:
        first = _body_of(inverse, 0)
        while last.is_chained:
            last = _body_of(last, -1)
    edges = _around(block, program, first)
    if block.middle.before:
        _trim_left(program.nodes, None, all_of_it=True)
    if block.middle.after:
        _trim_right(first.nodes, None, all_of_it=True)
    if block.closing.before:
        _trim_left(last.nodes, None, all_of_it=True)
    # An {{else}} that stands alone on its line.
    if _is_begin(program.nodes, len(program.nodes)) and _is_end(first.nodes, -1):
        _trim_left(program.nodes, None)
        _trim_right(first.nodes, None)
    return edges


def _first(node: Node) -> Program:
    program = node.body or node.inverse if isinstance(node, Block) else node.body  # type: ignore[union-attr]
    assert program is not None  # noqa: S101  # a block has at least one of the two
    return program


def _last(node: Node) -> Program:
    program = node.inverse or node.body if isinstance(node, Block) else node.body  # type: ignore[union-attr]
    assert program is not None  # noqa: S101  # a block has at least one of the two
    return program


def _body_of(chained: Program, index: int) -> Program:
    return _first(chained.nodes[index])


def _is_begin(nodes: list[Node], index: int, *, is_root: bool = False) -> bool:
    """Return True if a line ends right before this node."""
    if index == 0:
        return is_root
    before = nodes[index - 1]
    is_first = index == 1 and is_root
    return isinstance(before, Text) and _begins_line(before.original, is_first=is_first)


def _is_end(nodes: list[Node], index: int, *, is_root: bool = False) -> bool:
    """Return True if the line ends right after this node."""
    if index + 1 == len(nodes):
        return is_root
    after = nodes[index + 1]
    is_last = index + 2 == len(nodes) and is_root
    ends = _line_or_root_ends if is_last else _line_ends
    return isinstance(after, Text) and ends(after.original) is not None


def _trim_right(nodes: list[Node], index: int | None, *, all_of_it: bool = False) -> None:
    """Take white space from the text after this node, or from the first node."""
    place = 0 if index is None else index + 1
    text = nodes[place] if place < len(nodes) else None
    if not isinstance(text, Text) or (text.is_right_stripped and not all_of_it):
        return
    before, text.value = text.value, _right[all_of_it].sub("", text.value)
    text.is_right_stripped = text.value != before


def _trim_left(nodes: list[Node], index: int | None, *, all_of_it: bool = False) -> bool:
    """Take white space from the text before this node, or from the last node; True if there was some."""
    place = len(nodes) - 1 if index is None else index - 1
    text = nodes[place] if place >= 0 else None
    if not isinstance(text, Text) or (text.is_left_stripped and not all_of_it):
        return False
    before, text.value = text.value, text.value.rstrip(_left[all_of_it])
    text.is_left_stripped = text.value != before
    return text.is_left_stripped


def _indent(text: Node) -> str:
    return text.original[len(text.original.rstrip(_left[0])) :] if isinstance(text, Text) else ""


def _begins_line(text: str, *, is_first: bool) -> bool:
    printed = text.rstrip(SPACES)
    return "\n" in text[len(printed) :] or (is_first and not printed)
