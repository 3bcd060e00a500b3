"""What goes into the API and what comes out of it. Money is in whole cents, as in events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
)

from orders import email_status
from orders.events import CONTROL, MAX_LINES, ONE_LINE, Quantity, checked_line
from orders.models import BankAccount, Order, OrderLine, Transaction
from orders.money import Currency, to_cents

MAX_PAGE = 100
ORDER_NUMBER = r"^ORD-[0-9]{6,18}$"
REFERENCE = r"^TXN-[0-9]{6,18}$"
ACCOUNT_NUMBER = r"^[A-Za-z0-9-]{1,34}$"
# Of the demo data, so that they can be tried.
ORDER_EXAMPLE: JsonValue = {
    "shipping_address": {
        "name": "Ada Lovelace",
        "street": "12 St James's Square",
        "postal_code": "SW1Y 4JH",
        "city": "London",
        "country": "United Kingdom",
    },
    "lines": [{"sku": "MUG-01", "quantity": 2}],
}
TRANSACTION_EXAMPLE: JsonValue = {
    "account": "US100200304821",
    "kind": "deposit",
    "amount_cents": 15000,
    "description": "Salary",
}


def _text(length: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=length)


# Not of spaces alone; those around it are taken off.
_filled = Field(json_schema_extra={"pattern": rf"^[^{CONTROL}]*[^\s{CONTROL}][^{CONTROL}]*$"})
Text200 = Annotated[str, _text(200), checked_line, _filled]
Text100 = Annotated[str, _text(100), checked_line, _filled]
Text50 = Annotated[str, _text(50), checked_line, _filled]
Text20 = Annotated[str, _text(20), checked_line, _filled]


def _whole(value: object) -> object:
    """To JSON Schema 2.0 is an integer as well."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# What the column of an amount holds.
AmountCents = Annotated[int, Field(strict=True, gt=0, le=999_999_999_999), BeforeValidator(_whole)]
QuantityIn = Annotated[Quantity, BeforeValidator(_whole)]


class _In(BaseModel):
    """What nobody asked for is refused, so that a misspelt field is not lost."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class AddressIn(_In):
    """Where an order goes."""

    name: Text200
    street: Text200
    postal_code: Text20
    city: Text100
    country: Text100


class LineIn(_In):
    """A product on sale, and how many of it."""

    sku: Text50
    quantity: QuantityIn


class OrderIn(_In):
    """An order. Whose it is and where its confirmation goes is in the token."""

    model_config = ConfigDict(json_schema_extra={"examples": [ORDER_EXAMPLE]})

    shipping_address: AddressIn
    lines: Annotated[list[LineIn], Field(min_length=1, max_length=MAX_LINES)]


class TransactionIn(_In):
    """Money that comes into an account or leaves it. ``currency``: refuse unless the account is kept in it."""

    model_config = ConfigDict(json_schema_extra={"examples": [TRANSACTION_EXAMPLE]})

    account: Annotated[str, Field(pattern=ACCOUNT_NUMBER)]
    kind: Literal["deposit", "withdrawal"]
    amount_cents: AmountCents
    currency: Currency | None = None
    description: Annotated[
        str,
        StringConstraints(strip_whitespace=True, max_length=200),
        checked_line,
        Field(json_schema_extra={"pattern": ONE_LINE}),
    ] = ""


class StepOut(_Out):
    """One step of the email: recorded, queued, sent, delivered; null is a time that nobody noted."""

    name: str
    state: Literal["done", "now", "todo", "wrong"]
    at: datetime | None


class EmailOut(_Out):
    """What became of the confirmation. ``status`` is for programs, ``message`` for the customer."""

    status: str
    message: str
    steps: list[StepOut]

    @classmethod
    def of(cls, subject: str) -> Self | None:
        """Of the email about this subject."""
        found = email_status.of(subject)
        return cls.model_validate(found, from_attributes=True) if found else None

    @classmethod
    def recorded(cls) -> Self | None:
        """Of one whose event was recorded in this transaction."""
        found = email_status.recorded()
        return cls.model_validate(found, from_attributes=True) if found else None


class CustomerOut(_Out):
    """Who ordered."""

    name: str
    email: str


class LineOut(_Out):
    """One product, as it was named and priced then."""

    sku: str
    name: str
    quantity: int
    unit_price_cents: int
    total_cents: int


class AddressOut(_Out):
    """Where the order goes."""

    name: str
    street: str
    postal_code: str
    city: str
    country: str


class OrderSummaryOut(_Out):
    """An order in a list."""

    number: str
    placed_at: AwareDatetime
    total_cents: int
    currency: Currency

    @classmethod
    def of(cls, order: Order) -> Self:
        """Of a placed order."""
        return cls.model_validate(_summary(order))


class OrderOut(OrderSummaryOut):
    """An order with all there is to it."""

    customer: CustomerOut
    shipping_address: AddressOut
    lines: list[LineOut]
    email: EmailOut | None

    @classmethod
    def of(cls, order: Order) -> Self:
        """Reads its lines, and what became of its email."""
        return cls._of(order, order.lines.all(), EmailOut.of(order.number))

    @classmethod
    def placed(cls, order: Order) -> Self:
        """Of one that was placed in this transaction: all of it is known."""
        return cls._of(order, order.new_lines, EmailOut.recorded())

    @classmethod
    def _of(cls, order: Order, lines: Iterable[OrderLine], email: EmailOut | None) -> Self:
        return cls.model_validate(
            _summary(order)
            | {
                "customer": {"name": order.customer_name, "email": order.customer_email},
                "shipping_address": {
                    name: getattr(order, f"shipping_{name}") for name in AddressOut.model_fields
                },
                "lines": [_line(line) for line in lines],
                "email": email,
            }
        )


class OrderPage(_Out):
    """Orders, newest first; ``next`` is the address of those before them, null at the end."""

    items: list[OrderSummaryOut]
    next: str | None


class TransactionOut(_Out):
    """A posted transaction; of the account's number the last digits alone."""

    reference: str
    account_number_masked: str
    kind: Literal["deposit", "withdrawal"]
    amount_cents: int
    currency: Currency
    balance_cents: int
    description: str
    posted_at: AwareDatetime

    @classmethod
    def of(cls, posted: Transaction, account: BankAccount) -> Self:
        """``balance_cents`` is what the account held after it."""
        return cls.model_validate(
            {
                "reference": posted.reference,
                "account_number_masked": account.number_masked,
                "kind": str(posted.kind),
                "amount_cents": to_cents(posted.amount),
                "currency": posted.currency,
                "balance_cents": to_cents(posted.balance_after),
                "description": posted.description,
                "posted_at": posted.posted_at,
            }
        )


class TransactionPage(_Out):
    """Transactions of an account, newest first; ``next`` as in a page of orders."""

    items: list[TransactionOut]
    next: str | None


class FieldError(_Out):
    """What is wrong with one field: of the body by a JSON pointer, of the address or the headers by its name."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class ProblemOut(_Out):
    """Problem details, RFC 9457. ``code`` is for programs."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: Iterable[FieldError] = ()


def from_cents(cents: int) -> Decimal:
    """150 → 1.50."""
    return Decimal(cents).scaleb(-2)


def _summary(order: Order) -> dict[str, object]:
    return {
        "number": order.number,
        "placed_at": order.placed_at,
        "total_cents": to_cents(order.total),
        "currency": order.currency,
    }


def _line(line: OrderLine) -> dict[str, object]:
    return {
        "sku": line.sku,
        "name": line.name,
        "quantity": line.quantity,
        "unit_price_cents": to_cents(line.unit_price),
        "total_cents": to_cents(line.total),
    }
