"""Convert and format money: a decimal amount with its currency; events have whole cents."""

from __future__ import annotations

from decimal import Decimal

from babel import numbers
from django.db import models
from django.utils.translation import get_language


class Currency(models.TextChoices):
    """The supported currencies; each has a hundred cents."""

    USD = "USD", "US dollar"
    EUR = "EUR", "Euro"
    GBP = "GBP", "Pound sterling"


def to_cents(amount: Decimal) -> int:
    """Turn 1.50 into 150; the amount must have at most two decimals."""
    return int(amount * 100)


def formatted(amount: Decimal, currency: str) -> str:
    """Write an amount as a customer reads it, in the language of the page: ``$1,234.50``."""
    return numbers.format_currency(amount, currency, locale=get_language() or "en")
