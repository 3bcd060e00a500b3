"""Money: a decimal amount with its currency; in events, whole cents."""

from __future__ import annotations

from decimal import Decimal

from django.db import models


class Currency(models.TextChoices):
    """The currencies dealt in; each has a hundred cents."""

    USD = "USD", "US dollar"
    EUR = "EUR", "Euro"
    GBP = "GBP", "Pound sterling"


_SIGNS = {Currency.USD: "$", Currency.EUR: "€", Currency.GBP: "£"}


def to_cents(amount: Decimal) -> int:
    """1.50 → 150. The amount has at most two decimals."""
    return int(amount * 100)


def formatted(amount: Decimal, currency: str) -> str:
    """``$1,234.50``, as a customer reads it."""
    return f"{_SIGNS[Currency(currency)]}{amount:,.2f}"
