"""Follow the HTML of a template through all its branches, to know what each value stands in.

This is the tokenizer of the HTML standard (WHATWG, 13.2.5) over *sets* of states: after a block, the markup may be in
the state of either branch, and what follows is read in each of them. What stands between the conditional comments of
Outlook is read as HTML, as Outlook reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from html import escape, unescape
from typing import NamedTuple

from emails.checking import addresses, elements, plain_text, styles
from emails.checking.findings import TooMany, did_you_mean
from emails.checking.shapes import Shape

# A template whose branches leave so many different states cannot be followed.
MAX_STATES = 64
_LONGEST_VALUE = 4000
_WHITE = " \t\n\f\r"
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_RAW = ("style", "title")
_REVEALED = ("", "<!")


class State(NamedTuple):
    """Where in the markup a character stands.

    ``held`` is what must be kept of the text before it: an attribute's value, the beginning of an address, the end of a
    style sheet. ``end`` are its last three characters in a conditional comment, and ``^`` at its beginning.
    """

    where: str = "text"
    element: str = ""
    attribute: str = ""
    held: str = ""
    is_closing: bool = False
    has_alt: bool = False
    is_conditional: bool = False
    end: str = ""


States = frozenset[State]
BEGINNING: States = frozenset({State()})
Report = Callable[[str, str, str], None]


class Markup:
    """Reads texts and values in the order in which a template prints them.

    ``report`` is called with the code, the message and the hint of a problem, and the place in the text that is read.
    """

    def __init__(self, hosts: Set[str], report: Callable[[int, str, str, str], None]) -> None:
        self._hosts = hosts
        self._report = report
        self._begin = 0
        self._last = 0

    def text(self, states: States, text: str) -> States:
        """Return the states after a text of the template."""
        self._last = len(text)
        return self._limited({self._read(state, text) for state in states})

    def value(self, states: States, shape: Shape, name: str) -> States:
        """Return the states after a printed value."""
        self._begin = 0
        return self._limited({self._after_value(state, shape, name) for state in states})

    def end(self, states: States) -> None:
        """Report what is open at the end of the email."""
        self._begin = 0
        for state in states:
            if state.where == "text":
                plain_text.end(state.held, self._last, self._hosts, self._tell_link)
                if state.is_conditional:
                    self._tell(0, "markup", "a conditional comment is never closed", _CONDITIONAL)
            else:
                open_at = {"comment": "a comment", "raw": f"<{state.element}>"}
                self._tell(0, "markup", f"{open_at.get(state.where, 'a tag')} is never closed")

    def _limited(self, states: set[State]) -> States:
        if len(states) > MAX_STATES:
            self._tell(
                0,
                "too-complex",
                "the branches of this template leave the markup in too many different states",
                "Close each tag and attribute in the branch that opens it.",
            )
            raise TooMany
        return frozenset(states)

    def _read(self, state: State, text: str) -> State:
        at = 0
        while at < len(text):
            self._begin = at
            step = _STEPS[state.where]
            before = state
            state, after = step(self, state, text, at)
            if before.is_conditional and state.is_conditional:
                state = self._in_conditional(state, before.end + text[at:after])
            at = after
        return state

    def _in_conditional(self, state: State, read: str) -> State:
        if "-->" in read or "--!>" in read:
            self._tell(0, "comment", "a comment ends here for all but Outlook", _CONDITIONAL)
        return state._replace(end=read[-3:])

    # --- Texts

    def _text(self, state: State, text: str, at: int) -> tuple[State, int]:
        if state.is_conditional and state.end.startswith("^"):
            rest = state.end[1:] + text[at:]
            if rest.startswith("-->"):
                return state._replace(is_conditional=False, end=""), at + 3 - len(state.end[1:])
        end = _find(text, "<", at)
        read = unescape(text[at:end]) if "&" in text[at:end] else text[at:end]
        held = plain_text.scan(state.held, read, self._hosts, self._tell_link)
        if end == len(text):
            return state._replace(held=held), end
        plain_text.end(held, len(read), self._hosts, self._tell_link)
        return state._replace(where="open", held=""), end + 1

    def _open(self, state: State, text: str, at: int) -> tuple[State, int]:
        """Read what comes after ``<``."""
        char, held = text[at], state.held
        if held in ("", "/") and char in _LETTERS:
            opened = state._replace(where="tag", element="", held="", is_closing=held == "/")
            return opened._replace(has_alt=False), at
        if held == "/" and char == ">":
            return state._replace(where="text", held=""), at + 1
        if held == "!-" and char == "-":
            return state._replace(where="comment", held=""), at + 1
        if (held == "" and char in "/!") or (held == "!" and char == "-"):
            return state._replace(held=held + char), at + 1
        if held == "" and char != "?":
            return state._replace(where="text", held=""), at
        return state._replace(where="declaration"), at

    def _declaration(self, state: State, text: str, at: int) -> tuple[State, int]:
        end = _find(text, ">", at)
        held = (state.held + text[at:end])[:_LONGEST_VALUE]
        if end == len(text):
            return state._replace(held=held), end
        if state.is_conditional and held.lower() == "![endif]--":
            return State(), end + 1
        if held.lower().startswith("!doctype") and "[" in held:
            self._tell(0, "markup", "a document type defines nothing of its own")
        return state._replace(where="text", held=""), end + 1

    def _comment(self, state: State, text: str, at: int) -> tuple[State, int]:
        held = state.held + text[at]
        is_if = held.lstrip().lower().startswith("[if")
        if is_if and held.endswith("]>"):
            if state.is_conditional:
                self._tell(0, "comment", "a conditional comment stands in another", _CONDITIONAL)
            return State(is_conditional=True, end="^"), at + 1
        if held in (">", "->") or held.endswith(("-->", "--!>")):
            content = held.rstrip(">").removesuffix("!").removesuffix("--").strip(" -\t\r\n")
            if state.is_conditional and content:
                self._tell(0, "comment", "a comment stands in a conditional comment", _CONDITIONAL)
            return State(), at + 1
        # The beginning tells if it is conditional, the end if it is over.
        kept = held if is_if or len(held) < 20 else held[:8] + held[-4:]
        return state._replace(held=kept[:_LONGEST_VALUE]), at + 1

    # --- Tags

    def _tag(self, state: State, text: str, at: int) -> tuple[State, int]:
        end = _find_any(text, _WHITE + "/>", at)
        name = state.element + text[at:end].lower()
        if end == len(text):
            return state._replace(element=name[:100]), end
        self._check_element(name)
        return state._replace(where="inside", element=name, attribute=""), end

    def _inside(self, state: State, text: str, at: int) -> tuple[State, int]:
        char = text[at]
        if char == ">":
            return self._closed(state), at + 1
        if char in _WHITE or char == "/":
            return state, at + 1
        return state._replace(where="attribute", attribute="", held=""), at

    def _attribute(self, state: State, text: str, at: int) -> tuple[State, int]:
        end = _find_any(text, _WHITE + "/>=", at)
        name = state.attribute + text[at:end].lower()
        if end == len(text):
            return state._replace(attribute=name[:100]), end
        if any(sign in name for sign in "\"'<`"):
            self._tell(
                0,
                "markup",
                f"{name[:40]!r} is no name of an attribute; maybe a quotation mark is missing",
            )
        elif why := elements.why_not(name):
            self._tell(0, "attribute", f"{name}=…: {why}")
        has_alt = state.has_alt or name == "alt"
        return state._replace(where="named", attribute=name, has_alt=has_alt), end

    def _named(self, state: State, text: str, at: int) -> tuple[State, int]:
        char = text[at]
        if char == "=":
            return state._replace(where="equals"), at + 1
        if char in _WHITE:
            return state, at + 1
        return state._replace(where="inside"), at

    def _equals(self, state: State, text: str, at: int) -> tuple[State, int]:
        char = text[at]
        if char in _WHITE:
            return state, at + 1
        if char == ">":
            return state._replace(where="inside"), at
        where = {'"': "double", "'": "single"}.get(char, "unquoted")
        return state._replace(where=where, held=""), at + (where != "unquoted")

    def _double(self, state: State, text: str, at: int) -> tuple[State, int]:
        return self._quoted(state, text, at, _find(text, '"', at))

    def _single(self, state: State, text: str, at: int) -> tuple[State, int]:
        return self._quoted(state, text, at, _find(text, "'", at))

    def _quoted(self, state: State, text: str, at: int, end: int) -> tuple[State, int]:
        state = self._holding(state, text[at:end])
        if end == len(text):
            return state, end
        self._check_attribute(state)
        return state._replace(where="inside", attribute="", held=""), end + 1

    def _unquoted(self, state: State, text: str, at: int) -> tuple[State, int]:
        end = _find_any(text, _WHITE + ">", at)
        state = self._holding(state, text[at:end])
        if end == len(text):
            return state, end
        self._check_attribute(state)
        return state._replace(where="inside", attribute="", held=""), end

    def _holding(self, state: State, text: str) -> State:
        if not _is_checked(state.attribute):
            return state
        if len(state.held) + len(text) > _LONGEST_VALUE:
            self._tell(
                0, "too-long", f"{state.attribute}=… is longer than {_LONGEST_VALUE} characters"
            )
            return state
        return state._replace(held=state.held + text)

    def _closed(self, state: State) -> State:
        if state.element == "img" and not state.has_alt and not state.is_closing:
            self._report(
                self._begin,
                "no-alt",
                "the picture has no alt text",
                'Many mail programs show it instead: write alt="…", or alt="" for decoration.',
            )
        is_raw = state.element in _RAW and not state.is_closing
        element = state.element if is_raw else ""
        where = "raw" if is_raw else "text"
        return State(where, element, is_conditional=state.is_conditional, end=state.end)

    def _raw(self, state: State, text: str, at: int) -> tuple[State, int]:
        """Read the text of ``<style>`` or ``<title>`` up to its end tag."""
        whole = (state.held + text[at:]).translate(styles.LOWER)
        found = whole.find(f"</{state.element}")
        end = len(text) if found < 0 else at + found - len(state.held)
        read = text[at : max(at, end)]
        if state.element == "style":
            held = styles.scan(state.held, read, self._hosts, self._tell_style)
        else:
            held = (state.held + read)[-len(state.element) - 2 :]
        if found < 0:
            return state._replace(held=held), end
        after = end + 2 + len(state.element)
        return state._replace(where="tag", held="", is_closing=True), after

    # --- Values

    def _after_value(self, state: State, shape: Shape, name: str) -> State:
        end = "--" if state.is_conditional else ""
        state = state._replace(end=end)
        if shape.literal is not None:
            return self._after_literal(state, shape.literal, name)
        match state.where:
            case "text":
                return state._replace(held=plain_text.with_value(state.held, self._tell_link))
            case "double" | "single":
                return self._in_attribute(state, shape, name)
            case "raw" if state.element == "style":
                self._check_style(shape, name)
                return state._replace(held=state.held + addresses.VALUE)
            case "raw":
                return state._replace(held=addresses.VALUE)
        where = _WHERE[state.where]
        self._tell(0, "value-place", f"{{{{{name}}}}} stands {where}", _QUOTED)
        return state

    def _after_literal(self, state: State, literal: str, name: str) -> State:
        if state.where in ("text", "double", "single", "raw"):
            return self._read(state, escape(literal))._replace(end=state.end)
        self._tell(0, "value-place", f"{{{{{name}}}}} stands {_WHERE[state.where]}", _QUOTED)
        return state

    def _in_attribute(self, state: State, shape: Shape, name: str) -> State:
        if state.attribute == "style":
            self._check_style(shape, name)
        elif elements.is_address(state.attribute):
            why = addresses.refusal_before_value(state.held, self._hosts, is_link=shape.is_link)
            if why:
                self._tell(0, "link", f"{state.attribute}=… with {{{{{name}}}}}: {why}", _LINK)
            if why or not state.held:
                return state._replace(held=addresses.FIELD)
        elif state.attribute == "http-equiv":
            self._tell(0, "attribute", "http-equiv=… is written out")
        return self._holding(state, addresses.VALUE)

    def _check_style(self, shape: Shape, name: str) -> None:
        if not shape.is_harmless_in_style:
            self._tell(
                0,
                "value-place",
                f"{{{{{name}}}}} stands in a style, where it is not escaped",
                "Choose between styles that are written out, with {{#if}} or {{#ifeq}}.",
            )

    # --- What is whole

    def _check_element(self, name: str) -> None:
        if why := elements.FORBIDDEN.get(name):
            self._tell(0, "element", f"<{name}>: {why}")
        elif not elements.is_allowed(name):
            hint = did_you_mean(name, elements.ALLOWED) if name else ""
            close = hint if hint.startswith("Did") else ""
            self._tell(0, "element", f"<{name[:40]}> is no element of an email", close)

    def _check_attribute(self, state: State) -> None:
        value = unescape(state.held)
        if state.is_closing:
            return
        if elements.is_address(state.attribute):
            if why := addresses.refusal(state.held, self._hosts):
                self._tell_link(0, why)
        elif state.attribute == "style":
            styles.scan("", value, self._hosts, self._tell_style)
        elif state.attribute == "http-equiv" and value.strip().lower() not in elements.HTTP_EQUIV:
            self._tell(0, "attribute", f"http-equiv={value[:40]!r} can lead elsewhere")

    def _tell(self, at: int, code: str, message: str, hint: str = "") -> None:
        self._report(self._begin + at, code, message, hint)

    def _tell_link(self, at: int, why: str) -> None:
        self._tell(at, "link", why, _LINK)

    def _tell_style(self, at: int, why: str) -> None:
        self._tell(at, "style", why)


_CONDITIONAL = "Write <!--[if mso]> … <![endif]-->, and no other comment in it."
_QUOTED = 'Values stand in texts and in attributes with quotation marks: title="{{…}}".'
_LINK = (
    "Write {{link …}} with a field that is an address, or an address of this site or of LINK_HOSTS."
)
_WHERE = {
    "open": "right after <",
    "declaration": "in a declaration",
    "comment": "in a comment",
    "tag": "in the name of a tag",
    "inside": "in a tag, outside of a value",
    "attribute": "in the name of an attribute",
    "named": "in a tag, outside of a value",
    "equals": "in an attribute without quotation marks",
    "unquoted": "in an attribute without quotation marks",
}
_STEPS: dict[str, Callable[[Markup, State, str, int], tuple[State, int]]] = {
    "text": Markup._text,
    "open": Markup._open,
    "declaration": Markup._declaration,
    "comment": Markup._comment,
    "tag": Markup._tag,
    "inside": Markup._inside,
    "attribute": Markup._attribute,
    "named": Markup._named,
    "equals": Markup._equals,
    "double": Markup._double,
    "single": Markup._single,
    "unquoted": Markup._unquoted,
    "raw": Markup._raw,
}


def _is_checked(attribute: str) -> bool:
    return attribute in ("style", "http-equiv") or elements.is_address(attribute)


def _find(text: str, sign: str, at: int) -> int:
    found = text.find(sign, at)
    return len(text) if found < 0 else found


def _find_any(text: str, signs: str, at: int) -> int:
    return next((index for index in range(at, len(text)) if text[index] in signs), len(text))
