"""Serve the shop's pages: order form, order, registration, and a customer's orders."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from orders import access, services
from orders.errors import (
    AlreadyPlaced,
    BadLink,
    LinkExpired,
    LinkUsed,
    Refused,
    TooFast,
)
from orders.forms import OrderForm, PublicForm, RegistrationForm, SignInForm
from orders.limits import form_limits
from orders.models import Customer, Order, Product

logger = logging.getLogger(__name__)

ORDERS_PER_PAGE = 20
_LINK_STATES = {LinkUsed: "used", LinkExpired: "expired", BadLink: "bad"}


# Never cached, so that going back loads a form with a new key, which places another order.
@never_cache
def shop(request: HttpRequest) -> HttpResponse:
    """Show the products and the order form; redirect a valid order to its page."""
    posted = request.POST if request.method == "POST" else None
    form = OrderForm(posted, products=Product.objects.filter(is_active=True))
    if form_limits.admits(request, form) and form.is_valid() and (order := _place(form)):
        access.remember(request, order)
        return redirect(order)
    return show_form(request, "orders/order_form.html", form)


def _place(form: OrderForm) -> Order | None:
    try:
        return services.place_order(
            **form.order(), locale=get_language() or "", most_an_hour=settings.FORM_ORDERS_PER_HOUR
        )
    except TooFast as exc:
        logger.info("refused an order: too many to its address")
        form.put_off(
            _(
                "This email address has reached our limit of orders within an hour, so this one was not placed."
            ),
            seconds=exc.seconds,
        )
        return None
    except Refused as exc:
        if isinstance(exc, AlreadyPlaced):
            form.take_new_key()
        form.add_error(None, str(exc))
        return None


def show_form(
    request: HttpRequest, template: str, form: PublicForm, **context: Any
) -> HttpResponse:
    """Render the page with the form and its errors, if any."""
    response = render(request, template, {"form": form, **context}, status=form.status)
    if form.wait_seconds:
        response["Retry-After"] = str(form.wait_seconds)
    return response


@never_cache
def detail(request: HttpRequest, number: str) -> HttpResponse:
    """Show the order and the status of its email to those who may see it."""
    order = access.visible_order(request, number)
    context = {
        "order": order,
        "key": request.GET.get("key", ""),
        "is_holder": access.is_holder(request, order),
    }
    return render(request, "orders/order_detail.html", context)


def register(request: HttpRequest) -> HttpResponse:
    """Show the registration form and register; the answer is the same for new and known addresses."""
    form = RegistrationForm(request.POST if request.method == "POST" else None)
    if form_limits.admits(request, form) and form.is_valid():
        services.register(
            name=form.cleaned_data["name"],
            email=form.cleaned_data["email"],
            locale=get_language() or "",
        )
        return redirect("orders:registered")
    return show_form(request, "orders/customer_form.html", form)


@never_cache
def verify(request: HttpRequest, token: str) -> HttpResponse:
    """Confirm an address; only by POST, because mail scanners follow links."""
    confirming = request.method == "POST"
    try:
        customer = services.verify(token) if confirming else services.customer_of(token)
    except BadLink as exc:
        state = _LINK_STATES[type(exc)]
        return render(
            request, "orders/customer_verify.html", {"state": state, "token": token}, status=410
        )
    if confirming:
        access.recognise(request, customer)
    state = "confirmed" if confirming else "open"
    return render(request, "orders/customer_verify.html", {"state": state, "customer": customer})


@require_POST
def resend(request: HttpRequest, token: str) -> HttpResponse:
    """Send a new link for an expired one, at most one a minute; the answer is the same for all other links."""
    try:
        services.customer_of(token)
    except LinkExpired as exc:
        customer = Customer.objects.get(pk=exc.customer_id)
        services.resend_verification(customer, locale=get_language() or "")
    except BadLink:
        pass
    return redirect("orders:registered")


@never_cache
def mine(request: HttpRequest) -> HttpResponse:
    """Show the orders of a signed-in customer; others may ask for a link."""
    if customer := access.known_customer(request):
        pages = Paginator(Order.objects.by(customer.email).order_by("-id"), ORDERS_PER_PAGE)
        page = pages.get_page(request.GET.get("page"))
        return render(request, "orders/order_list.html", {"customer": customer, "page": page})
    form = SignInForm(request.POST if request.method == "POST" else None)
    if form_limits.admits(request, form) and form.is_valid():
        services.request_sign_in(form.cleaned_data["email"], locale=get_language() or "")
        return redirect("orders:link-sent")
    return show_form(request, "orders/sign_in.html", form)


@never_cache
def open_orders(request: HttpRequest, token: str) -> HttpResponse:
    """Sign in with a link from an email; only by POST, because mail scanners follow links."""
    try:
        if request.method == "POST":
            access.recognise(request, services.sign_in(token))
            return redirect("orders:mine")
        customer = services.signing_in(token)
    except BadLink as exc:
        state = _LINK_STATES[type(exc)]
        return render(request, "orders/sign_in_link.html", {"state": state}, status=410)
    return render(request, "orders/sign_in_link.html", {"state": "open", "customer": customer})


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """Sign this browser out."""
    access.forget(request)
    return redirect("orders:mine")
