"""A large list looks for parts in its newest rows only, and for whole numbers and addresses in all."""

from __future__ import annotations

import pytest
from django.urls import reverse

from orders.pages import personal
from tests.support.builders import make_account, make_customer, make_order, make_transaction

pytestmark = pytest.mark.django_db


@pytest.fixture
def one_row_is_searched(monkeypatch):
    monkeypatch.setattr(personal, "SEARCHED", 1)


def found(client, model, text):
    changelist = client.get(reverse(f"admin:orders_{model}_changelist"), {"q": text}).context["cl"]
    return [row.pk for row in changelist.result_list]


ROWS = [
    ("order", make_order, "customer_email", "customer_name", "number"),
    ("customer", make_customer, "email", "name", None),
    ("bankaccount", make_account, "holder_email", "holder_name", "number"),
]


@pytest.mark.parametrize(("model", "make", "email", "name", "number"), ROWS)
def test_a_part_finds_the_newest_rows_and_says_so(
    admin_client, one_row_is_searched, model, make, email, name, number
):
    make(**{name: "Grace Old", email: "old@example.org"})
    new = make(**{name: "Grace New", email: "new@example.org"})

    assert found(admin_client, model, "grace") == [new.pk]
    page = admin_client.get(reverse(f"admin:orders_{model}_changelist"), {"q": "grace"})
    assert "Parts were looked for in the newest" in page.content.decode()


@pytest.mark.parametrize(("model", "make", "email", "name", "number"), ROWS)
def test_a_whole_address_or_number_finds_old_rows(
    admin_client, one_row_is_searched, model, make, email, name, number
):
    old = make(**{name: "Grace Old", email: "old@example.org"})
    make(**{email: "new@example.org"})

    assert found(admin_client, model, "OLD@example.org") == [old.pk]
    if number:
        assert found(admin_client, model, getattr(old, number).lower()) == [old.pk]


def test_an_old_transaction_is_found_by_its_holder(admin_client, one_row_is_searched):
    old = make_transaction(account=make_account(holder_email="old@example.org"))
    make_transaction()

    assert found(admin_client, "transaction", "old@example.org") == [old.pk]
    assert found(admin_client, "transaction", old.reference) == [old.pk]


def test_a_filter_holds_for_what_is_found_as_a_whole(admin_client, one_row_is_searched):
    old = make_order(customer_email="old@example.org")
    make_order()
    address = reverse("admin:orders_order_changelist")

    rows = admin_client.get(address, {"q": old.number, "currency__exact": "EUR"}).context["cl"]

    assert list(rows.result_list) == []


def test_a_small_list_is_searched_whole(admin_client):
    old = make_order(customer_name="Grace Old")
    make_order()

    assert found(admin_client, "order", "grace") == [old.pk]
    page = admin_client.get(reverse("admin:orders_order_changelist"), {"q": "grace"})
    assert "Parts were looked for" not in page.content.decode()
