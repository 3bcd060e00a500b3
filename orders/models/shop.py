"""Store products, and the orders that customers place."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.signing import Signer
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from orders import events
from orders.errors import Immutable, MixedCurrencies, NoLines, OrderTooLarge, TooManyLines
from orders.events import Address, Line, OrderPlaced, Person
from orders.models.customers import Customer
from orders.models.facts import Fact, FactQuerySet
from orders.models.locales import LocaleField
from orders.money import Currency, to_cents
from orders.validators import validate_name, validate_single_line
from queues import outbox
from queues.errors import EventTooLarge
from queues.events import postal
from queues.events.envelope import Event
from queues.models.addresses import AddressField, KeyField, with_address

# The longest number that an order can get.
_LARGEST_ID = 10**18 - 1


class Product(models.Model):
    """A product of the shop. One that is no longer sold becomes inactive, because orders refer to it."""

    sku = models.CharField("SKU", max_length=50, unique=True, validators=[validate_name])
    name = models.CharField(max_length=200, validators=[validate_name])
    description = models.CharField(max_length=300, blank=True, validators=[validate_single_line])
    price = models.DecimalField(
        max_digits=10, decimal_places=2, validators=[MinValueValidator(Decimal(0))]
    )
    currency = models.CharField(max_length=3, choices=Currency, default=Currency.USD)
    picture = models.TextField(blank=True, help_text="An emoji, or an SVG drawing.")
    is_active = models.BooleanField("on sale", default=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(price__gte=0), name="product_price_not_negative"),
            models.CheckConstraint(
                condition=Q(currency__in=Currency.values), name="product_currency_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def drawing_url(self) -> str:
        """The SVG drawing as a data URL, safe in an ``img``; empty for an emoji."""
        drawing = self.picture.strip()
        if not drawing.startswith("<svg"):
            return ""
        return f"data:image/svg+xml,{quote(drawing)}"


class OrderQuerySet(FactQuerySet["Order"]):
    """A read-only queryset of orders; ``place`` makes one."""

    def by(self, email: str) -> OrderQuerySet:
        """Return the orders placed with this address, however it is spelled."""
        return with_address(self, "customer_email", email)

    def place(self, *, lines: Iterable[tuple[Product, int]], **fields: Any) -> Order:
        """Save an order of (product, quantity) pairs with its lines and its event, all or none."""
        order = Order(**fields)
        order.new_lines = [
            OrderLine(product=product, quantity=quantity) for product, quantity in lines
        ]
        order.save()
        return order


class Order(Fact):
    """A placed order. Set ``new_lines`` before saving it, or call ``Order.objects.place``.

    ``save()`` inserts the order, its lines and ``order.placed.v1`` in one transaction; the currency and the
    total come from the lines, whose names and prices are copied from the products.
    """

    number = models.CharField(max_length=32, unique=True, editable=False)
    customer = models.ForeignKey(
        Customer, null=True, blank=True, on_delete=models.PROTECT, related_name="orders"
    )
    customer_name = models.CharField("name", max_length=200, validators=[validate_name])
    customer_email = AddressField("email")
    customer_email_key = KeyField()
    shipping_name = models.CharField(
        "name of the recipient", max_length=200, validators=[validate_name]
    )
    shipping_street = models.CharField(
        "street and number", max_length=200, validators=[validate_name]
    )
    shipping_postal_code = models.CharField(
        "postal code", max_length=20, validators=[validate_name]
    )
    shipping_city = models.CharField("city", max_length=100, validators=[validate_name])
    shipping_country = models.CharField("country", max_length=100, validators=[validate_name])
    currency = models.CharField(max_length=3, choices=Currency, editable=False)
    total = models.DecimalField(max_digits=14, decimal_places=2, editable=False)
    locale = LocaleField()
    # A key makes one order, however often it is sent.
    idempotency_key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    # The subject of the API token that placed it; null for all other orders, which the index leaves out.
    client = models.CharField(max_length=128, null=True, blank=True, editable=False)  # noqa: DJ001
    placed_at = models.DateTimeField(default=timezone.now, editable=False)

    new_lines: Sequence[OrderLine] = ()
    # When its event was recorded; known only to the one who saves it.
    recorded_at: datetime | None = None

    objects = OrderQuerySet.as_manager()

    class Meta(Fact.Meta):
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(total__gte=0), name="order_total_not_negative"),
            models.CheckConstraint(
                condition=Q(currency__in=Currency.values), name="order_currency_known"
            ),
        ]
        indexes = [
            models.Index(Lower("customer_email"), "id", name="order_customer_email"),
            models.Index(
                "customer_email_key",
                name="order_customer_email_key",
                condition=Q(customer_email_key__isnull=False),
            ),
            models.Index("placed_at", name="order_placed"),
            models.Index("client", "id", name="order_client", condition=Q(client__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.number or "a new order"

    @property
    def is_town_first(self) -> bool:
        """True if the country writes the town before the postal code."""
        return postal.is_town_first(self.shipping_country)

    def get_absolute_url(self) -> str:
        """Return the address of the order's page; strangers also need the key of ``get_signed_url``."""
        return reverse("orders:detail", args=[self.number])

    def get_signed_url(self) -> str:
        """Return the address of the order's page with a key, which opens it to anybody who has the link."""
        return f"{self.get_absolute_url()}?key={quote(self._key())}"

    def opens_with(self, key: str) -> bool:
        """Return True if this is the key of ``get_signed_url``."""
        return constant_time_compare(key, self._key())

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert the order with its lines and its event.

        Raises NoLines, TooManyLines, OrderTooLarge, MixedCurrencies or ValidationError; for a second save Immutable.
        """
        self.refuse_change()
        lines = list(self.new_lines)
        self._add_up(lines)
        # The database checks that customer and products exist, by its foreign keys.
        self.clean_fields(exclude=["customer"])
        with transaction.atomic(savepoint=False):
            self._insert_numbered(field="number", prefix="ORD")
            for line in lines:
                line.order = self
            OrderLine.objects.insert(lines)
            with _in_one_event():
                self.recorded_at = outbox.record(order_placed(self, lines)).recorded_at

    def refuse_if_too_large(self, lines: list[OrderLine]) -> None:
        """Raise what ``save`` would raise, as far as that can be known before; nothing is saved or changed."""
        draft = copy(self)
        draft._add_up(lines)
        draft.clean_fields(exclude=["customer"])
        draft.pk, draft.number = _LARGEST_ID, f"ORD-{_LARGEST_ID}"
        with _in_one_event():
            order_placed(draft, lines).to_json()

    def _add_up(self, lines: list[OrderLine]) -> None:
        if not lines:
            raise NoLines(_("An order needs at least one line."))
        if len(lines) > events.MAX_LINES:
            raise TooManyLines(too_many_lines())
        for line in lines:
            line.copy_product()
            line.clean_fields(exclude=["order", "product"])
        currencies = sorted({line.product.currency for line in lines})
        if len(currencies) > 1:
            named = _(" and ").join(currencies)
            raise MixedCurrencies(_("One order, one currency: not %(named)s.") % {"named": named})
        self.currency = currencies[0]
        self.total = sum((line.total for line in lines), Decimal(0))

    def _key(self) -> str:
        return Signer(salt="orders.order").signature(self.number)


class OrderLineQuerySet(FactQuerySet["OrderLine"]):
    """A read-only queryset of order lines."""


class OrderLine(Fact):
    """One product of an order with its name and price at that time."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="lines")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="+")
    sku = models.CharField("SKU", max_length=50, editable=False)
    name = models.CharField(max_length=200, editable=False)
    unit_price = models.DecimalField(max_digits=10, decimal_places=2, editable=False)
    quantity = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(events.MAX_QUANTITY)],
    )

    objects = OrderLineQuerySet.as_manager()

    class Meta(Fact.Meta):
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(quantity__gte=1, quantity__lte=events.MAX_QUANTITY),
                name="order_line_quantity_1_to_99",
            ),
            models.CheckConstraint(
                condition=Q(unit_price__gte=0), name="order_line_unit_price_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.name}"

    @property
    def total(self) -> Decimal:
        """The price of this line."""
        return self.unit_price * self.quantity

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Raise Immutable: a line is saved with its order, whose event contains it."""
        raise Immutable("a line is saved with its order: Order.objects.place(lines=…)")

    def copy_product(self) -> None:
        """Copy SKU, name and price from the product."""
        self.sku = self.product.sku
        self.name = self.product.name
        self.unit_price = self.product.price


def too_many_lines() -> str:
    """Return the sentence for whoever orders more products than fit into one order."""
    return _("An order has at most %(most)d products. Please order the others separately.") % {
        "most": events.MAX_LINES
    }


def order_placed(order: Order, lines: list[OrderLine]) -> Event:
    """Make the event of an order that has its number."""
    placed = OrderPlaced(
        order_number=order.number,
        placed_at=order.placed_at,
        customer=Person(name=order.customer_name, email=order.customer_email),
        shipping_address=Address(
            name=order.shipping_name,
            street=order.shipping_street,
            postal_code=order.shipping_postal_code,
            city=order.shipping_city,
            country=order.shipping_country,
        ),
        lines=tuple(_line_of(line) for line in lines),
        total_cents=to_cents(order.total),
        currency=Currency(order.currency),
        order_url=settings.BASE_URL + order.get_signed_url(),
        locale=order.locale,
    )
    # The key contains no address: partition keys are visible in SQS and in logs.
    key = f"customer-{order.customer_id}" if order.customer_id else f"order-{order.pk}"
    return Event.of(placed, subject=order.number, partition_key=key)


@contextmanager
def _in_one_event() -> Iterator[None]:
    try:
        yield
    except EventTooLarge as exc:
        raise OrderTooLarge(
            _(
                "This order is too large to be confirmed in one email. Please split it into several orders."
            )
        ) from exc


def _line_of(line: OrderLine) -> Line:
    return Line(
        sku=line.sku,
        name=line.name,
        quantity=line.quantity,
        unit_price_cents=to_cents(line.unit_price),
        total_cents=to_cents(line.total),
    )
