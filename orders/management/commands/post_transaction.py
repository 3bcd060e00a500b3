"""Provide ``manage.py post_transaction``: a deposit or a withdrawal, and its alert to the account's holder."""

from __future__ import annotations

from argparse import ArgumentTypeError
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from orders import services
from orders.errors import Refused
from orders.models import Transaction
from orders.money import Currency, formatted
from queues.models import OutboxEvent


class Command(BaseCommand):
    """Post one transaction and print its reference, the balance after it and the id of its event."""

    help = "Post a deposit to or a withdrawal from a bank account."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options: the account, the kind and the amount."""
        parser.add_argument("account", help="the account's number")
        parser.add_argument("kind", choices=Transaction.Kind.values)
        parser.add_argument("amount", type=_amount, help="for example 150 or 19.99")
        parser.add_argument(
            "--currency",
            choices=Currency.values,
            default="",
            help="refuse unless this is the account's currency",
        )
        parser.add_argument(
            "--description", default="", help="the purpose, as the holder will read it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Post the transaction, or say why it is refused."""
        posted = _post(options)
        event_id = OutboxEvent.objects.values_list("event_id", flat=True).get(
            subject=posted.reference
        )
        balance = formatted(posted.balance_after, posted.currency)
        self.stdout.write(f"{posted.reference}: balance {balance}, event {event_id}")


def _post(options: dict[str, Any]) -> Transaction:
    try:
        return services.post_transaction(
            account_number=options["account"],
            kind=options["kind"],
            amount=options["amount"],
            currency=options["currency"],
            description=options["description"],
        )
    except Refused as exc:
        raise CommandError(str(exc)) from exc
    except ValidationError as exc:
        raise CommandError(" ".join(exc.messages)) from exc


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ArgumentTypeError(f"{text!r} is not an amount") from None
    if not amount.is_finite():
        raise ArgumentTypeError(f"{text!r} is not an amount")
    return amount
