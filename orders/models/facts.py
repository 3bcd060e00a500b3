"""Define facts: rows that are saved once, together with their event, and never change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from django.db import connection, models

from orders.errors import Immutable

Row = TypeVar("Row", bound=models.Model, covariant=True)


class FactQuerySet(models.QuerySet[Row]):
    """A queryset that reads as usual but refuses every way around ``save()``."""

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise Immutable: no event would be recorded."""
        self._refuse()

    def update(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise Immutable."""
        self._refuse()

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise Immutable."""
        self._refuse()

    def insert(self, rows: Sequence[Row]) -> None:
        """Insert all rows at once; only for the ``save()`` of the fact that they belong to."""
        super().bulk_create(rows)

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

    def _insert_numbered(self, *, field: str, prefix: str) -> None:
        """Insert the row with a number made from its id."""
        self.pk = _next_id(type(self))
        setattr(self, field, f"{prefix}-{self.pk:06d}")
        super().save(force_insert=True)


def _next_id(model: type[models.Model]) -> int:
    """Return the id of the next row of this transaction; on SQLite the transaction already has the write lock."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", [table])
        else:
            cursor.execute("SELECT MAX(seq) FROM sqlite_sequence WHERE name = %s", [table])
        ((id,),) = cursor.fetchall()
    return int(id) if connection.vendor == "postgresql" else (id or 0) + 1
