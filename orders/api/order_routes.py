"""Serve ``/api/v1/orders``: place an order, read your own orders."""

from __future__ import annotations

from typing import Annotated

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Router
from ninja.params.functions import Path
from pydantic import Field

from orders import services
from orders.api import repeating
from orders.api.auth import caller_of
from orders.api.idempotency import Answer
from orders.api.pages import AFTER, LIMIT, AfterOrder, Limit, next_address, page
from orders.api.problems import Problem
from orders.api.repeating import KEY, IdempotencyKey
from orders.api.schemas import (
    ORDER_NUMBER,
    OrderIn,
    OrderOut,
    OrderPage,
    OrderSummaryOut,
    ProblemOut,
)
from orders.api.tokens import Caller
from orders.models import Order

router = Router(tags=["Orders"])


@router.post(
    "/orders",
    response={201: OrderOut, frozenset({400, 401, 403, 409, 413, 415, 422, 429}): ProblemOut},
    summary="Place an order",
)
def place_order(
    request: HttpRequest, order: OrderIn, idempotency_key: IdempotencyKey = KEY
) -> HttpResponse:
    """Place an order for the holder of the ID token; the confirmation goes to the token's verified address."""
    caller = caller_of(request)
    if not caller.email:
        raise Problem(
            403,
            "email_missing",
            "An order needs a verified email address. Send the ID token of a user whose address is verified.",
        )
    return repeating.once(request, idempotency_key, order, lambda: _place(caller, order))


@router.get(
    "/orders",
    response={200: OrderPage, frozenset({401, 404, 422, 429}): ProblemOut},
    summary="List your own orders",
)
def list_orders(request: HttpRequest, limit: Limit = LIMIT, after: AfterOrder = AFTER) -> OrderPage:
    """List the orders that were placed with tokens of the same user, newest first."""
    orders = Order.objects.filter(client=caller_of(request).client)
    found, has_more = page(orders, after=after, limit=limit)
    following = next_address(request, after=found[-1].number, limit=limit) if has_more else None
    return OrderPage(items=[OrderSummaryOut.of(order) for order in found], next=following)


@router.get(
    "/orders/{number}",
    response={200: OrderOut, frozenset({401, 404, 422, 429}): ProblemOut},
    summary="Read one of your orders, with the delivery status of its email",
)
def read_order(
    request: HttpRequest, number: Annotated[str, Field(pattern=ORDER_NUMBER), Path()]
) -> OrderOut:
    """Return an order of the token's user; 404 for orders of others."""
    client = caller_of(request).client
    order = Order.objects.prefetch_related("lines").filter(number=number, client=client).first()
    if order is None:
        raise Http404("no such order of this client")
    return OrderOut.of(order)


def _place(caller: Caller, asked: OrderIn) -> Answer:
    address = asked.shipping_address
    order = services.place_order(
        # The API handles the idempotency key for the whole request.
        idempotency_key=None,
        lines=services.products_on_sale([(line.sku, line.quantity) for line in asked.lines]),
        client=caller.client,
        customer_name=caller.name or address.name,
        customer_email=caller.email,
        locale=asked.locale,
        **{f"shipping_{name}": value for name, value in address.model_dump().items()},
    )
    location = reverse("api:read_order", args=[order.number])
    return Answer(201, OrderOut.placed(order).model_dump_json(), location)
