"""Split lists into pages by keyset, so that each page costs the same, however many rows there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja.params.functions import Query
from pydantic import Field

from orders.api.schemas import MAX_PAGE, ORDER_NUMBER, REFERENCE

Limit = Annotated[int, Field(ge=1, le=MAX_PAGE)]
LIMIT: int = Query(20, description="The most items to return.")
AfterOrder = Annotated[str | None, Field(pattern=ORDER_NUMBER)]
AfterTransaction = Annotated[str | None, Field(pattern=REFERENCE)]
AFTER: str | None = Query(
    None, description="The last item of the page before. Better follow the address in “next”."
)


def page(rows: QuerySet[Any], *, after: str | None, limit: int) -> tuple[Sequence[Any], bool]:
    """Return the newest rows older than the one numbered ``after``, and whether there are more."""
    if after:
        # The number contains the row's id.
        rows = rows.filter(pk__lt=int(after.partition("-")[2]))
    found = list(rows.order_by("-pk")[: limit + 1])
    return found[:limit], len(found) > limit


def next_address(request: HttpRequest, *, after: str, limit: int) -> str:
    """Return the address of the page that begins after this item."""
    return f"{request.path}?{urlencode({'limit': limit, 'after': after})}"
