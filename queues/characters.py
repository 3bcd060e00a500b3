"""Decide which characters a text may have: in a message of SQS, in one line of text, and in a name that people can see.

Sources: SQS API reference, SendMessage, MessageBody; the Unicode standard, "Noncharacters" and the property
Default_Ignorable_Code_Point (DerivedCoreProperties.txt, Unicode 16).
"""

from __future__ import annotations

import re
import unicodedata

# Characters that nobody sees: Default_Ignorable_Code_Point.
_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# SQS takes #x9, #xA, #xD, #x20 to #xD7FF, #xE000 to #xFFFD and #x10000 to #x10FFFF.
_NOT_FOR_SQS = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INVISIBLE = re.compile(f"[{_IGNORABLE}]")
# Braille's blank is a letter without ink. The categories are those of control, format and private characters, lone
# surrogates and unassigned code points, separators and white space.
_BLANK = "\u2800"
_BLANK_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"}
# Line ends and control characters, line and paragraph separators, and lone surrogates, which no database stores.
_NO_LINE_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
# These characters can make a text look like another one.
_DIRECTION_OVERRIDES = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_taken_by_sqs(text: str) -> bool:
    """Return True if SQS takes this text as the body of a message."""
    return text.isascii() and text.isprintable() or not _NOT_FOR_SQS.search(text)


def escaped(json: str) -> str:
    r"""Write the characters of a JSON text that SQS refuses as JSON's escapes, such as ``\uffff``: the same JSON."""
    if is_taken_by_sqs(json):
        return json
    return _NOT_FOR_SQS.sub(lambda match: f"\\u{ord(match[0]):04x}", json)


def replaced(text: str) -> str:
    """Return the text with U+FFFD for each character that SQS refuses."""
    return _NOT_FOR_SQS.sub("\ufffd", text)


def is_one_line(text: str) -> bool:
    """Return True if the text has no line end, control character, direction override or noncharacter."""
    return not any(
        unicodedata.category(char) in _NO_LINE_CATEGORIES
        or char in _DIRECTION_OVERRIDES
        or _is_noncharacter(char)
        for char in (() if text.isascii() and text.isprintable() else text)
    )


def is_blank(text: str) -> bool:
    """Return True if nobody sees anything of this text; an empty text is blank."""
    return all(
        char == _BLANK or unicodedata.category(char) in _BLANK_CATEGORIES
        for char in without_invisible(text)
    )


def without_invisible(text: str) -> str:
    """Return the text without the characters that nobody sees, joiners and direction marks among them."""
    return text if text.isascii() else _INVISIBLE.sub("", text)


def _is_noncharacter(char: str) -> bool:
    code = ord(char)
    return 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE
