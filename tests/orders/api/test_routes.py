"""The JSON API: place an order, read it with its email's fate, post a transaction, read an account's."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest
from django.urls import reverse

from orders.models import Order, Transaction
from queues.models import OutboxEvent
from tests.support.api import ADA, EVE, ApiClient, access_token, id_token, order
from tests.support.builders import (
    make_account,
    make_customer,
    make_order,
    make_product,
    make_transaction,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def product():
    return make_product(sku="MUG-1", name="Mug")


@pytest.fixture
def bank():
    return ApiClient(access_token("transactions:write", "transactions:read"))


def deposit(account, **changes):
    return {"account": account.number, "kind": "deposit", "amount_cents": 15000} | changes


def test_order_is_placed_with_its_event_for_whom_the_token_names(ada, product):
    customer = make_customer(email=ADA)

    answer = ada.post("/orders", order("MUG-1"))

    placed = Order.objects.get()
    assert answer.status_code == 201, answer.content
    assert answer["Location"] == f"/api/v1/orders/{placed.number}"
    assert (placed.customer, placed.customer_email, placed.customer_name) == (
        customer,
        ADA,
        "Ada Lovelace",
    )
    assert OutboxEvent.objects.get().subject == placed.number


def test_answer_is_the_order_in_cents(ada, product):
    answer = ada.post("/orders", order("MUG-1")).json()

    placed = Order.objects.get()
    assert answer["placed_at"] == placed.placed_at.isoformat().replace("+00:00", "Z")
    assert answer | {"placed_at": "", "email": ""} == {
        "number": placed.number,
        "placed_at": "",
        "total_cents": 2500,
        "currency": "USD",
        "customer": {"name": "Ada Lovelace", "email": ADA},
        "shipping_address": order("MUG-1")["shipping_address"],
        "lines": [
            {
                "sku": "MUG-1",
                "name": "Mug",
                "quantity": 2,
                "unit_price_cents": 1250,
                "total_cents": 2500,
            }
        ],
        "email": "",
    }


def test_order_names_the_language_of_its_customer(ada, product):
    ada.post("/orders", order("MUG-1", locale="DE-at"))

    assert Order.objects.get().locale == "de-AT"
    assert json.loads(OutboxEvent.objects.get().body)["data"]["locale"] == "de-AT"


def test_order_without_a_language_is_in_that_of_a_known_customer(ada, product):
    make_customer(email=ADA, locale="de")

    ada.post("/orders", order("MUG-1"))

    assert Order.objects.get().locale == "de"


@pytest.mark.parametrize("locale", ["German", "de_AT", 7, None])
def test_language_that_is_none_is_refused(locale, ada, product):
    answer = ada.post("/orders", order("MUG-1", locale=locale))

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "#/locale"


def test_order_is_read_with_the_fate_of_its_email(ada, product, aws, consume):
    aws.verify(ADA)
    placed = ada.post("/orders", order("MUG-1"))
    before = placed.json()["email"]

    consume("orders")

    after = ada.get(placed["Location"].removeprefix("/api/v1")).json()["email"]
    assert (before["status"], after["status"]) == ("recorded", "sent")
    assert after["message"] == "Sent. It should reach your inbox any moment."
    assert [(step["name"], step["state"]) for step in after["steps"]] == [
        ("recorded", "done"),
        ("queued", "done"),
        ("sent", "done"),
        ("delivered", "now"),
    ]
    assert len(aws.accepted) == 1


def test_own_orders_are_listed_page_by_page(ada, product):
    make_order()
    numbers = [ada.post("/orders", order("MUG-1")).json()["number"] for _ in range(5)]
    ApiClient(id_token(EVE)).post("/orders", order("MUG-1"))

    seen, address = [], "/orders?limit=2"
    while address:
        page = ada.get(address).json()
        seen.append([item["number"] for item in page["items"]])
        address = (page["next"] or "").removeprefix("/api/v1")

    assert seen == [numbers[4:2:-1], numbers[2:0:-1], numbers[:1]]


def test_transaction_is_posted_with_its_event(bank):
    account = make_account(balance=Decimal("10.00"))

    answer = bank.post("/transactions", deposit(account, description="Salary"))

    posted = Transaction.objects.get()
    assert answer.status_code == 201, answer.content
    assert answer.json() | {"posted_at": ""} == {
        "reference": posted.reference,
        "account_number_masked": account.number_masked,
        "kind": "deposit",
        "amount_cents": 15000,
        "currency": "USD",
        "balance_cents": 16000,
        "description": "Salary",
        "posted_at": "",
    }
    assert OutboxEvent.objects.get().subject == posted.reference


def test_transactions_of_an_account_are_read_page_by_page(bank):
    account = make_account()
    references = [make_transaction(account=account).reference for _ in range(3)]
    make_transaction()

    first = bank.get(f"/accounts/{account.number}/transactions", limit=2).json()
    second = bank.get(first["next"].removeprefix("/api/v1")).json()

    pages = [[item["reference"] for item in page["items"]] for page in (first, second)]
    assert pages == [references[:0:-1], references[:1]]
    assert second["next"] is None


def test_order_is_read_as_it_was_answered(ada, product):
    placed = ada.post("/orders", order("MUG-1"))

    read = ada.get(placed["Location"].removeprefix("/api/v1")).json()
    # Its event was recorded a moment after it was placed.
    assert read["email"]["steps"][0].pop("at") and placed.json()["email"]["steps"][0]["at"]
    expected = placed.json()
    expected["email"]["steps"][0].pop("at")
    assert read == expected


def test_order_takes_few_queries(ada, product, django_assert_max_num_queries):
    with django_assert_max_num_queries(16):
        ada.post("/orders", order("MUG-1"), key="k")


def test_documentation_needs_no_other_server(client):
    page = client.get("/api/v1/docs").text

    assert "swagger-ui-bundle.js" in page
    assert not re.search(r'(src|href)="(https?:)?//', page)
    # The document is in the page, so that no spinner waits for it.
    assert '"openapi": "3.1.0"' in page
    assert client.get(reverse("api:openapi-json")).status_code == 200


def test_order_whose_texts_fit_into_no_event_is_refused_in_words(ada):
    # 200 characters of four bytes each, a hundred times: more than the 64 KiB of an event.
    make_product(sku="LONG", name="𝕏" * 200)
    body = order("LONG")
    body["lines"] = [body["lines"][0] | {"quantity": 1}] * 100

    answer = ada.post("/orders", body)

    assert (answer.status_code, answer.json()["code"]) == (422, "order_too_large")
    assert answer["Content-Type"] == "application/problem+json"
    assert "split it into several orders" in answer.json()["detail"]
    assert not Order.objects.exists()
    assert not OutboxEvent.objects.exists()


def test_recorded_is_the_same_time_in_the_answer_and_later(ada, product):
    placed = ada.post("/orders", order("MUG-1")).json()

    later = ada.get(f"/orders/{placed['number']}").json()

    assert placed["email"]["steps"][0] == later["email"]["steps"][0]
    assert placed["email"]["steps"][0]["at"]
