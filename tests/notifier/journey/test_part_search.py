"""What the box does not find as a whole it looks for as a part, for those who may, at a bounded cost."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from notifier.journey import part_search
from orders.models import Order
from tests.support.builders import make_account, make_customer, make_order, make_transaction
from tests.support.rows import make_notification, staff

pytestmark = pytest.mark.django_db

SEARCH = reverse("search")


def titles(client, text):
    return {hit.title for hit in client.get(SEARCH, {"q": text}).context["hits"]}


@pytest.mark.parametrize(
    "text",
    [
        "Grace Hopper",
        "hopper",
        "GRACE",
        "Hopper grace",
        "corp.example",
        "@corp.example.net",
        "grace.h",
    ],
)
def test_a_name_a_part_and_a_domain_find_customer_account_order_and_email(admin_client, text):
    who = {"name": "Grace Hopper", "email": "grace.hopper@corp.example.net"}
    customer = make_customer(**who)
    account = make_account(holder_name=who["name"], holder_email=who["email"])
    order = make_order(customer_name=who["name"], customer_email=who["email"])
    email = make_notification(recipient=who["email"], subject="X-1")
    make_order()

    found = titles(admin_client, text)

    assert found == {str(customer), str(account), order.number, email.subject}


def test_the_first_digits_of_a_number_find_orders_and_transactions(admin_client):
    orders = [make_order() for _ in range(3)]
    posted = make_transaction()

    assert titles(admin_client, "ORD-00") == {order.number for order in orders}
    assert posted.reference in {hit.title for hit in part_search.hits("TXN-00").hits}
    assert posted.reference not in {hit.title for hit in part_search.hits("ORD-00").hits}


@pytest.mark.parametrize(
    ("digits", "found"),
    [
        ("0012", {"ORD-001200", "ORD-001299"}),
        ("12", {"ORD-120000", "ORD-1234567"}),
        ("1234567", {"ORD-1234567"}),
        ("012", set()),
    ],
)
def test_digits_are_those_that_a_number_begins_with(digits, found):
    order = make_order()
    for pk in (1200, 1299, 120000, 1234567, 21200):
        Order(
            **{
                field.attname: getattr(order, field.attname)
                for field in Order._meta.concrete_fields
            }
            | {"id": pk, "number": f"ORD-{pk:06d}", "idempotency_key": f"{pk:032x}"}
        ).save_base(force_insert=True)

    assert {hit.title for hit in part_search.hits(digits).hits} == found


@pytest.mark.parametrize(
    "text", ["", "ab", "a\nb", "x" * 400, "one two three four five six seven eight nine"]
)
def test_what_is_too_short_or_too_long_finds_nothing(text):
    make_customer(name="ab " * 20)

    assert part_search.hits(text).hits == ()


def test_a_search_among_many_rows_says_that_it_left_old_ones_out(admin_client, monkeypatch):
    monkeypatch.setattr(part_search, "SEARCHED", 2)
    old, *_ = [make_order(customer_name=name) for name in ("Grace Hopper", "Ada", "Ada Byron")]

    response = admin_client.get(SEARCH, {"q": "hopper"})
    found = admin_client.get(SEARCH, {"q": "byron"})

    assert response.context["hits"] == []
    assert "newest 2 rows" in response.content.decode()
    assert "newest 2 rows" in found.content.decode()


def test_a_search_that_finds_too_much_says_so(admin_client, monkeypatch):
    monkeypatch.setattr(part_search, "MAX_HITS", 1)
    make_order(customer_name="Grace Hopper")
    make_order(customer_name="Grace Hopper")

    page = admin_client.get(SEARCH, {"q": "hopper"}).content.decode()

    assert "There may be more" in page


@pytest.mark.parametrize("text", ["nobody-at-all", "ORD-999999"])
def test_where_nothing_is_found_the_lists_are_one_click_away(admin_client, text):
    page = admin_client.get(SEARCH, {"q": text}).content.decode()

    for model in ("emails_notification", "orders_order", "orders_customer"):
        assert f"{reverse(f'admin:{model}_changelist')}?q={text}" in page
    assert f"Orders containing “{text}”" in page


def test_masked_staff_are_offered_no_parts(client):
    make_order(customer_name="Grace Hopper")
    client.force_login(staff(role="auditor"))

    response = client.get(SEARCH, {"q": "Hopper"})

    assert response.context["hits"] == []
    assert "containing" not in response.content.decode()


def test_parts_of_rows_that_one_may_not_see_are_not_found(client):
    make_customer(name="Grace Hopper")
    client.force_login(
        staff("view_notification", "view_outboxevent", "view_deadletter", "view_pii")
    )

    assert titles(client, "Hopper") == set()


def test_an_address_leads_to_its_history(admin_client):
    make_order(customer_email="grace@example.org")
    make_customer(email="grace@example.org")

    page = admin_client.get(SEARCH, {"q": "grace@example.org"}).content.decode()

    assert f"{reverse('history')}?address=grace%40example.org" in page


def test_a_search_for_a_part_takes_a_few_queries():
    make_order()
    with CaptureQueriesContext(connection) as queries:
        part_search.hits("Hopper")

    assert len(queries) == 8
