"""Orders, transactions, customers and accounts say what happened to their email, in a few queries for a page."""

from __future__ import annotations

import re
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from emails.models import Notification
from queues.models import OutboxEvent
from tests.support.builders import make_account, make_customer, make_order, make_transaction
from tests.support.rows import make_dead_letter, make_notification

pytestmark = pytest.mark.django_db

# Ids sort by time, but not within one millisecond.
OLDEST = uuid.UUID(int=1)
State = Notification.State
Delivery = Notification.Delivery


def event_of(subject):
    return OutboxEvent.objects.get(subject=subject).event_id


def make_email(subject, **fields):
    return make_notification(subject=subject, event_id=event_of(subject), **fields)


def told(client, model):
    """What the list says of the email of each row, from the top."""
    page = client.get(reverse(f"admin:orders_{model}_changelist")).content.decode()
    cells = re.findall(r"<td[^>]*field-email_outcome[^>]*>(.*?)</td>", page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in cells]


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"state": State.SENT}, "Sent"),
        ({"state": State.SENT, "delivery_status": Delivery.DELIVERED}, "Delivered"),
        ({"state": State.SENT, "delivery_status": Delivery.BOUNCED_HARD}, "Hard bounce"),
        ({"state": State.SENT, "delivery_status": Delivery.SUPPRESSED}, "Not tried by SES"),
        ({"state": State.PENDING}, "Pending"),
        ({"state": State.FAILED}, "Failed"),
        ({"state": State.IN_DOUBT}, "In doubt"),
    ],
)
def test_an_order_says_what_happened_to_its_email(admin_client, fields, label):
    order = make_order()
    make_email(order.number, **fields)

    assert told(admin_client, "order") == [label]


@pytest.mark.parametrize("state", [*State])
@pytest.mark.parametrize("status", [*Delivery])
def test_no_state_of_an_email_is_without_a_word(admin_client, state, status):
    order = make_order()
    make_email(order.number, state=state, delivery_status=status)

    assert told(admin_client, "order") not in ([""], ["—"])


@pytest.mark.parametrize("state", [State.PENDING, State.FAILED])
def test_a_dead_email_is_never_called_waiting(admin_client, state):
    order = make_order()
    email = make_email(order.number, state=state)
    make_dead_letter(event_id=email.event_id, subject=order.number)

    assert told(admin_client, "order") == ["Dead letter"]


def test_an_order_without_an_email_says_where_its_event_is(admin_client):
    dead, waiting = make_order(), make_order()
    make_dead_letter(event_id=event_of(dead.number), subject=dead.number)

    assert told(admin_client, "order") == ["Pending", "Dead letter"]
    OutboxEvent.objects.filter(subject=waiting.number).update(state=OutboxEvent.State.REFUSED)
    assert told(admin_client, "order") == ["Refused by SQS", "Dead letter"]


def test_a_message_that_names_an_order_of_ours_does_not_speak_for_it(admin_client):
    order = make_order()
    make_email(order.number, state=State.SENT, delivery_status=Delivery.DELIVERED)
    make_notification(subject=order.number, state=State.FAILED)

    assert told(admin_client, "order") == ["Delivered"]


def test_an_email_that_was_sent_to_a_corrected_address_counts(admin_client):
    order = make_order()
    make_email(order.number, id=OLDEST, state=State.SENT, delivery_status=Delivery.BOUNCED_HARD)
    make_email(order.number, recipient="right@example.com", state=State.SENT)

    assert told(admin_client, "order") == ["Sent"]


def test_an_email_that_a_correction_withdrew_does_not_count(admin_client):
    order = make_order()
    make_email(order.number, id=OLDEST, recipient="right@example.com", state=State.SENT)
    make_email(order.number, state=State.CANCELLED, reason_code="Corrected")

    assert told(admin_client, "order") == ["Sent"]


def test_an_order_whose_events_are_deleted_still_tells_of_its_email(admin_client):
    order = make_order()
    make_email(order.number, state=State.SENT)
    OutboxEvent.objects.all().delete()

    assert told(admin_client, "order") == ["Sent"]


def test_a_transaction_says_what_happened_to_its_alert(admin_client):
    posted = make_transaction()
    make_email(posted.reference, state=State.SENT, delivery_status=Delivery.DELIVERED)

    assert told(admin_client, "transaction") == ["Delivered"]


@pytest.mark.parametrize(
    "address", ["grace@example.com", "Grace@Example.com", "grace@bücher.example"]
)
@pytest.mark.parametrize(
    ("model", "make", "field"),
    [("customer", make_customer, "email"), ("bankaccount", make_account, "holder_email")],
)
def test_people_show_the_newest_email_to_their_address(admin_client, model, make, field, address):
    make(**{field: address})
    make_notification(id=OLDEST, recipient=address, state=State.FAILED)
    make_notification(
        recipient=address.lower(), state=State.SENT, delivery_status=Delivery.DELIVERED
    )
    make_notification(recipient="other@example.com", state=State.FAILED)

    assert told(admin_client, model) == ["Delivered"]


def test_without_any_email_the_column_is_empty(admin_client):
    make_customer()

    assert told(admin_client, "customer") == ["—"]


@pytest.mark.parametrize(
    ("model", "make"),
    [
        ("order", make_order),
        ("transaction", make_transaction),
        ("customer", make_customer),
        ("bankaccount", make_account),
    ],
)
def test_a_longer_list_takes_no_more_queries(admin_client, model, make):
    def count():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            admin_client.get(reverse(f"admin:orders_{model}_changelist"))
        return len(queries)

    row = make()
    address = getattr(row, "email", None) or "ada@example.com"
    make_notification(subject=str(row), recipient=address)
    few = count()
    for _ in range(5):
        make_notification(subject=str(make()), recipient=address)

    assert count() == few


@pytest.mark.parametrize(
    ("model", "make"),
    [
        ("order", make_order),
        ("transaction", make_transaction),
        ("customer", make_customer),
        ("bankaccount", make_account),
    ],
)
def test_the_page_of_a_row_says_the_same(admin_client, model, make):
    row = make(**({"email": "ada@example.com"} if model == "customer" else {}))
    subject = {"order": "number", "transaction": "reference"}.get(model)
    event_id = {"event_id": event_of(getattr(row, subject))} if subject else {}
    email = make_notification(
        subject=getattr(row, subject) if subject else "",
        recipient="ada@example.com",
        state=State.SENT,
        delivery_status=Delivery.BOUNCED_HARD,
        **event_id,
    )

    page = admin_client.get(reverse(f"admin:orders_{model}_change", args=[row.pk])).content.decode()

    assert "Hard bounce" in page
    assert reverse("timeline", args=[email.event_id]) in page


@pytest.mark.parametrize("model", ["order", "transaction", "customer", "bankaccount"])
def test_a_page_to_add_a_row_tells_of_no_email(admin_client, model):
    page = admin_client.get(reverse(f"admin:orders_{model}_add"))

    assert page.status_code == 200
