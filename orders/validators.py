"""Validate text from outside, in forms, in models and in events alike."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from queues import addresses, characters

NOT_ONE_LINE = gettext_noop(
    "Enter one line of text, without line breaks or other control characters."
)
# Old migrations name it.
validate_recipient = addresses.validate


def validate_single_line(value: str) -> None:
    """Accept one line of text: no line ends, NULs or other control characters, nor what is no character."""
    if not characters.is_one_line(value):
        raise ValidationError(
            _(NOT_ONE_LINE),
            code="control_character",
        )


def validate_name(value: str) -> None:
    """Accept one line of text in which somebody can see something."""
    validate_single_line(value)
    if characters.is_blank(value):
        raise ValidationError(_("Enter text that can be seen."), code="blank")
