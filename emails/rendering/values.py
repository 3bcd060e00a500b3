"""Treat one value by the rules of Handlebars: its text, its truth, and the step to a value inside it.

These are the rules of handlebars.js 4.7 for values that came as JSON, so those of JavaScript.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

_ESCAPES = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "'": "&#x27;",
        "`": "&#x60;",
        "=": "&#x3D;",
    }
)
# Most texts have nothing to escape, and this check is ten times as fast as escaping.
_has_escapes = re.compile("[&<>\"'`=]").search
_is_index = re.compile("0|[1-9][0-9]{0,8}").fullmatch
_MARKS = "\u202a-\u202e\u2066-\u2069"
_MARKS_OF_DIRECTION = re.compile(f"[{_MARKS}]")
# Hebrew, Arabic and their like with their presentation forms, the other right-to-left scripts, and their mark.
_RIGHT_TO_LEFT = (
    "\u0590-\u08ff\u200f\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
)
_is_right_to_left = re.compile(f"[{_RIGHT_TO_LEFT}]").search
_has_direction = re.compile(f"[{_MARKS}{_RIGHT_TO_LEFT}]").search
# An isolate ends with its line.
_LINE = re.compile("[^\r\n\u2029]+")
# JavaScript has no whole numbers: beyond this it prints the nearest number that it has.
_EXACT = 2**53
# JavaScript writes numbers from here on with an exponent.
_LONG = 1e21
# Ten times as much as mail programs show.
MAX_OUTPUT = 1_000_000
# So many pieces are joined before anybody looks how long they are together: no value is longer than its event.
_FEW_PIECES = 256


class SafeString(str):
    """A text that a helper returns to be printed as it is."""


class Missing(Exception):
    """A template names a value that the data does not have; ``path`` is what it wrote."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class TooMuch(ValueError):
    """A template prints more than an email can have, or takes too long."""


class TooDeep(RecursionError):
    """Partials that call each other without end."""


def escape(text: str) -> str:
    """Escape a text for HTML; the result may also stand in an attribute."""
    return text.translate(_ESCAPES) if _has_escapes(text) else text


def text_of(value: object) -> str:
    """Return the text that a template prints for a value; null prints nothing."""
    if type(value) is str:
        return value
    return _text(data(value))


def isolated(text: str) -> str:
    """Keep a text that has right-to-left characters from changing the order of what stands beside it (UAX #9).

    Isolates work in attributes, subjects and text parts too, where ``<bdi>`` does not. The marks with which a text
    could end its isolate or turn what follows it are dropped. Other texts stay as they are.
    """
    if text.isascii() or not _has_direction(text):
        return text
    text = _MARKS_OF_DIRECTION.sub("", text)
    return _LINE.sub("\u2068\\g<0>\u2069", text) if _is_right_to_left(text) else text


def has_object(value: object) -> bool:
    """Return True if the text of a value would be, or have in it, ``[object Object]``."""
    return isinstance(value, Mapping) or (is_list(value) and any(map(has_object, items(value))))


def data(value: Any) -> Any:
    """Return the value; raises ValueError for a function, which is not data and which we never call."""
    if callable(value):
        raise ValueError("the input contains a function; register it as a helper")
    return value


def is_list(value: object) -> bool:
    """Return True if a template can repeat over the items of this value; a text is no list."""
    return type(value) is list or (
        isinstance(value, Sequence) and not isinstance(value, str | bytes)
    )


def items(value: Any) -> list[Any]:
    """Return the items of a list."""
    return list(value)


def pairs(value: Any) -> Iterable[tuple[Any, Any]]:
    """Return keys and items that ``#each`` goes through; nothing for a value that is no object and no list."""
    if isinstance(value, Mapping):
        # JavaScript puts keys that could be an index first, the smallest first.
        if any(map(_is_index, value)):
            return sorted(value.items(), key=lambda pair: _order(pair[0]))
        return value.items()
    return enumerate(value) if is_list(value) else ()


def is_empty(value: Any) -> bool:
    """Return True if ``#with`` has nothing to step into: an empty list counts as nothing, an empty object does not."""
    if value is None or value is False or value == "":
        return True
    return is_list(value) and len(value) == 0


def is_true(value: Any, *, is_zero_true: bool = False) -> bool:
    """Return what ``#if`` decides for a value; an empty object is true."""
    if isinstance(value, bool):
        return value
    if value == 0 and not is_zero_true:
        return False
    return not is_empty(value)


def is_same(one: Any, other: Any) -> bool:
    """Return what ``==`` says in JavaScript: a block that steps into the value where it is takes no step."""
    if one is other:
        return True
    if one is None or other is None or (_is_object(one) and _is_object(other)):
        return False
    if not isinstance(one, int | float) and not isinstance(other, int | float):
        return text_of(one) == text_of(other)
    return _number(one) == _number(other)


def step(current: Any, name: str, *, path: str | None) -> Any:
    """Return the value inside ``current`` with this name or index, or its ``length``.

    If there is none, returns None, or raises Missing if ``path``, the name to blame, is given.
    """
    if isinstance(current, Mapping):
        if name in current:
            return current[name]
    elif isinstance(current, str):
        if name == "length" or _is_index(name):
            # JavaScript counts the units of UTF-16.
            units = current.encode("utf-16-le", "surrogatepass")
            if name == "length":
                return len(units) // 2
            if 2 * int(name) < len(units):
                return units[2 * int(name) :][:2].decode("utf-16-le", "replace")
    elif is_list(current):
        if name == "length":
            return len(current)
        if _is_index(name) and int(name) < len(current):
            return current[int(name)]
    if path is not None:
        raise Missing(path)
    return None


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping) or is_list(value)


def _order(key: str) -> tuple[bool, int]:
    return (False, int(key)) if _is_index(key) else (True, 0)


def _number(value: object) -> float:
    if isinstance(value, bool | int | float):
        return float(value)
    text = text_of(value).strip()
    try:
        return float(text or 0)
    except ValueError:
        return math.nan


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number_text(value)
    if is_list(value):
        return ",".join(map(_text, items(value)))
    return "[object Object]" if isinstance(value, Mapping) else str(value)


def _number_text(value: float) -> str:
    """Write a number as JavaScript does (ECMA-262, Number::toString)."""
    if isinstance(value, int) and abs(value) <= _EXACT:
        return str(value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else f"{'-' * (number < 0)}Infinity"
    if number.is_integer() and abs(number) < _LONG:
        return str(_shortest(number))
    mantissa, _, exponent = repr(number).partition("e")
    if not exponent:
        return mantissa
    if -7 < int(exponent) < 0:
        return _decimal(mantissa, -int(exponent))
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+}"


def _shortest(number: float) -> int:
    """Return the whole number with the fewest digits other than zero that is this number."""
    mantissa, _, exponent = repr(number).partition("e")
    if not exponent:
        return int(float(mantissa))
    whole, _, rest = mantissa.partition(".")
    rest = rest.rstrip("0")
    return int(f"{whole}{rest}{'0' * (int(exponent) - len(rest))}")


def _decimal(mantissa: str, zeros: int) -> str:
    sign, digits = (
        "-" * mantissa.startswith("-"),
        mantissa.removesuffix(".0").strip("-").replace(".", ""),
    )
    return f"{sign}0.{'0' * (zeros - 1)}{digits}"


def step_in_data(current: Any, name: str) -> Any:
    """Return the value inside a value of ``{{@name}}``; handlebars.js steps into nothing that is false."""
    if isinstance(current, int | float | str) and not current:
        return current
    return step(current, name, path=None)


def inside(scopes: Any, value: object) -> tuple[Any, Any]:
    """Return the scopes one step inside a value; stepping into the value where we are is no step."""
    if scopes is None:
        return value, None
    here = scopes[0]
    if value is here or (type(value) is not dict and is_same(value, here)):
        return value, scopes[1]
    return value, scopes


def climb(scopes: Any, times: int, path: str | None) -> Any:
    """Return the value some steps outside; if there is none, None or, if ``path`` is given, raises Missing."""
    for _ in range(times):
        scopes = scopes[1]
        if scopes is None:
            if path is not None:
                raise Missing(path)
            return None
    return scopes[0]


def overlaid(context: Any, named: Mapping[str, Any]) -> Any:
    """Add the named arguments of a partial to its context, as JavaScript copies an object."""
    if isinstance(context, Mapping):
        return {**context, **named}
    if is_list(context) or isinstance(context, str):
        return {**{str(index): item for index, item in enumerate(context)}, **named}
    return {**named}


def partial_name(value: object) -> str:
    """Return the computed name of a partial."""
    if not isinstance(value, str):
        raise ValueError("a partial name must be a string")
    return value


def plain(value: object, name: str | None = None) -> str:
    """Return what a template that does not escape prints for a value; ``name`` is blamed if that is an object."""
    if type(value) is str:
        return isolated(value)
    if type(value) is int:
        return _number_text(value)
    text = _text_of_no_object(value, name)
    return text if isinstance(value, SafeString) else isolated(text)


def html(value: object, name: str | None = None) -> str:
    """Return what a template that escapes prints for a value."""
    text = plain(value, name)
    return text if isinstance(value, SafeString) else escape(text)


def unescaped(value: object, name: str | None = None) -> str:
    """Return what ``{{{name}}}`` prints in a template that escapes."""
    return _text_of_no_object(value, name)


def apart(value: object, name: str | None = None) -> str:
    """Return a value that is kept apart from the rest and not yet escaped; raises NoOutline for HTML."""
    if type(value) is str:
        return isolated(value)
    if isinstance(value, SafeString):
        raise NoOutline
    return plain(value, name)


def _text_of_no_object(value: object, name: str | None) -> str:
    if name is not None and type(value) is not str and has_object(value):
        raise ValueError(f"{name} is an object, not a text: name one of its fields")
    return text_of(value)


def spend(left: list[int], count: int) -> None:
    """Count statements that are about to run; raises TooMuch if there are too many for one email."""
    left[0] -= count
    if left[0] < 0:
        raise TooMuch(
            "this takes too long: lists are repeated inside each other, or partials called"
        )


def joined(pieces: list[str]) -> str:
    """Return what was printed; raises TooMuch if no email can be so long."""
    if len(pieces) > _FEW_PIECES and sum(map(len, pieces)) > MAX_OUTPUT:
        _refuse_length()
    text = "".join(pieces)
    if len(text) > MAX_OUTPUT:
        _refuse_length()
    return text


def _refuse_length() -> NoReturn:
    raise TooMuch(f"the email would be longer than {MAX_OUTPUT:,} characters")


def indented(text: str, indent: str) -> str:
    """Indent what a partial printed; raises TooMuch if no email can be so long."""
    *lines, last = text.split("\n")
    if len(text) + len(lines) * len(indent) > MAX_OUTPUT:
        _refuse_length()
    return "".join(f"{indent}{line}\n" for line in lines) + (last and indent + last)


def unbroken(texts: list[str]) -> None:
    """Raise NoOutline if the lines of a value would have to be indented as well."""
    if any("\n" in text for text in texts):
        raise NoOutline


MAX_MARKS = 500
# The marks use characters from Unicode's private use area, so that HTML parsers leave them alone.
MARK = re.compile("\ue000([0-9]+)\ue001")
MARKS = [f"\ue000{number}\ue001" for number in range(MAX_MARKS)]
# Which pieces of a template an email consists of.
Key = tuple[Any, ...]


class NoOutline(Exception):
    """A template has no outline for this data, for example because the data brings HTML. Fill the template instead."""


def no_data() -> None:
    """Stand for the block given to a partial, which a template can only print as a partial."""


# What the functions of templates call.
RUNTIME: Mapping[str, Any] = {
    **{
        each.__name__: each
        for each in (
            *(apart, climb, data, html, indented, inside, is_empty, is_list, is_true, no_data),
            *(joined, overlaid, pairs, partial_name, plain, spend, step, step_in_data, unbroken),
            *(unescaped, Missing, NoOutline, SafeString, TooDeep),
        )
    },
    "inf": math.inf,
}
