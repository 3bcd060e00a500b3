"""Convert and format money: a decimal amount with its currency; events have whole cents."""

from __future__ import annotations

from decimal import Decimal

from django.db import models


class Currency(models.TextChoices):
    """The supported currencies; each has a hundred cents."""

    USD = "USD", "US dollar"
    EUR = "EUR", "Euro"
    GBP = "GBP", "Pound sterling"


_SIGNS = {Currency.USD: "$", Currency.EUR: "€", Currency.GBP: "£"}


def to_cents(amount: Decimal) -> int:
    """Turn 1.50 into 150; the amount must have at most two decimals."""
    return int(amount * 100)


def formatted(amount: Decimal, currency: str) -> str:
    """Write an amount as a customer reads it: ``$1,234.50``."""
    return f"{_SIGNS[Currency(currency)]}{amount:,.2f}"
