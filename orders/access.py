"""Who may see an order: whoever placed it, has its link, or is staff with that right; nobody else is told of it."""

from __future__ import annotations

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404

from orders.models import Order
from queues import masking

_SESSION_KEY = "orders"
_REMEMBERED = 50


def remember(request: HttpRequest, order: Order) -> None:
    """Let this browser see the order from now on."""
    numbers = request.session.get(_SESSION_KEY, [])
    request.session[_SESSION_KEY] = [*numbers, order.number][-_REMEMBERED:]


def visible_order(request: HttpRequest, number: str) -> Order:
    """The order with its lines; raises Http404 for strangers just as for numbers that do not exist."""
    order = get_object_or_404(Order.objects.prefetch_related("lines"), number=number)
    if not _may_see(request, order):
        raise Http404("no such order")
    return order


def _may_see(request: HttpRequest, order: Order) -> bool:
    return (
        order.number in request.session.get(_SESSION_KEY, [])
        or order.opens_with(request.GET.get("key", ""))
        or (
            request.user.is_staff
            and request.user.has_perm("orders.view_order")
            and not masking.hides(request)
        )
    )
