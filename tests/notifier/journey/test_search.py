"""One box finds everything by a whole number, address or id."""

from __future__ import annotations

import re
import uuid

import pytest
from django.db import connection
from django.urls import reverse

from emails.models import DeliveryEvent
from notifier.journey import search
from queues.models import HandlingFailure, OutboxEvent
from tests.support.builders import make_account, make_customer, make_order, make_transaction
from tests.support.rows import make_dead_letter, make_notification, make_outbox_event, staff

pytestmark = pytest.mark.django_db

SEARCH = reverse("search")


def timeline(event_id):
    return reverse("timeline", args=[event_id])


def event_of(subject):
    return OutboxEvent.objects.get(subject=subject).event_id


def addresses(text):
    return [hit.address for hit in search.hits(text)]


@pytest.mark.parametrize("write", [str, str.lower, lambda number: f"  {number} "])
def test_an_order_number_leads_straight_to_its_timeline(admin_client, write):
    order = make_order()
    make_order()

    response = admin_client.get(SEARCH, {"q": write(order.number)})

    assert response.url == timeline(event_of(order.number))


def test_a_transactions_reference_leads_straight_to_its_timeline(admin_client):
    posted = make_transaction()

    response = admin_client.get(SEARCH, {"q": posted.reference})

    assert response.url == timeline(event_of(posted.reference))


def test_a_bare_number_may_be_an_order_or_a_transaction():
    make_outbox_event(subject="ORD-000007")
    make_outbox_event(subject="TXN-000007")

    assert {hit.title for hit in search.hits("7")} == {"ORD-000007", "TXN-000007"}


def test_every_id_finds_its_event():
    event = make_outbox_event(sqs_message_id="message-1")
    notification = make_notification(event_id=event.event_id, provider_message_id="0100-ses-1")
    letter = make_dead_letter(event_id=event.event_id, sqs_message_id="message-2")
    HandlingFailure.objects.create(
        queue="orders", sqs_message_id="message-3", event_id=event.event_id, receive_count=1
    )
    make_dead_letter()

    for text in (
        str(event.event_id),
        str(event.event_id).replace("-", "").upper(),
        "message-1",
        "message-2",
        "message-3",
        "0100-ses-1",
        str(notification.pk),
        str(letter.pk),
    ):
        assert addresses(text) == [timeline(event.event_id)], text


def test_the_first_of_two_sent_emails_is_found_by_what_ses_reported_of_it():
    notification = make_notification(provider_message_id="second")
    DeliveryEvent.objects.create(
        provider_message_id="first",
        type="Send",
        happened_at="2026-11-22T10:00:00Z",
        raw={"mail": {"tags": {"nid": [str(notification.pk)]}}},
    )

    assert addresses("first") == [timeline(notification.event_id)]


@pytest.mark.parametrize("raw", [{}, {"mail": None}, {"mail": {"tags": {"nid": ["x", 1]}}}, []])
def test_a_report_of_somebody_elses_email_finds_nothing(raw):
    DeliveryEvent.objects.create(
        provider_message_id="first", type="Send", happened_at="2026-11-22T10:00:00Z", raw=raw
    )

    assert addresses("first") == []


@pytest.mark.parametrize("address", ["grace@example.org", "Grace@Example.ORG"])
def test_an_address_finds_customer_account_orders_and_emails(admin_client, address):
    customer = make_customer(email="Grace@example.org")
    account = make_account(holder_email="grace@Example.org")
    order = make_order(customer_email="GRACE@example.org")
    email = make_notification(recipient="grace@example.org", subject="X-1")
    make_order()

    response = admin_client.get(SEARCH, {"q": address})

    assert {hit.address for hit in response.context["hits"]} == {
        reverse("admin:orders_customer_change", args=[customer.pk]),
        reverse("admin:orders_bankaccount_change", args=[account.pk]),
        timeline(event_of(order.number)),
        timeline(email.event_id),
    }


def test_an_order_and_its_email_are_one_hit():
    order = make_order(customer_email="grace@example.org")
    make_notification(
        event_id=event_of(order.number), recipient="grace@example.org", subject=order.number
    )

    [hit] = search.hits("grace@example.org")

    assert hit.told == "email to grace@example.org: in doubt"


def test_garbage_without_an_event_id_is_found_by_its_message_id():
    letter = make_dead_letter(event_id=None, sqs_message_id="m-1")

    assert addresses("m-1") == [reverse("admin:queues_deadletter_change", args=[letter.pk])]


def test_an_order_whose_events_are_deleted_is_found_itself():
    order = make_order()
    OutboxEvent.objects.all().delete()

    assert addresses(order.number) == [reverse("admin:orders_order_change", args=[order.pk])]


def test_nothing_found_says_what_can_be_searched_for(admin_client):
    page = admin_client.get(SEARCH, {"q": "ORD-999999"}).content.decode()

    assert "No results for “ORD-999999”." in page
    assert "the reference of a transaction" in page


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x" * 10_000,
        "🦆",
        "a\nb",
        "'; drop table",
        "<script>",
        "%",
        "9" * 400,
        "@",
        "\ud800",
    ],
)
def test_rubbish_is_answered_politely(admin_client, text):
    response = admin_client.get(SEARCH, {"q": text.encode("utf-8", "surrogatepass")})

    assert response.status_code == 200
    assert "What you can search for" in response.content.decode()


def test_a_nul_is_not_found(admin_client):
    assert admin_client.get(SEARCH, {"q": "a\0b"}).status_code == 404


def test_searching_takes_the_right_to_see_timelines(client):
    client.force_login(staff("view_notification"))

    assert client.get(SEARCH, {"q": "ORD-000001"}).status_code == 403
    page = client.get(reverse("admin:index")).content.decode()
    assert 'role="search"' not in page
    assert f'href="{SEARCH}"' not in page


def test_a_customer_is_no_hit_for_those_who_may_not_see_customers(client):
    make_customer(email="grace@example.org")
    client.force_login(
        staff("view_notification", "view_outboxevent", "view_deadletter", "view_pii")
    )

    assert client.get(SEARCH, {"q": "grace@example.org"}).context["hits"] == []


def test_the_box_is_on_every_page_of_the_admin_once(admin_client):
    order = make_order()
    pages = (
        "admin:index",
        "admin:queues_deadletter_changelist",
        "admin:orders_order_add",
        "search",
    )
    for address in [*map(reverse, pages), reverse("admin:orders_order_change", args=[order.pk])]:
        page = admin_client.get(address).content.decode()

        assert page.count("data-search-box") == 1, address


@pytest.mark.locking
@pytest.mark.parametrize(
    "text", ["ORD-000001", "7", "grace@example.org", str(uuid.UUID(int=7)), "m-1"]
)
def test_no_search_reads_a_whole_table(text):
    asked = []

    def note(execute, sql, params, many, context):
        asked.append((sql, params))
        return execute(sql, params, many, context)

    make_order()
    with connection.execute_wrapper(note):
        search.hits(text)

    assert asked
    assert len(asked) <= 20
    with connection.cursor() as cursor:
        for sql, params in asked:
            if connection.vendor == "postgresql":
                cursor.execute("SET LOCAL enable_seqscan = off")
            explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
            cursor.execute(f"{explain} {sql}", params)
            plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
            assert not re.search(r"(?m)^SCAN (?!\d|CONSTANT)|Seq Scan", plan), f"{sql}\n{plan}"
