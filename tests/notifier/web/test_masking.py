"""No name, address or amount reaches staff who may look but not know."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.urls import get_resolver, reverse

from emails.models import DeliveryEvent, Notification, Suppression
from emails.reports import feedback
from emails.reputation import suppressions
from notifier.monitoring.log_lines import MaskingFormatter
from queues import masking
from queues.aws import sqs
from queues.dead_letters import collecting
from queues.dead_letters.causes import key_of
from queues.models import DeadLetter, HandlingFailure, OutboxEvent
from tests.support.builders import make_account, make_order, make_product, make_transaction
from tests.support.rows import make_dead_letter, make_notification, make_outbox_event, staff

pytestmark = pytest.mark.django_db

ADDRESS = "canary-7f3@nest.example"
NAME = "Canary Quillfeather"
AMOUNT = Decimal("77713.37")
# As they are written in data, in emails and on pages.
CANARIES = ("canary-7f3", "Quillfeather", "77713.37", "77,713.37", "7771337")


@pytest.fixture
def everything(aws, consume, refuses):
    """A canary's order that was sent, another that died, a transaction, and what SES said of them."""
    aws.verify(ADDRESS)
    product = make_product(price=AMOUNT, name="Golden cage")
    who = {"customer_name": NAME, "customer_email": ADDRESS, "shipping_name": NAME}
    make_order(lines=[(product, 1)], **who)
    account = make_account(holder_name=NAME, holder_email=ADDRESS)
    make_transaction(account=account, amount=AMOUNT, description=NAME)
    consume()
    sent = Notification.objects.filter(state="sent")[0]
    feedback.take(
        json.dumps(
            {
                "eventType": "Bounce",
                "mail": {
                    "timestamp": "2026-11-22T10:00:00Z",
                    "messageId": sent.provider_message_id,
                    "destination": [ADDRESS],
                },
                "bounce": {
                    "bounceType": "Permanent",
                    "bouncedRecipients": [{"emailAddress": ADDRESS, "diagnosticCode": NAME}],
                },
            }
        )
    )
    suppressions.lift(Suppression.objects.all())
    refuses("MessageRejected", f"Email address is not verified: {ADDRESS}")
    order = make_order(lines=[(product, 1)], **who)
    consume("orders")
    [row] = OutboxEvent.objects.filter(subject=order.number)
    dead = sqs.dead_letter_queue("orders")
    dead.send_batch([sqs.Outgoing(key="1", body=row.body)])
    collecting.collect("orders")
    DeadLetter.objects.update(
        reason=f"not verified: {ADDRESS}", message_attributes={"who": {"StringValue": NAME}}
    )
    OutboxEvent.objects.filter(pk=row.pk).update(error=f"refused for {ADDRESS}")
    make_dead_letter(body=f"{NAME} {ADDRESS} 77713.37", event_id=None)
    return staff(
        *Permission.objects.filter(codename__startswith="view_")
        .exclude(codename="view_pii")
        .values_list("codename", flat=True),
        "preview_email",
    )


def addresses():
    """Every page of the admin that one may look at: without a key, and of each row."""
    for name in get_resolver().reverse_dict:
        if name in ("search", "reconciliation"):
            yield reverse(name)
    for model in (OutboxEvent, DeadLetter, Notification, Suppression):
        label = model._meta.label_lower.replace(".", "_")
        yield reverse(f"admin:{label}_changelist")
        for row in model.objects.all():
            for page in ("change", "history"):
                yield reverse(f"admin:{label}_{page}", args=[row.pk])
            if event_id := getattr(row, "event_id", None):
                yield reverse("timeline", args=[event_id])
    yield reverse("admin:emails_deliveryevent_changelist")
    for event in DeliveryEvent.objects.all():
        yield reverse("admin:emails_deliveryevent_change", args=[event.pk])
    for label in ("orders_order", "orders_customer", "orders_bankaccount", "orders_transaction"):
        yield reverse(f"admin:{label}_changelist")
    for why in ("dead", "published", "failed", "foreign", "refused"):
        yield reverse("reconciliation-some", args=[why, "minute"])
    yield reverse("admin:queues_deadletter_groups")
    for letter in DeadLetter.objects.all():
        yield reverse("admin:queues_deadletter_group", args=[key_of(letter.fingerprint)])
    yield reverse("overview-live")
    yield reverse("admin:index")
    yield reverse("admin:admin_logentry_changelist")
    yield reverse("admin:emails_identity_changelist")
    yield reverse("admin:emails_emailtemplate_changelist")


def test_a_canary_is_on_no_page_of_those_who_may_not_know(client, everything, aws):
    # Identities are what staff had verified, and not of this test.
    client.force_login(everything)
    shown = 0

    for address in addresses():
        if "identity" in address:
            continue
        response = client.get(address, follow=True)
        page = response.content.decode()
        assert response.status_code in (200, 403), address
        shown += response.status_code == 200
        for canary in CANARIES:
            assert canary not in page, f"{canary} on {address}"
    assert shown > 20


def test_the_same_pages_show_it_to_those_who_may_know(admin_client, everything):
    """Else the test above could not fail."""
    pages = "".join(admin_client.get(address).content.decode() for address in addresses())

    for canary in ("canary-7f3", "Quillfeather", "77,713.37", "7771337"):
        assert canary in pages


def test_an_address_finds_its_emails_and_does_not_come_back(client, everything):
    client.force_login(everything)

    found = client.get(reverse("search"), {"q": ADDRESS}).context["hits"]
    listed = client.get(reverse("admin:emails_notification_changelist"), {"q": ADDRESS})

    assert len(found) == 3
    assert not any(canary in repr(found) for canary in CANARIES)
    assert {row.recipient for row in listed.context["cl"].result_list} == {"c***@n***.example"}


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("queues_deadletter", "body"),
        ("queues_deadletter", "reason"),
        ("queues_outboxevent", "body"),
        ("queues_outboxevent", "redrive_of__body"),
        ("emails_notification", "context"),
        ("emails_notification", "delivery_reason"),
        ("emails_deliveryevent", "raw"),
        ("emails_deliveryevent", "recipient"),
        ("emails_notification", "attempt_rows__error"),
        ("admin_logentry", "object_repr"),
    ],
)
def test_a_condition_in_the_address_tells_nothing_either(client, everything, model, field):
    client.force_login(everything)

    response = client.get(
        reverse(f"admin:{model}_changelist"), {f"{field}__icontains": "Quillfeather"}
    )

    assert response.status_code == 400


def test_words_of_a_body_find_no_letter(client, everything):
    client.force_login(everything)

    response = client.get(reverse("admin:queues_deadletter_changelist"), {"q": "Quillfeather"})

    assert not response.context["cl"].result_list


def test_an_order_is_shown_to_nobody_who_may_not_know(client, everything):
    client.force_login(everything)

    assert client.get(reverse("admin:orders_order_changelist")).status_code == 403
    assert client.get("/orders/ORD-000001/").status_code == 404


def test_what_is_masked_on_a_page_is_whole_in_the_database(client, everything):
    client.force_login(everything)
    before = list(DeadLetter.objects.order_by("pk").values())

    for address in addresses():
        client.get(address)

    assert list(DeadLetter.objects.order_by("pk").values()) == before


def test_reasons_in_the_history_are_kept_without_addresses(client):
    letter = make_dead_letter()
    operator = staff(role="operator")
    client.force_login(operator)
    client.post(
        reverse("admin:queues_deadletter_changelist"),
        {
            "action": "discard",
            "_selected_action": [str(letter.pk)],
            "confirmed": "yes",
            "reason": f"as {ADDRESS} asked",
        },
    )
    client.force_login(staff(role="auditor"))

    for address in (
        reverse("admin:queues_deadletter_history", args=[letter.pk]),
        reverse("admin:admin_logentry_changelist"),
        reverse("timeline", args=[letter.event_id]),
    ):
        page = client.get(address).content.decode()
        assert "as c***@n***.example asked" in page
        assert ADDRESS not in page


def test_a_canary_is_not_in_the_log(everything, caplog):
    formatter = MaskingFormatter()

    records = caplog.get_records("setup")

    lines = "\n".join(formatter.format(record) for record in records)
    assert "not handled event=" in lines
    for canary in CANARIES:
        assert canary not in lines


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("Ada 12", "*** (6 characters, not JSON)"),
        ('"Ada"', '"***"'),
        ('[1, "Ada"]', '["***", "***"]'),
        (
            '{"specversion": "1.0", "id": "1", "data": {"name": "Ada", "cents": 5, "gift": true}}',
            '{"specversion": "1.0", "id": "1", "data": {"name": "***", "cents": "***", "gift": true}}',
        ),
        ('{"subject": "ada@example.com"}', '{"subject": "a***@e***.com"}'),
        ('{"ada@example.com": null}', '{"a***@e***.com": null}'),
    ],
)
def test_a_body_keeps_its_keys_and_loses_what_it_says(body, shown):
    assert masking.body(body) == shown


@pytest.mark.parametrize("body", ["[" * 100_000, "[" * 700 + "]" * 700, '{"a": "\\ud800"}'])
def test_a_hostile_body_is_masked_too(client, body):
    client.force_login(staff("view_deadletter", "view_outboxevent", "view_notification"))
    letter = make_dead_letter(body=body)

    address = reverse("admin:queues_deadletter_change", args=[letter.pk])

    assert client.get(address).status_code == 200


def test_data_nested_beyond_reason_is_masked():
    nested: list[Any] = []
    for _ in range(5000):
        nested = [nested]

    assert masking.values(nested) == "***"


def test_an_email_is_shown_to_nobody_who_may_not_know(client):
    notification = make_notification()
    make_outbox_event(event_id=notification.event_id)
    client.force_login(staff("view_deadletter", "view_outboxevent", "view_notification"))

    page = client.get(reverse("timeline", args=[notification.event_id])).content.decode()

    assert "Only staff who may view personal data can see this email." in page
    assert "iframe" not in page


def test_a_failure_in_the_history_is_masked(client):
    event = make_outbox_event()
    HandlingFailure.objects.create(
        queue="orders",
        sqs_message_id="m",
        event_id=event.event_id,
        receive_count=1,
        code="MessageRejected",
        reason=f"not verified: {ADDRESS}",
    )
    client.force_login(staff("view_deadletter", "view_outboxevent", "view_notification"))

    for address in (
        reverse("admin:queues_outboxevent_change", args=[event.pk]),
        reverse("timeline", args=[event.event_id]),
    ):
        page = client.get(address).content.decode()
        assert "not verified: c***@n***.example" in page
