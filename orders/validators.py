"""Validate text from outside, in forms, in models and in events alike."""

from __future__ import annotations

import unicodedata

from django.core.exceptions import ValidationError

# Line ends and control characters, line and paragraph separators, and lone surrogates, which no database stores.
_FORBIDDEN_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
# These characters can make a text look like another one.
_DIRECTION_OVERRIDES = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def validate_single_line(value: str) -> None:
    """Accept one line of visible text: no line ends, NULs or other control characters."""
    for char in value:
        if char in _DIRECTION_OVERRIDES or unicodedata.category(char) in _FORBIDDEN_CATEGORIES:
            raise ValidationError(
                "Enter one line of text, without line breaks or other control characters.",
                code="control_character",
            )


def validate_recipient(value: str) -> None:
    """Accept exactly one address, and only one that SES can send to; use it beside Django's own check.

    A quoted local part may contain a comma or a line end. An encoded word (RFC 2047) becomes another address for
    software that decodes it. SES accepts only ASCII before the @.
    """
    local_part = value.rpartition("@")[0]
    if '"' in local_part or "=?" in local_part or not local_part.isascii():
        raise ValidationError("Enter a plain email address, such as ada@example.com.")
