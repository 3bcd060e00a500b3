"""Products, customers, and the orders that customers place."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from django.core.signing import Signer
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import connection, models, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from orders import events
from orders.errors import Immutable, MixedCurrencies, NoLines
from orders.models.facts import Fact, FactQuerySet
from orders.money import Currency
from orders.validators import validate_recipient, validate_single_line
from queues import outbox

# What anybody can make us send to an address that is not theirs.
RESEND_SECONDS = 60
LINKS_A_DAY = 5


class Product(models.Model):
    """What the shop sells. What is no longer sold becomes inactive, as orders refer to it."""

    sku = models.CharField("SKU", max_length=50, unique=True, validators=[validate_single_line])
    name = models.CharField(max_length=200, validators=[validate_single_line])
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


class CustomerQuerySet(models.QuerySet["Customer"]):
    """Customers, found by their address whatever its case."""

    def with_email(self, email: str) -> Customer | None:
        """The customer with this address."""
        # Written out: for most orders, of whoever never registered, this is all. Both are folded by the database,
        # as its unique index does it: SQLite folds ASCII only.
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM orders_customer WHERE LOWER(email) = LOWER(%s)", [email])
            found = cursor.fetchall()
        return self.filter(pk=found[0][0]).first() if found else None


class Customer(models.Model):
    """Somebody who registered, or whom staff entered.

    Saving one records no event: staff may enter a customer without any email. ``services.register`` and
    ``services.resend_verification`` record it.
    """

    name = models.CharField(max_length=200, validators=[validate_single_line])
    email = models.EmailField(validators=[validate_recipient])
    email_verified_at = models.DateTimeField(null=True, blank=True)
    verification_sent_at = models.DateTimeField(null=True, editable=False)
    # Links of any kind that went to the address since then; a day later they are counted anew.
    links_sent = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    links_since = models.DateTimeField(null=True, editable=False)
    # How many links to their orders were used: each works once.
    sign_ins = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    registered_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="one_customer_per_email",
                violation_error_message="There is a customer with this email address already.",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a new address is unconfirmed, whoever enters it."""
        if not self._state.adding and self._has_new_email():
            self.email_verified_at = self.verification_sent_at = None
            if (names := kwargs.get("update_fields")) is not None:
                kwargs["update_fields"] = {*names, "email_verified_at", "verification_sent_at"}
        super().save(*args, **kwargs)

    def _has_new_email(self) -> bool:
        known = Customer.objects.with_email(self.email)
        return known is None or known.pk != self.pk

    @property
    def subject(self) -> str:
        """What this customer's events are about."""
        return f"customer-{self.pk}"

    def confirm_email(self) -> bool:
        """Mark the address as confirmed; False if it was."""
        now = timezone.now()
        rows = Customer.objects.filter(pk=self.pk, email_verified_at=None)
        return rows.update(email_verified_at=now) == 1

    def take_link_slot(self, *, confirmed: bool) -> bool:
        """Take the right to send one link; False if the address is not, or not un-, confirmed, or has had enough.

        Enough is one in ``RESEND_SECONDS``, and ``LINKS_A_DAY``.
        """
        now = timezone.now()
        is_new_day = Q(links_since=None) | Q(links_since__lte=now - timedelta(days=1))
        rows = Customer.objects.filter(
            Q(verification_sent_at=None)
            | Q(verification_sent_at__lte=now - timedelta(seconds=RESEND_SECONDS)),
            is_new_day | Q(links_sent__lt=LINKS_A_DAY),
            pk=self.pk,
            email_verified_at__isnull=not confirmed,
        )
        return bool(
            rows.update(
                verification_sent_at=now,
                links_sent=Case(When(is_new_day, then=Value(1)), default=F("links_sent") + 1),
                links_since=Case(When(is_new_day, then=Value(now)), default=F("links_since")),
            )
        )

    def count_sign_in(self, number: int) -> bool:
        """Use up the link with this number; False if it was used, or a newer one."""
        rows = Customer.objects.filter(pk=self.pk, sign_ins=number)
        return rows.update(sign_ins=number + 1) == 1


class OrderQuerySet(FactQuerySet["Order"]):
    """Orders; ``place`` makes one."""

    def by(self, email: str) -> OrderQuerySet:
        """Those by whoever gave this address, whatever its case."""
        return self.alias(folded=Lower("customer_email")).filter(folded=Lower(Value(email)))

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
    customer_name = models.CharField("name", max_length=200, validators=[validate_single_line])
    customer_email = models.EmailField("email", validators=[validate_recipient])
    shipping_name = models.CharField(
        "name of the recipient", max_length=200, validators=[validate_single_line]
    )
    shipping_street = models.CharField(
        "street and number", max_length=200, validators=[validate_single_line]
    )
    shipping_postal_code = models.CharField(
        "postal code", max_length=20, validators=[validate_single_line]
    )
    shipping_city = models.CharField("city", max_length=100, validators=[validate_single_line])
    shipping_country = models.CharField(
        "country", max_length=100, validators=[validate_single_line]
    )
    currency = models.CharField(max_length=3, choices=Currency, editable=False)
    total = models.DecimalField(max_digits=14, decimal_places=2, editable=False)
    # The same key is the same order, however often it is sent.
    idempotency_key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    # Who placed it through the API: the subject of the token. The index leaves out all other orders.
    client = models.CharField(max_length=128, null=True, blank=True, editable=False)  # noqa: DJ001
    placed_at = models.DateTimeField(default=timezone.now, editable=False)

    new_lines: Sequence[OrderLine] = ()

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
            models.Index("placed_at", name="order_placed"),
            models.Index("client", "id", name="order_client", condition=Q(client__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.number or "a new order"

    def get_absolute_url(self) -> str:
        """The order's page; strangers also need the key of ``get_signed_url``."""
        return reverse("orders:detail", args=[self.number])

    def get_signed_url(self) -> str:
        """The order's page with the key that opens it to whoever has the link."""
        return f"{self.get_absolute_url()}?key={quote(self._key())}"

    def opens_with(self, key: str) -> bool:
        """Whether this is the key of ``get_signed_url``."""
        return constant_time_compare(key, self._key())

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert the order with its lines and its event; raises NoLines, MixedCurrencies, ValidationError.

        A second save raises Immutable.
        """
        self.refuse_change()
        lines = list(self.new_lines)
        self._add_up(lines)
        # What the customer and the products are is for the database: it refuses a row of none.
        self.clean_fields(exclude=["customer"])
        with transaction.atomic(savepoint=False):
            self._insert_numbered(field="number", prefix="ORD")
            for line in lines:
                line.order = self
            OrderLine.objects.insert(lines)
            outbox.record(events.order_placed(self, lines))

    def _add_up(self, lines: list[OrderLine]) -> None:
        if not lines:
            raise NoLines("An order needs at least one line.")
        for line in lines:
            line.copy_product()
            line.clean_fields(exclude=["order", "product"])
        currencies = sorted({line.product.currency for line in lines})
        if len(currencies) > 1:
            raise MixedCurrencies(f"One order, one currency: not {' and '.join(currencies)}.")
        self.currency = currencies[0]
        self.total = sum((line.total for line in lines), Decimal(0))

    def _key(self) -> str:
        return Signer(salt="orders.order").signature(self.number)


class OrderLineQuerySet(FactQuerySet["OrderLine"]):
    """Lines, to be read."""


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
        """Raise Immutable: a line is saved with its order, whose event names it."""
        raise Immutable("a line is saved with its order: Order.objects.place(lines=…)")

    def copy_product(self) -> None:
        """Take name and price from the product."""
        self.sku = self.product.sku
        self.name = self.product.name
        self.unit_price = self.product.price
