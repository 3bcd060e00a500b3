"""The events that orders states: their exact payloads, and what their models refuse."""

from __future__ import annotations

import json
from copy import deepcopy
from decimal import Decimal
from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from orders import services
from orders.events import checked_line
from orders.models import Customer
from queues.errors import BadData
from queues.events.envelope import Event
from queues.models import OutboxEvent
from tests.support.builders import (
    make_account,
    make_customer,
    make_order,
    make_product,
    make_transaction,
)

pytestmark = pytest.mark.django_db

_one_line: TypeAdapter[str] = TypeAdapter(Annotated[str, checked_line])


def _envelope():
    return json.loads(OutboxEvent.objects.get().body)


def test_order_placed_holds_all_that_an_email_needs():
    product = make_product(sku="MUG-01", name="Mug", price=Decimal("12.50"))
    order = make_order(lines=[(product, 2)])

    envelope = _envelope()

    assert envelope["source"] == "/orders"
    assert envelope["data"] == {
        "order_number": order.number,
        "placed_at": order.placed_at.isoformat().replace("+00:00", "Z"),
        "customer": {"name": "Ada Lovelace", "email": "ada@example.com"},
        "shipping_address": {
            "name": "Ada Lovelace",
            "street": "12 St James's Square",
            "postal_code": "SW1Y 4JH",
            "city": "London",
            "country": "United Kingdom",
        },
        "lines": [
            {
                "sku": "MUG-01",
                "name": "Mug",
                "quantity": 2,
                "unit_price_cents": 1250,
                "total_cents": 2500,
            }
        ],
        "total_cents": 2500,
        "currency": "USD",
        "order_url": f"http://testserver{order.get_signed_url()}",
        "locale": "",
    }


def test_transaction_posted_shows_the_last_digits_of_the_account_only():
    account = make_account(number="US100200304821", currency="EUR")
    posted = make_transaction(account=account, description="Salary")

    envelope = _envelope()

    assert envelope["source"] == "/bank"
    assert envelope["data"] == {
        "reference": posted.reference,
        "kind": "deposit",
        "amount_cents": 15000,
        "currency": "EUR",
        "balance_cents": 15000,
        "posted_at": posted.posted_at.isoformat().replace("+00:00", "Z"),
        "description": "Salary",
        "account": {
            "number_masked": "•••• 4821",
            "holder_name": "Ada Lovelace",
            "holder_email": "ada@example.com",
        },
        "locale": "",
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["locale"], "German"),
        (["locale"], "de_AT"),
        (["locale"], "de\n"),
        (["locale"], "de-" + "x" * 33),
        (["locale"], None),
        (["order_number"], ""),
        (["order_number"], 7),
        (["placed_at"], "yesterday"),
        (["placed_at"], "2026-11-22T10:00:00"),
        (["customer", "email"], "ada@example.com, eve@example.com"),
        (["customer", "email"], "ada@example.com\r\nBcc: eve@example.com"),
        (["customer", "email"], '"a,b"@example.com'),
        (["customer", "email"], "kelvin\u212a@example.com"),
        (["customer", "name"], "A\r\nB"),
        (["customer", "name"], "A" * 201),
        (["customer"], None),
        (["lines"], []),
        (["lines", 0, "quantity"], 0),
        (["lines", 0, "quantity"], 100),
        (["lines", 0, "quantity"], "2"),
        (["lines", 0, "unit_price_cents"], -1),
        (["lines", 0, "unit_price_cents"], 12.5),
        (["lines", 0, "total_cents"], 2499),
        (["total_cents"], 2499),
        (["currency"], "BTC"),
        (["order_url"], "javascript:alert(1)"),
    ],
)
def test_rubbish_names_its_field(path, value):
    make_order()
    envelope = deepcopy(_envelope())
    place = envelope["data"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value

    with pytest.raises(BadData) as refused:
        Event.from_json(json.dumps(envelope))

    assert "data does not fit order.placed.v1" in str(refused.value)


def test_missing_field_is_named():
    make_transaction()
    envelope = _envelope()
    del envelope["data"]["account"]["holder_email"]

    with pytest.raises(BadData, match="account.holder_email: Field required"):
        Event.from_json(json.dumps(envelope))


def test_transaction_and_links_are_in_the_language_that_is_known():
    make_transaction(account=make_account(locale="ar-EG"))
    customer = make_customer(locale="de")
    services.resend_verification(customer)
    customer.confirm_email()
    Customer.objects.update(verification_sent_at=None)
    services.request_sign_in(customer.email, locale="en")

    events = [json.loads(body) for body in OutboxEvent.objects.values_list("body", flat=True)]

    assert {event["type"]: event["data"]["locale"] for event in events} == {
        "transaction.posted.v1": "ar-EG",
        "customer.registered.v1": "de",
        "customer.link_requested.v1": "en",
    }


@pytest.mark.parametrize("locale", ["de", "DE-at", "zh-Hant-TW", "de-CH-1996-u-co-phonebk", ""])
def test_language_of_another_producer_may_be_in_any_case(locale):
    make_order()
    envelope = _envelope()
    envelope["data"]["locale"] = locale

    assert Event.from_json(json.dumps(envelope)).data["locale"] == locale


def test_event_of_an_earlier_release_names_no_language():
    make_order()
    envelope = _envelope()
    del envelope["data"]["locale"]

    assert Event.from_json(json.dumps(envelope)).data["locale"] == ""


def _is_refused(text):
    try:
        _one_line.validate_python(text)
    except ValidationError:
        return True
    return False


def test_one_line_refuses_exactly_these_characters():
    blocks = [range(start, start + 256) for start in range(0, 0x110000, 256)]
    blocks = [block for block in blocks if not 0xD800 <= block.start <= 0xDFFF]
    odd = [block for block in blocks if _is_refused("".join(map(chr, block)))]

    refused = {code for block in odd for code in block if _is_refused(f"a{chr(code)}b")}

    assert refused == {
        *range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A), *range(0xFDD0, 0xFDF0),
        *(plane + last for plane in range(0, 0x110000, 0x10000) for last in (0xFFFE, 0xFFFF)),
    }  # fmt: skip


@pytest.mark.parametrize("text", ["a\n", "\na", "\n", "a\u2028b", "a\0"])
def test_text_of_two_lines_is_refused_in_a_sentence(text):
    with pytest.raises(ValidationError, match="Value error, Enter one line of text, without"):
        _one_line.validate_python(text)
