"""The column of a customer's language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models

from queues.events import locales

if TYPE_CHECKING:
    _CharField = models.CharField[str, str]
else:
    _CharField = models.CharField


class LocaleField(_CharField):
    """A language tag (BCP 47) in its canonical case; empty if the language is not known: emails are in English."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            **{
                "verbose_name": "language",
                "max_length": locales.MAX_LENGTH,
                "blank": True,
                "default": "",
                "db_default": "",
                "help_text": "A language tag such as de or de-AT. Empty: English.",
                **kwargs,
            }
        )

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        """Return the tag in its canonical case; raises ValidationError if it is none."""
        tag = super().clean(value, model_instance)
        try:
            return tag and locales.canonical(tag)
        except ValueError as exc:
            raise ValidationError("Enter a language tag such as de or de-AT.") from exc

    def deconstruct(self) -> Any:
        """Return Django's own field for migrations."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs
