"""Rows for tests, made the way the product makes them."""

from __future__ import annotations

import itertools
import uuid
from decimal import Decimal
from typing import Any

from orders import services
from orders.models import BankAccount, Customer, Order, Product, Transaction

_counter = itertools.count(1)


def make_product(**fields: Any) -> Product:
    """A mug for $12.50."""
    number = next(_counter)
    defaults = {"sku": f"MUG-{number}", "name": f"Mug {number}", "price": Decimal("12.50")}
    return Product.objects.create(**defaults | fields)


def make_customer(**fields: Any) -> Customer:
    """Make a customer with an address of their own."""
    defaults = {"name": "Grace Hopper", "email": f"grace-{next(_counter)}@example.com"}
    return Customer.objects.create(**defaults | fields)


def shipping(**fields: Any) -> dict[str, Any]:
    """Return what an order needs besides its lines."""
    defaults = {
        "customer_name": "Ada Lovelace",
        "customer_email": "ada@example.com",
        "shipping_name": "Ada Lovelace",
        "shipping_street": "12 St James's Square",
        "shipping_postal_code": "SW1Y 4JH",
        "shipping_city": "London",
        "shipping_country": "United Kingdom",
    }
    return defaults | fields


def make_order(*, lines: list[tuple[Product, int]] | None = None, **fields: Any) -> Order:
    """An order of two mugs by Ada, with its event."""
    key = fields.pop("idempotency_key", None) or uuid.uuid4()
    return services.place_order(
        idempotency_key=key, lines=lines or [(make_product(), 2)], **shipping(**fields)
    )


def make_account(**fields: Any) -> BankAccount:
    """Ada's account in dollars, empty unless ``balance`` is given."""
    defaults = {
        "number": f"GB29NWBK6016{next(_counter):010}",
        "holder_name": "Ada Lovelace",
        "holder_email": "ada@example.com",
    }
    return BankAccount.objects.create(**defaults | fields)


def make_transaction(*, account: BankAccount | None = None, **fields: Any) -> Transaction:
    """A deposit of $150.00, with its event."""
    defaults: dict[str, Any] = {"kind": "deposit", "amount": Decimal("150.00")}
    account = account or make_account()
    return services.post_transaction(account_number=account.number, **defaults | fields)
