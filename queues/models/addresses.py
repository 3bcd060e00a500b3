"""Columns for email addresses, which ``queues.addresses`` reads.

A table keeps an address in one of two ways. ``KeptAddressField`` keeps the deliverable form, where nobody needs the
address as typed. ``AddressField`` keeps the address as typed, and a ``KeyField`` beside it the key, if lower case alone
does not make it. Either way the database compares ASCII only: it does not fold other letters as Python does, and
SQLite folds none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django import forms
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from queues import addresses

Rows = TypeVar("Rows", bound="models.QuerySet[Any]")


if TYPE_CHECKING:
    _EmailField = models.EmailField[Any, str]
    _CharField = models.CharField[Any, str | None]
else:
    _EmailField, _CharField = models.EmailField, models.CharField


class AddressField(_EmailField):
    """An email address as typed; only one that an email can be sent to is valid."""

    default_validators = [addresses.validate]

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        """Return the form's field of our own, which knows the same rule."""
        return super().formfield(**{"form_class": addresses.AddressField, **kwargs})

    def deconstruct(self) -> Any:
        """Return Django's own field for migrations: the column is the same."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.EmailField", args, kwargs


class KeptAddressField(AddressField):
    """An email address in the form that ``addresses.kept`` gives: in lower case it is the key."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Bring the row's address into that form before it is saved."""
        value = addresses.kept(super().pre_save(model_instance, add))
        setattr(model_instance, self.attname, value)
        return value


class KeyField(_CharField):
    """The key of the address in ``recipient`` if its name is ``recipient_key``; null if lower case makes the key."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            **{"max_length": addresses.MAX_LENGTH, "null": True, "editable": False, **kwargs}
        )

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Make the key anew from the address, whenever the row is saved."""
        address = getattr(model_instance, self.attname.removesuffix("_key"))
        setattr(model_instance, self.attname, addresses.foreign_key(address))
        return getattr(model_instance, self.attname)

    def deconstruct(self) -> Any:
        """Return Django's own field for migrations."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs


def with_address(rows: Rows, column: str, *texts: str) -> Rows:
    """Return the rows whose address in this column is one of these, however it is spelled there and here."""
    wanted = sorted(set(map(addresses.key, texts)))
    is_key = Q(**{f"{column}_key__in": wanted})
    return rows.alias(folded=Lower(column)).filter(Q(folded__in=wanted) | is_key)
