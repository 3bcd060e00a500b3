"""Provide ``manage.py load_demo``: demo products, customers, accounts and logins for development."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from orders.models import BankAccount, Customer, Product

_DRAWINGS = Path(__file__).resolve().parents[2] / "demo"


class _Demo(NamedTuple):
    sku: str
    name: str
    price: str
    description: str


_PRODUCTS = [
    _Demo("MUG-01", "Stoneware mug", "18.00", "Hand-thrown, holds 350 ml of whatever you need."),
    _Demo("NOTE-01", "Linen notebook", "14.50", "192 dotted pages that lie flat."),
    _Demo("LAMP-01", "Desk lamp", "64.00", "Warm light, a steel arm, a dimmer on the foot."),
    _Demo("PACK-01", "Canvas backpack", "89.00", "Waxed cotton, 22 litres, made to be repaired."),
    _Demo("HEAD-01", "Headphones", "129.00", "Quiet outside, thirty hours inside."),
    _Demo("PLANT-01", "Monstera", "32.00", "Knee-high, forgiving, in a clay pot."),
    _Demo("TEA-01", "Green tea", "11.90", "First flush, 100 g in a tin you will keep."),
    _Demo("PEN-01", "Fountain pen", "42.00", "Brass, fine nib, a converter included."),
]


# Each role, a group that migrations make, gets one login.
_ROLES = ("support", "operator", "auditor")


class Command(BaseCommand):
    """Make the demo rows that are missing; existing rows stay as they are, so running it again is safe."""

    help = "Load demo products, customers, bank accounts and the login admin/admin (DEBUG only)."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """Make the demo data; refuse outside development, because everybody knows the password."""
        if not settings.DEBUG:
            raise CommandError(
                "load_demo makes a login whose password everybody knows, so it needs DEBUG=on."
            )
        for product in _PRODUCTS:
            self._say(f"product {product.name}", made=_make_product(product))
        for customer, made in _make_customers():
            self._say(f"customer {customer.email}", made=made)
        for account, made in _make_accounts():
            self._say(f"bank account {account.number}", made=made)
        self._say("login admin with the password admin", made=_make_superuser())
        if settings.SANDBOX:
            for role in _ROLES:
                self._say(f"login {role} with the password admin", made=_make_member(role))

    def _say(self, what: str, *, made: bool) -> None:
        self.stdout.write(f"{'made' if made else 'kept'} {what}")


def _make_product(product: _Demo) -> bool:
    drawing = (_DRAWINGS / f"{product.sku.lower()}.svg").read_text()
    _, made = Product.objects.get_or_create(
        sku=product.sku,
        defaults={
            "name": product.name,
            "price": Decimal(product.price),
            "description": product.description,
            "picture": drawing,
        },
    )
    return made


def _make_customers() -> list[tuple[Customer, bool]]:
    """Make Ada, who has confirmed her address, and Bob, who has not."""
    ada = {"name": "Ada Lovelace", "email_verified_at": timezone.now()}
    return [
        Customer.objects.get_or_create(email="ada@example.com", defaults=ada),
        Customer.objects.get_or_create(email="bob@example.net", defaults={"name": "Bob Example"}),
    ]


def _make_accounts() -> list[tuple[BankAccount, bool]]:
    ada = {
        "holder_name": "Ada Lovelace",
        "holder_email": "ada@example.com",
        "balance": Decimal("2500.00"),
    }
    bob = {"holder_name": "Bob Example", "holder_email": "bob@example.net", "currency": "EUR"}
    return [
        BankAccount.objects.get_or_create(number="US100200304821", defaults=ada),
        BankAccount.objects.get_or_create(number="NL100200307706", defaults=bob),
    ]


def _make_superuser() -> bool:
    users = get_user_model().objects
    if users.filter(username="admin").exists():
        return False
    users.create_superuser("admin", "admin@example.com", "admin")
    return True


def _make_member(role: str) -> bool:
    users = get_user_model().objects
    if users.filter(username=role).exists():
        return False
    member = users.create_user(role, f"{role}@example.com", "admin", is_staff=True)
    member.groups.set(Group.objects.filter(name=role))
    return True
