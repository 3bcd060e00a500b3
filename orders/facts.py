"""Facts: rows that are saved once, together with their event, and never change."""

from __future__ import annotations

import uuid
from typing import Any, NoReturn, TypeVar

from django.db import models

from orders.errors import Immutable

Row = TypeVar("Row", bound=models.Model, covariant=True)


class FactQuerySet(models.QuerySet[Row]):
    """Reads as usual; refuses every way around ``save()``."""

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise Immutable: no event would be recorded."""
        self._refuse()

    def update(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise Immutable."""
        self._refuse()

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise Immutable."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        names = self.model._meta.verbose_name_plural
        raise Immutable(f"{names} are facts: save() makes one, with its event; nothing changes it")


class Fact(models.Model):
    """The base of Order, OrderLine and Transaction; each makes its ``objects`` from a FactQuerySet."""

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise Immutable."""
        raise Immutable(f"{self} is a fact and stays")

    def refuse_change(self) -> None:
        """Raise Immutable unless this row is yet to be inserted."""
        if not self._state.adding:
            raise Immutable(f"{self} is a fact and cannot be changed; record another one instead")

    def _insert(self) -> None:
        super().save(force_insert=True)

    def _insert_numbered(self, *, field: str, prefix: str) -> None:
        """Insert the row under a unique stand-in, then give it the number made of its id."""
        setattr(self, field, uuid.uuid4().hex)
        super().save(force_insert=True)
        setattr(self, field, f"{prefix}-{self.pk:06d}")
        super().save(update_fields=[field])
