"""Define the events of this app: the public contract with everybody who reads the queues.

Money is in whole cents. The consumer validates messages with the same models, so they refuse all data that no email
could be made of: an invalid message becomes a dead letter that says which field is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from django.core.exceptions import ValidationError
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    model_validator,
)
from pydantic_core import core_schema

from orders.money import Currency
from orders.validators import NOT_ONE_LINE, validate_name
from queues import addresses
from queues.events import locales
from queues.events.envelope import EventData
from queues.events.links import Url
from queues.events.stakes import StakeAt

MAX_LINES = 100
MAX_QUANTITY = 99


def _checked(validate: Callable[[str], None]) -> AfterValidator:
    """Turn a Django validator into a pydantic one, which refuses a text but never changes it."""

    def check(value: str) -> str:
        try:
            validate(value)
        except ValidationError as exc:
            raise ValueError(" ".join(exc.messages)) from exc
        return value

    return AfterValidator(check)


# All that validate_single_line refuses, for pydantic's own matcher, which takes a tenth of the time.
_NO_LINE = r"\x00-\x1f\x7f-\x9f\x{2028}-\x{202e}\x{2066}-\x{2069}\x{fdd0}-\x{fdef}" + "".join(
    rf"\x{{{plane:x}fffe}}\x{{{plane:x}ffff}}" for plane in range(0x11)
)


class _OneLine:
    """Refuses what ``validate_single_line`` refuses, in the same words."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        line = core_schema.custom_error_schema(
            core_schema.str_schema(pattern=f"^[^{_NO_LINE}]*$"),
            custom_error_type="not_one_line",
            custom_error_message=f"Value error, {NOT_ONE_LINE}",
        )
        return core_schema.chain_schema([handler(source), line])


checked_line = _OneLine()
checked_name = _checked(validate_name)
# The same rule for JSON Schema: no control characters, line ends, marks that change the direction of a text, or code
# points that are no characters.
CONTROL = r"\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff"
ONE_LINE = rf"^[^{CONTROL}]*$"
Line200 = Annotated[
    str, Field(max_length=200, json_schema_extra={"pattern": ONE_LINE}), checked_line
]
Name = Annotated[
    str, Field(min_length=1, max_length=200, json_schema_extra={"pattern": ONE_LINE}), checked_line
]
Short = Annotated[
    str, Field(min_length=1, max_length=50, json_schema_extra={"pattern": ONE_LINE}), checked_line
]
Email = Annotated[
    str,
    Field(max_length=254, json_schema_extra={"format": "email"}),
    _checked(addresses.validate),
]
# The customer's language (BCP 47), in any case; "" if nobody knows it.
Locale = Annotated[str, Field(max_length=locales.MAX_LENGTH, pattern=f"^({locales.TAG})?$")]
# Fits a signed 64-bit integer everywhere.
Cents = Annotated[int, Field(strict=True, ge=0, le=10**15)]
Quantity = Annotated[int, Field(strict=True, ge=1, le=MAX_QUANTITY)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Person(_Part):
    """The person who ordered or registered."""

    name: Name
    email: Email


class Address(_Part):
    """The shipping address of an order."""

    name: Name
    street: Name
    postal_code: Short
    city: Name
    country: Name


class Line(_Part):
    """One product of an order, with its name and price at that time."""

    sku: Short
    name: Name
    quantity: Quantity
    unit_price_cents: Cents
    total_cents: Cents

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.total_cents != self.quantity * self.unit_price_cents:
            raise ValueError("total_cents is not quantity times unit_price_cents")
        return self


class OrderPlaced(EventData, type="order.placed.v1", queue="orders", source="/orders"):
    """A customer placed an order, or staff placed it for them. The email is in the language of ``locale``."""

    stake_at = StakeAt("customer.email", amount_cents="total_cents", currency="currency")

    order_number: Short
    placed_at: AwareDatetime
    customer: Person
    shipping_address: Address
    lines: Annotated[tuple[Line, ...], Field(min_length=1, max_length=MAX_LINES)]
    total_cents: Cents
    currency: Currency
    order_url: Url
    locale: Locale = ""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.total_cents != sum(line.total_cents for line in self.lines):
            raise ValueError("total_cents is not the sum of the lines")
        return self


class Account(_Part):
    """The account of a transaction; only the last digits of its number leave the bank."""

    number_masked: Short
    holder_name: Name
    holder_email: Email


class TransactionPosted(
    EventData, type="transaction.posted.v1", queue="transactions", source="/bank"
):
    """Money came into or left an account; ``balance_cents`` is the balance after it."""

    stake_at = StakeAt("account.holder_email", amount_cents="amount_cents", currency="currency")

    reference: Short
    kind: Literal["deposit", "withdrawal"]
    amount_cents: Annotated[Cents, Field(gt=0)]
    currency: Currency
    balance_cents: Cents
    posted_at: AwareDatetime
    description: Line200
    account: Account
    locale: Locale = ""


class CustomerRegistered(
    EventData, type="customer.registered.v1", queue="orders", source="/customers"
):
    """A person registered, or asked for a new link, and should confirm the address with ``verify_url``."""

    stake_at = StakeAt("customer.email")

    customer: Person
    verify_url: Url
    expires_at: AwareDatetime
    locale: Locale = ""


class CustomerLinkRequested(
    EventData, type="customer.link_requested.v1", queue="orders", source="/customers"
):
    """A customer asked for a link to their orders; ``link_url`` shows them, once, to the person who opens it."""

    stake_at = StakeAt("customer.email")

    customer: Person
    link_url: Url
    expires_at: AwareDatetime
    locale: Locale = ""
