"""Define the API's input and output. Money is in whole cents, as in events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
)

from orders import email_status
from orders.events import (
    CONTROL,
    MAX_LINES,
    ONE_LINE,
    Locale,
    Quantity,
    checked_line,
    checked_name,
)
from orders.models import BankAccount, Order, OrderLine, Transaction
from orders.money import Currency, to_cents
from queues.events import locales

MAX_PAGE = 100
ORDER_NUMBER = r"^ORD-[0-9]{6,18}$"
REFERENCE = r"^TXN-[0-9]{6,18}$"
ACCOUNT_NUMBER = r"^[A-Za-z0-9-]{1,34}$"
# The examples use the demo data, so that they can be tried.
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


# A text in which nobody sees anything is refused; spaces around a text are removed.
_INVISIBLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u2800\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
)
_filled = Field(
    json_schema_extra={"pattern": rf"^[^{CONTROL}]*[^\s{CONTROL}{_INVISIBLE}][^{CONTROL}]*$"}
)
Text200 = Annotated[str, _text(200), checked_name, _filled]
Text100 = Annotated[str, _text(100), checked_name, _filled]
Text50 = Annotated[str, _text(50), checked_name, _filled]
Text20 = Annotated[str, _text(20), checked_name, _filled]


def _whole(value: object) -> object:
    """Turn 2.0 into 2: JSON Schema accepts 2.0 as an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# The range that the column of an amount can store.
AmountCents = Annotated[int, Field(strict=True, gt=0, le=999_999_999_999), BeforeValidator(_whole)]
QuantityIn = Annotated[Quantity, BeforeValidator(_whole)]


def _canonical(tag: str) -> str:
    return tag and locales.canonical(tag)


# What names no language is the same request as before there was this field, with the same key.
LocaleIn = Annotated[Locale, AfterValidator(_canonical), Field(exclude_if=lambda tag: not tag)]


class _In(BaseModel):
    """The base of input; it refuses unknown fields, so that a misspelt one is not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class AddressIn(_In):
    """The shipping address of an order."""

    name: Text200
    street: Text200
    postal_code: Text20
    city: Text100
    country: Text100


class LineIn(_In):
    """A product on sale, with its quantity."""

    sku: Text50
    quantity: QuantityIn


class OrderIn(_In):
    """An order. The token says who orders and where the confirmation goes.

    ``locale`` is the customer's language (BCP 47), such as ``de-AT``: the confirmation is in it, or in English.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [ORDER_EXAMPLE]})

    shipping_address: AddressIn
    lines: Annotated[list[LineIn], Field(min_length=1, max_length=MAX_LINES)]
    locale: LocaleIn = ""


class TransactionIn(_In):
    """A deposit or a withdrawal. If ``currency`` is set, it must be the account's currency."""

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
    """One step of the email: recorded, queued, sent, delivered; ``at`` is null if no time was recorded."""

    name: str
    state: Literal["done", "now", "todo", "wrong"]
    at: datetime | None


class EmailOut(_Out):
    """The delivery status of the confirmation. ``status`` is for programs, ``message`` for the customer."""

    status: str
    message: str
    steps: list[StepOut]

    @classmethod
    def of(cls, subject: str) -> Self | None:
        """Return the status of the email about this subject; None if no app sends emails."""
        found = email_status.of(subject)
        return cls.model_validate(found, from_attributes=True) if found else None

    @classmethod
    def recorded(cls, at: datetime) -> Self | None:
        """Return the status of an email whose event was recorded in this transaction, at this time."""
        found = email_status.recorded(at)
        return cls.model_validate(found, from_attributes=True) if found else None


class CustomerOut(_Out):
    """The customer of an order."""

    name: str
    email: str


class LineOut(_Out):
    """One product, with its name and price at the time of the order."""

    sku: str
    name: str
    quantity: int
    unit_price_cents: int
    total_cents: int


class AddressOut(_Out):
    """The shipping address of an order."""

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
        """Build the summary of a placed order."""
        return cls.model_validate(_summary(order))


class OrderOut(OrderSummaryOut):
    """An order with all its details."""

    customer: CustomerOut
    shipping_address: AddressOut
    lines: list[LineOut]
    email: EmailOut | None

    @classmethod
    def of(cls, order: Order) -> Self:
        """Build it from a stored order; reads its lines and the status of its email."""
        return cls._of(order, order.lines.all(), EmailOut.of(order.number))

    @classmethod
    def placed(cls, order: Order) -> Self:
        """Build it from an order placed in this transaction, without queries."""
        return cls._of(
            order, order.new_lines, EmailOut.recorded(order.recorded_at or order.placed_at)
        )

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
    """A page of orders, newest first; ``next`` is the address of the page with older ones, null at the end."""

    items: list[OrderSummaryOut]
    next: str | None


class TransactionOut(_Out):
    """A posted transaction; the account number shows only its last digits."""

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
        """Build it from a transaction; ``balance_cents`` is the account's balance after it."""
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
    """A page of an account's transactions, newest first; ``next`` is as in a page of orders."""

    items: list[TransactionOut]
    next: str | None


class FieldError(_Out):
    """An error in one field: a JSON ``pointer`` into the body, or the ``parameter`` of the address or the headers."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class ProblemOut(_Out):
    """Problem details (RFC 9457); ``code`` is for programs."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: Iterable[FieldError] = ()


def from_cents(cents: int) -> Decimal:
    """Turn 150 into 1.50."""
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
