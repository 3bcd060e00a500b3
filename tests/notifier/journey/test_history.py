"""The history of an address has all that happened to a customer, whether or not they registered, newest first."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from emails.models import DeliveryEvent, Notification
from queues.models import OutboxEvent
from tests.support.builders import make_account, make_customer, make_order, make_transaction
from tests.support.rows import make_notification, make_suppression, staff

pytestmark = pytest.mark.django_db

HISTORY = reverse("history")
GRACE = "grace@example.org"


def everything():
    """One row of each kind that a customer leaves; the email bounced."""
    customer = make_customer(email="Grace@Example.org", email_verified_at=timezone.now())
    order = make_order(customer_email=GRACE)
    posted = make_transaction(account=make_account(holder_email="GRACE@example.org"))
    event_id = OutboxEvent.objects.get(subject=order.number).event_id
    email = make_notification(
        event_id=event_id,
        subject=order.number,
        recipient=GRACE,
        state="sent",
        delivery_status="bounced_hard",
        provider_message_id="m-1",
    )
    DeliveryEvent.objects.create(
        provider_message_id="m-1", type="Send", happened_at=timezone.now(), raw={}
    )
    make_suppression(address=GRACE, state="lifted", lifted_at=timezone.now())
    return customer, order, posted, email


def rows(client, address=GRACE, page=HISTORY):
    """What each row says happened, from the top."""
    [section] = client.get(page, {"address": address}).context["sections"]
    return section.rows


def titles(found):
    return [str(row[1]).partition(">")[2].partition("<")[0] for row in found]


@pytest.mark.parametrize("address", [GRACE, "GRACE@EXAMPLE.ORG", f" {GRACE} "])
def test_an_address_in_any_spelling_has_its_whole_history(admin_client, address):
    customer, order, posted, _ = everything()
    make_order(customer_email="ada@example.com")
    make_notification(recipient="ada@example.com")

    found = titles(rows(admin_client, address))

    assert set(found) == {
        "Registered",
        "Confirmed the address",
        f"Order {order.number}",
        f"Deposit {posted.reference}",
        f"Email: Order confirmation {order.number}",
        f"SES event: {order.number}",
        "Suppressed",
        "Suppression lifted",
    }
    assert len(found) == 8


def test_the_newest_comes_first(admin_client):
    everything()
    late = make_order(customer_email=GRACE)

    assert titles(rows(admin_client))[0] == f"Order {late.number}"


def test_each_row_leads_to_its_page_and_says_its_outcome(admin_client):
    customer, order, _, email = everything()

    page = admin_client.get(HISTORY, {"address": GRACE}).content.decode()

    for address in (
        reverse("timeline", args=[email.event_id]),
        reverse("admin:orders_order_change", args=[order.pk]),
        reverse("admin:orders_customer_change", args=[customer.pk]),
    ):
        assert f'href="{address}"' in page
    assert page.count("Hard bounce") >= 2


@pytest.mark.parametrize("model", ["customer", "bankaccount"])
def test_the_page_of_a_customer_is_their_history(admin_client, model):
    customer, order, posted, _ = everything()
    pk = customer.pk if model == "customer" else posted.account_id

    page = reverse(f"admin:orders_{model}_change", args=[pk])
    found = titles(rows(admin_client, page=page))

    assert f"Order {order.number}" in found
    assert f"Deposit {posted.reference}" in found


def test_an_order_leads_to_the_history_of_its_customer(admin_client):
    order = make_order(customer_email=GRACE)

    page = admin_client.get(reverse("admin:orders_order_change", args=[order.pk])).content.decode()

    assert f"{HISTORY}?address=grace%40example.org" in page


@pytest.mark.parametrize("address", ["", "nobody@example.com", "x" * 500, "a\nb"])
def test_an_unknown_address_is_answered_politely(admin_client, address):
    assert admin_client.get(HISTORY, {"address": address}).status_code == 200


def test_staff_see_only_the_kinds_that_they_may_see(client):
    everything()
    client.force_login(
        staff("view_outboxevent", "view_deadletter", "view_notification", "view_pii")
    )

    assert [title.partition(":")[0] for title in titles(rows(client))] == ["Email"]


def test_nobody_without_the_right_to_personal_data_sees_a_history(client):
    everything()
    group = Group.objects.get(name="support")
    group.permissions.remove(*group.permissions.filter(codename="view_pii"))
    client.force_login(staff(role="support"))

    assert client.get(HISTORY, {"address": GRACE}).status_code == 403


def test_a_longer_history_takes_no_more_queries(admin_client):
    def count():
        with CaptureQueriesContext(connection) as queries:
            admin_client.get(HISTORY, {"address": GRACE})
        return len(queries)

    everything()
    few = count()
    for _ in range(4):
        number = make_order(customer_email=GRACE).number
        make_notification(subject=number, recipient=GRACE, provider_message_id=f"m-{number}")

    assert count() <= few + 2


def test_a_very_long_history_is_cut_and_says_so(admin_client, monkeypatch):
    monkeypatch.setattr("notifier.journey.history.MAX_ROWS", 3)
    for _ in range(4):
        make_notification(recipient=GRACE, state=Notification.State.SENT)

    [section] = admin_client.get(HISTORY, {"address": GRACE}).context["sections"]

    assert len(section.rows) == 3
    assert "the last 3" in section.title
