"""Carry out what customers and staff may do; each function is one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, SignatureExpired, TimestampSigner
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from orders.errors import (
    AlreadyPlaced,
    BadLink,
    LinkExpired,
    LinkUsed,
    UnknownAccount,
    UnknownProduct,
)
from orders.limits import allowances
from orders.models import BankAccount, Customer, Order, Product, Transaction, customers
from queues import addresses, outbox

LINK_SECONDS = 24 * 60 * 60
SIGN_IN_SECONDS = 30 * 60
# Of the address of one order's confirmation, in an hour.
MOST_CORRECTIONS = 5


def place_order(
    *,
    idempotency_key: uuid.UUID | None = None,
    lines: Iterable[tuple[Product, int]],
    most_an_hour: int = 0,
    **fields: Any,
) -> Order:
    """Save an order with its event; the same order with the same key again returns the first one.

    Without a key each call makes a new order. ``fields`` are fields of Order. Raises AlreadyPlaced, what
    ``Order.save`` raises, or TooFast if the address already had ``most_an_hour`` orders with a key.
    """
    lines = list(lines)
    customer = Customer.objects.with_email(fields["customer_email"])
    if customer and not fields.get("locale"):
        fields["locale"] = customer.locale
    if idempotency_key is None:
        return Order.objects.place(lines=lines, customer=customer, **fields)
    if order := Order.objects.filter(idempotency_key=idempotency_key).first():
        return _repeated(order, lines, fields)
    try:
        with transaction.atomic():
            order = Order.objects.place(
                idempotency_key=idempotency_key, lines=lines, customer=customer, **fields
            )
            # Counted last, so that neither a refused order nor a repeated one counts.
            _count_order(order, most_an_hour)
            return order
    except IntegrityError:
        # Another request with the same key was faster.
        if order := Order.objects.filter(idempotency_key=idempotency_key).first():
            return _repeated(order, lines, fields)
        raise


def products_on_sale(asked: Iterable[tuple[str, int]]) -> list[tuple[Product, int]]:
    """Find the products of an order's lines by their SKUs; raises UnknownProduct."""
    pairs = list(asked)
    on_sale = Product.objects.filter(sku__in={sku for sku, _ in pairs}, is_active=True)
    by_sku = {product.sku: product for product in on_sale}
    for index, (sku, _) in enumerate(pairs):
        if sku not in by_sku:
            raise UnknownProduct(f"There is no product {sku} on sale.", index=index)
    return [(by_sku[sku], quantity) for sku, quantity in pairs]


def post_transaction(
    *, account_number: str, kind: str, amount: Decimal, currency: str = "", description: str = ""
) -> Transaction:
    """Move money and record the event; raises UnknownAccount, and what ``Transaction.save`` raises."""
    try:
        account = BankAccount.objects.get(number=account_number)
    except BankAccount.DoesNotExist:
        raise UnknownAccount(f"There is no account with the number {account_number}.") from None
    posted = Transaction(
        account=account, kind=kind, amount=amount, currency=currency, description=description
    )
    posted.save()
    return posted


def register(*, name: str, email: str, locale: str = "") -> None:
    """Save a customer and record the event that leads to the verification email, in the language of ``locale``.

    A known address gets another link if it is unconfirmed, else nothing. The caller cannot tell these cases apart.
    """
    try:
        with transaction.atomic():
            customer = Customer.objects.with_email(email) or Customer.objects.create(
                name=name, email=email, locale=locale
            )
            resend_verification(customer, locale=locale)
    except IntegrityError:
        # The same address registered a moment ago, so its link is on the way.
        return


@transaction.atomic
def resend_verification(customer: Customer, *, locale: str = "") -> bool:
    """Record the event that leads to a link; return False if none is needed, or enough were sent.

    Without a locale the email is in the customer's language.
    """
    if not customer.take_link_slot(confirmed=False):
        return False
    event = customers.customer_registered(
        customer,
        verify_url=settings.BASE_URL + reverse("orders:verify", args=[_token(customer)]),
        expires_at=timezone.now() + timedelta(seconds=LINK_SECONDS),
        locale=locale,
    )
    outbox.record(event)
    return True


@transaction.atomic
def correct_email(customer: Customer, email: str) -> None:
    """Save the corrected address of a customer who never confirmed the old one, and send a link to it.

    Raises ValidationError, with a sentence for staff, if the customer has confirmed an address meanwhile, if another
    customer has this one, or if enough links were sent today.
    """
    fresh = Customer.objects.select_for_update().get(pk=customer.pk)
    if fresh.email_verified_at:
        raise ValidationError("This customer has confirmed the address meanwhile.")
    fresh.email = email
    fresh.clean_fields()
    fresh.clean()
    fresh.save(update_fields=["email"])
    if not resend_verification(fresh):
        raise ValidationError("Enough links were sent to this customer today. Try again tomorrow.")


def customer_of(token: str) -> Customer:
    """Return the customer of a verification link; raises BadLink, LinkExpired or LinkUsed. Changes nothing."""
    # The id comes first in a token; nothing has verified it yet.
    customer = Customer.objects.filter(pk=_number(token.partition(":")[0])).first()
    if customer is None:
        raise BadLink("no such customer")
    try:
        _signer(customer).unsign(token, max_age=LINK_SECONDS)
    except SignatureExpired as exc:
        if customer.email_verified_at is None:
            raise LinkExpired(customer.pk) from exc
    except BadSignature as exc:
        raise BadLink(str(exc)) from exc
    if customer.email_verified_at:
        raise LinkUsed("the address is confirmed")
    return customer


def verify(token: str) -> Customer:
    """Confirm the address that the link was sent to; raises what ``customer_of`` raises."""
    customer = customer_of(token)
    if not customer.confirm_email():
        raise LinkUsed("the address is confirmed")
    return customer


def request_sign_in(email: str, *, locale: str = "") -> None:
    """Send the owner of this address a link to their orders; the caller does not learn if the address is known."""
    customer = Customer.objects.with_email(email)
    # An unconfirmed address gets the link to confirm it first, which also signs in.
    if customer and not resend_verification(customer, locale=locale):
        _send_sign_in_link(customer, locale)


def signing_in(token: str) -> Customer:
    """Return the customer of a link to orders; raises BadLink, LinkExpired or LinkUsed. Changes nothing."""
    return _signing_in(token)[0]


def sign_in(token: str) -> Customer:
    """Use up a link to orders; raises what ``signing_in`` raises."""
    customer, number = _signing_in(token)
    if not customer.count_sign_in(number):
        raise LinkUsed("the link was used")
    return customer


@transaction.atomic
def _send_sign_in_link(customer: Customer, locale: str) -> None:
    if not customer.take_link_slot(confirmed=True):
        return
    token = _sign_in_signer(customer).sign(f"{customer.pk}-{customer.sign_ins}")
    event = customers.customer_link_requested(
        customer,
        link_url=settings.BASE_URL + reverse("orders:open", args=[token]),
        expires_at=timezone.now() + timedelta(seconds=SIGN_IN_SECONDS),
        locale=locale,
    )
    outbox.record(event)


def _signing_in(token: str) -> tuple[Customer, int]:
    """Return the customer of the link, and the number of the link."""
    pk, _, number = token.partition(":")[0].partition("-")
    customer = Customer.objects.filter(pk=_number(pk)).first()
    if customer is None or customer.email_verified_at is None:
        raise BadLink("no such customer")
    try:
        _sign_in_signer(customer).unsign(token, max_age=SIGN_IN_SECONDS)
    except SignatureExpired as exc:
        raise LinkExpired(customer.pk) from exc
    except BadSignature as exc:
        raise BadLink(str(exc)) from exc
    if int(number) < customer.sign_ins:
        raise LinkUsed("the link was used")
    return customer, int(number)


def count_correction(order: Order, email: str) -> None:
    """Count an email to a corrected address; raises TooFast after five in an hour, or too many to the address."""
    row = allowances.row_of("correction", order.number)
    allowances.take(row, allowed=MOST_CORRECTIONS, seconds=3600, burst_seconds=3600)
    if most := settings.FORM_ORDERS_PER_HOUR:
        recipient = allowances.row_of("recipient", addresses.key(email))
        allowances.take(recipient, allowed=most, seconds=3600, burst_seconds=3600)


def _count_order(order: Order, most_an_hour: int) -> None:
    if most_an_hour:
        recipient = allowances.row_of("recipient", addresses.key(order.customer_email))
        allowances.take(recipient, allowed=most_an_hour, seconds=3600, burst_seconds=3600)


def _repeated(
    order: Order, lines: Iterable[tuple[Product, int]], fields: Mapping[str, Any]
) -> Order:
    """Return the order if the same one is asked for, else raise AlreadyPlaced, so that the new order is not lost.

    The language in which the page was sent again makes no other order.
    """
    asked = [(product.pk, quantity) for product, quantity in lines]
    if asked == list(order.lines.values_list("product_id", "quantity")) and all(
        getattr(order, name) == value for name, value in fields.items() if name != "locale"
    ):
        return order
    raise AlreadyPlaced(
        gettext(
            "You have already placed an order from this page, and it is unchanged."
            " To place this one as well, send the form again."
        )
    )


def _token(customer: Customer) -> str:
    return _signer(customer).sign(str(customer.pk))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 19 else 0


def _signer(customer: Customer) -> TimestampSigner:
    """Return the signer of verification links.

    The address is part of the salt: the link does not show it, and a changed address makes the link invalid.
    """
    return TimestampSigner(salt=f"orders.verify:{addresses.key(customer.email)}")


def _sign_in_signer(customer: Customer) -> TimestampSigner:
    return TimestampSigner(salt=f"orders.sign_in:{addresses.key(customer.email)}")
