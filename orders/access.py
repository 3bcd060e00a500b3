"""Decide who may see an order: its customer, anybody with its link, and staff with that right.

A browser counts as the customer's if it placed the order, or opened a link sent to the order's address. For everybody
else the order does not exist. Customers have no passwords: a link in an email proves more. The session remembers the
browser that opened one.
"""

from __future__ import annotations

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404

from orders.models import Customer, Order
from queues import masking

_SESSION_KEY = "orders"
_REMEMBERED = 50
_CUSTOMER_KEY = "customer"


def remember(request: HttpRequest, order: Order) -> None:
    """Let this browser see the order from now on."""
    numbers = request.session.get(_SESSION_KEY, [])
    request.session[_SESSION_KEY] = [*numbers, order.number][-_REMEMBERED:]


def visible_order(request: HttpRequest, number: str) -> Order:
    """Return the order with its lines; raises Http404 for strangers, exactly as for an unknown number."""
    order = get_object_or_404(Order.objects.prefetch_related("lines__product"), number=number)
    if not _may_see(request, order):
        raise Http404("no such order")
    return order


def is_holder(request: HttpRequest, order: Order) -> bool:
    """Return True for the order's customer and whoever has its link; False for staff who may only look."""
    return (
        order.number in request.session.get(_SESSION_KEY, [])
        or order.opens_with(request.GET.get("key", ""))
        or _is_theirs(request, order)
    )


def recognise(request: HttpRequest, customer: Customer) -> None:
    """Sign this browser in as the customer's."""
    # Somebody else may know the old session key; a new one keeps them out.
    request.session.cycle_key()
    request.session[_CUSTOMER_KEY] = [customer.pk, customer.email]


def forget(request: HttpRequest) -> None:
    """Sign this browser out; it no longer sees the orders placed in it either."""
    for key in (_CUSTOMER_KEY, _SESSION_KEY):
        request.session.pop(key, None)


def known_customer(request: HttpRequest) -> Customer | None:
    """Return the customer who is signed in; None if nobody is, or if the customer's address has changed since."""
    pk, email = request.session.get(_CUSTOMER_KEY) or (None, "")
    if pk is None:
        return None
    return Customer.objects.filter(pk=pk, email=email, email_verified_at__isnull=False).first()


def _may_see(request: HttpRequest, order: Order) -> bool:
    return is_holder(request, order) or (
        request.user.is_staff
        and request.user.has_perm("orders.view_order")
        and not masking.hides(request)
    )


def _is_theirs(request: HttpRequest, order: Order) -> bool:
    customer = known_customer(request)
    return customer is not None and Order.objects.by(customer.email).filter(pk=order.pk).exists()
