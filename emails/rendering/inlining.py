"""Inline the style sheet of an email into its elements, only once for each shape that the email takes.

Mail programs ignore style sheets, so each element needs its own style. To find it takes an HTML parser and most of the
time of an email, although names and amounts change no style. So we inline the outline of the email, which has marks
instead of values: an order of four lines is inlined once and serves all orders of four lines. We cannot inline the
template itself: a parser moves an ``{{#each}}`` between the rows of a table out of the table.

This is right only if the values do not change what the parser does. ``_shape()`` tries this for each outline: it puts
nothing, a line end, and everything that has a meaning in HTML in the place of each value, and compares. If a value
does matter, or is of a kind that we do not try, we inline the whole email.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache

import css_inline

from emails.rendering.functions import Module, Outline
from emails.rendering.mime import LONGEST_LINE, Html
from emails.rendering.values import MARK, MAX_OUTPUT, Key, TooMuch, escape

# To find a shape costs as much as to inline four whole emails, and to keep it takes up to a hundred kilobytes. An order
# of more than forty lines hardly comes twice.
MAX_SHAPES = 64
MAX_OUTLINE_LENGTH = 12_000

# So many elements in each other fit into the stack of any thread. More are inlined by a thread with a large one, which
# is only address space until it is used: it holds four times the elements that so many tags can open.
FEW_TAGS = 2_000
MAX_TAGS = 10_000
_DEEP_STACK = 64 * 1024 * 1024
# About a second.
MAX_WORK = 50_000_000

# We do not try values with these characters. A line end of two characters may be torn in two, and the parser drops a
# byte order mark at the beginning. The others never get into a body as they are (see ``emails.rendering.templates``),
# except the characters of our marks, which nobody uses.
_UNTRIED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ue000\ue001\ufeff]")
_TRIALS = ("", "\n", """a=1 b="2" '3' <b> </p> --> ]]> &lt;&amp; & \xa0""")

# A value may stand only in these attributes: the other ones may change the style.
_ATTRIBUTES = {
    *("abbr", "alt", "aria-label", "content", "datetime", "dir", "href", "lang", "src", "title"),
}
_TEXT, _ATTRIBUTE = 0, 1
_ESCAPES = (
    str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\xa0": "&nbsp;"}),
    str.maketrans({"&": "&amp;", '"': "&quot;", "\xa0": "&nbsp;"}),
)
# A mark with a quotation mark in it, which the parser writes differently in a text and in an attribute.
_PLACE = re.compile('\ue000([0-9]+)("|&quot;)\ue001')
# The beginning of an entity such as ``&amp;``, right before a mark, would merge with the value.
_ENTITY_BEFORE_MARK = re.compile("&[#0-9A-Za-z]*\ue000")
_STYLE = re.compile("<style.*?</style", re.DOTALL | re.IGNORECASE)
# Selectors that depend on the values of attributes.
_has_conditions = re.compile(r"\[|:lang|:dir", re.IGNORECASE).search


def inline(html: str) -> str:
    """Return the HTML with its style in its elements; raises ``css_inline.InlineError``, or TooMuch."""
    tags = html.count("<")
    if tags > FEW_TAGS:
        _refuse_work(html, tags)
        return _inline_deep(html)
    if "~" in html or "nth-" in html or ":has" in html:
        _refuse_work(html, tags)
    return _inliner().inline(html)


def _refuse_work(html: str, tags: int) -> None:
    """Raise TooMuch for HTML whose style sheets would take seconds."""
    if tags > MAX_TAGS:
        raise TooMuch(f"the email would have more than {MAX_TAGS:,} tags")
    sheet = "".join(part.partition("</style")[0] for part in html.lower().split("<style")[1:])
    among = tags**2 * (sheet.count("nth-") + sheet.count(":has"))
    work = tags * sheet.count("{") + among + tags**3 * sheet.count("~")
    if work > MAX_WORK:
        raise TooMuch("the style sheet takes too long: use fewer rules, and no nth-, :has or ~")


def _inline_deep(html: str) -> str:
    """Inline HTML that may be nested so deeply that the parser, which recurses, would end the process."""
    before = threading.stack_size(_DEEP_STACK)
    try:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(_inliner().inline, html).result()
    finally:
        threading.stack_size(before)


def inline_outline(outline: Outline) -> str | None:
    """Return what ``inline()`` would return for the filled outline; None if only ``inline()`` can tell."""
    joined = "".join(outline.values)
    if len(joined) > MAX_OUTPUT or _UNTRIED.search(joined):
        return None
    shape = _shape(outline.module, outline.key)
    return None if shape is None else shape.fill(outline.values, joined)


class _Shape:
    """Inlined HTML in pieces, with the numbers of the values between them and how each place escapes its value."""

    def __init__(self, pieces: list[str], numbers: list[int], kinds: list[int]) -> None:
        self.numbers = numbers
        self._kinds = kinds
        self._pieces = pieces
        self._content = [piece.replace("\n", "\r\n").encode() for piece in pieces]
        # Every second piece is empty: there is a value. No piece has a zero byte.
        lines = b"\0".join(self._content[::2]).split(b"\r\n")
        self._longest = max(map(len, lines))
        self._most = max(line.count(b"\0") for line in lines)

    def fill(self, values: Sequence[str], joined: str) -> str:
        """Put the values, which are ``joined`` too, into their places."""
        # A regular expression takes ten times as long.
        if "&" in joined or "<" in joined or ">" in joined or '"' in joined or "\xa0" in joined:
            places = zip(self.numbers, self._kinds, strict=True)
            texts = [values[number].translate(_ESCAPES[kind]) for number, kind in places]
        else:
            texts = [values[number] for number in self.numbers]
        filled = self._pieces.copy()
        filled[1::2] = texts
        html = "".join(filled)
        content = [text.encode() for text in texts]
        longest = self._longest + self._most * max(map(len, content), default=0)
        if longest > LONGEST_LINE or "\n" in joined:
            return html
        encoded = self._content.copy()
        encoded[1::2] = content
        return Html(html, b"".join(encoded))


@lru_cache(MAX_SHAPES)
def _shape(module: Module, key: Key) -> _Shape | None:
    """Inline an outline; None if the result depends on the values."""
    if module.length(key) > MAX_OUTLINE_LENGTH:
        return None
    try:
        outline = module.outline(key)
    except TooMuch:
        return None
    if len(outline) > MAX_OUTLINE_LENGTH:
        return None
    if _ENTITY_BEFORE_MARK.search(outline) or _UNTRIED.search(MARK.sub("", outline)):
        return None
    if any(map(_has_conditions, _STYLE.findall(outline))):
        return None
    try:
        shape = _shape_of(outline)
        is_right = shape is not None and all(_agrees(shape, outline, value) for value in _TRIALS)
    except (css_inline.InlineError, TooMuch):
        return None
    return shape if is_right else None


def _shape_of(outline: str) -> _Shape | None:
    html = inline(MARK.sub("\ue000\\1&quot;\ue001", outline))
    pieces, numbers, kinds, end = [], [], [], 0
    for place in _PLACE.finditer(html):
        kinds.append(_TEXT if place[2] == '"' else _ATTRIBUTE)
        if kinds[-1] == _ATTRIBUTE and _attribute(html[: place.start()]) not in _ATTRIBUTES:
            return None
        numbers.append(int(place[1]))
        pieces += [html[end : place.start()], ""]
        end = place.end()
    if sorted(numbers) != sorted(int(mark[1]) for mark in MARK.finditer(outline)):
        return None
    return _Shape([*pieces, html[end:]], numbers, kinds)


def _attribute(html: str) -> str:
    """Return the name of the attribute in whose value this HTML, written by a parser, ends."""
    return re.split(r"\s", html.rpartition('="')[0])[-1]


def _agrees(shape: _Shape, outline: str, value: str) -> bool:
    values = [value] * (max(shape.numbers, default=-1) + 1)
    return shape.fill(values, value) == inline(MARK.sub(lambda mark: escape(value), outline))


@cache
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
