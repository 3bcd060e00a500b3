"""What is at stake can be read as far as it is there, whatever else is wrong with the event."""

import json

import pytest
from django.urls import reverse

from queues.events import envelope
from queues.events.stakes import Stake
from tests.support.dead_letters import make_dead_letter, placed

ADA = Stake.of_address("ada@example.com").customer
ODD = [None, 7, -1, 1.5, True, "x", "", [], {}, ["ada@example.com"], {"email": 1}, 10**400, "a\0b"]


def body(*, without=(), data=None, **fields):
    """An order of 12.50 EUR that no email can be made of: its lines do not add up."""
    raw = json.loads(placed(email="ada@example.com").to_json()) | fields
    raw["data"] = raw["data"] | {"total_cents": 1250, "currency": "EUR"} | (data or {})
    for name in without:
        del raw["data"][name]
    return json.dumps(raw)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "stake"),
    [
        (body(), Stake(ADA, 1250, "EUR")),
        (body(without=["lines", "shipping_address", "order_url"]), Stake(ADA, 1250, "EUR")),
        (body(time="yesterday", id="x", specversion="9"), Stake(ADA, 1250, "EUR")),
        (body(data={"customer": {"email": "Ada@Example.com"}}), Stake(ADA, 1250, "EUR")),
        (body(data={"order_number": "a\0b\ud800"}), Stake(ADA, 1250, "EUR")),
        (body(without=["total_cents"]), Stake(ADA)),
        (body(without=["currency"]), Stake(ADA)),
        (body(without=["customer"]), Stake("", 1250, "EUR")),
        (body(without=["customer", "currency"]), None),
        (body(type="order.placed.v9"), None),
        (body(type=["order.placed.v1"]), None),
        ("[]", None),
        ("", None),
        ("[" * 5000, None),
    ],
)
def test_what_can_be_read_is_at_stake(text, stake):
    assert envelope.stake(text) == stake


@pytest.mark.django_db
@pytest.mark.parametrize("odd", ODD)
def test_field_of_another_type_hides_only_itself(odd):
    for name in ("customer", "total_cents", "currency"):
        found = envelope.stake(body(data={name: odd}))

        money = (1250, "EUR") if name == "customer" else (None, "")
        if name == "total_cents" and odd == 7:
            money = (7, "EUR")
        assert found is not None
        assert (found.amount_cents, found.currency) == money
        assert found.customer == ("" if name == "customer" else ADA)
    assert envelope.stake(json.dumps({"type": "order.placed.v1", "data": odd})) is None


@pytest.mark.django_db
def test_data_of_a_dead_letter_is_at_stake_though_its_model_refuses_it(admin_client):
    letter = make_dead_letter(body=body(), code="BadData")
    unpriced = make_dead_letter(body=body(data={"total_cents": "12.50"}), code="BadData")

    pages = [
        admin_client.get(reverse("admin:queues_deadletter_change", args=[each.pk])).content.decode()
        for each in (letter, unpriced)
    ]

    assert "€12.50" in pages[0]
    assert "unknown" in pages[1]
