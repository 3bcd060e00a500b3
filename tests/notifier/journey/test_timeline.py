"""The timeline tells a customer and staff what became of an email."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from emails.models import Attempt, Notification
from notifier.journey import email_timeline
from queues.models import DeadLetter, HandlingFailure, OutboxEvent
from tests.support.builders import make_order

pytestmark = pytest.mark.django_db

UNVERIFIED = "Email address is not verified. The following identities failed the check."
BAD_DELIVERIES = ["bounced_soft", "bounced_hard", "complained", "rejected", "suppressed"]


@pytest.fixture
def order():
    return make_order()


def _event(order):
    return OutboxEvent.objects.filter(subject=order.number).earliest("id")


def _publish(order):
    rows = OutboxEvent.objects.filter(subject=order.number, published_at=None)
    rows.update(state="published", published_at=timezone.now())


def _notify(order, **fields):
    event = _event(order)
    return Notification.objects.create(
        event_id=event.event_id,
        event_type=event.type,
        subject=order.number,
        template="order_confirmation",
        recipient=order.customer_email,
        context={},
        next_at=timezone.now(),
        **fields,
    )


def _fail(order, reason=UNVERIFIED):
    event = _event(order)
    return HandlingFailure.objects.create(
        queue="orders",
        sqs_message_id="m",
        event_id=event.event_id,
        receive_count=HandlingFailure.objects.count() + 1,
        code="MessageRejected",
        reason=reason,
    )


def _bury(order):
    event = _event(order)
    return DeadLetter.objects.create(
        queue="orders",
        sqs_message_id="m",
        event_id=event.event_id,
        subject=order.number,
        body="{}",
        code="MessageRejected",
        reason=UNVERIFIED,
    )


def _states(order):
    return [step.state for step in email_timeline.of(order.number).steps]


def _verdict(order):
    return email_timeline.of(order.number).verdict


def test_recorded_order_waits_for_its_queue(order):
    assert _states(order) == ["done", "now", "todo", "todo"]
    assert not _verdict(order).is_wrong
    assert not _verdict(order).is_final


def test_busy_queue_is_no_fault_of_the_order(order):
    OutboxEvent.objects.update(error="connection refused")

    assert "will follow a little later" in _verdict(order).message
    assert _verdict(order).reason == "connection refused"


def test_published_order_waits_for_its_email(order):
    _publish(order)

    assert _states(order) == ["done", "done", "now", "todo"]


def test_refused_event_is_for_the_staff(order):
    OutboxEvent.objects.update(state="refused", error="InvalidMessageContents")

    assert _states(order) == ["done", "wrong", "todo", "todo"]
    assert _verdict(order).needs_help
    assert not _verdict(order).is_final


def test_sent_email_waits_for_word_of_its_delivery(order):
    _publish(order)
    _notify(order, state="sent", sent_at=timezone.now())

    assert _states(order) == ["done", "done", "done", "now"]
    assert not _verdict(order).is_final


def test_sent_is_the_last_step_where_nobody_tells_of_deliveries(order, settings):
    settings.SES_EVENTS_TOPIC = ""
    _publish(order)
    _notify(order, state="sent", sent_at=timezone.now())

    assert _states(order) == ["done", "done", "done"]
    assert _verdict(order).is_final


def test_delivered_email_is_final(order):
    now = timezone.now()
    _notify(order, state="sent", sent_at=now, delivery_status="delivered", delivered_at=now)

    assert _states(order) == ["done", "done", "done", "done"]
    assert _verdict(order).is_final


@pytest.mark.parametrize("status", ["bounced_hard", "bounced_soft", "rejected"])
def test_email_that_came_back_is_final_and_wrong(order, status):
    _notify(order, state="sent", sent_at=timezone.now(), delivery_status=status)

    assert _states(order) == ["done", "done", "done", "wrong"]
    assert _verdict(order).is_final


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (
            "bounced_hard",
            "5.1.1",
            "The email came back. The address does not exist. Your order is confirmed.",
        ),
        # What a mail server thinks of us is not its customer's business.
        (
            "bounced_hard",
            "5.7.1",
            "The email came back. Your mail provider refused it. Your order is confirmed.",
        ),
        ("bounced_hard", "Suppressed", "We can't email this address at the moment."),
        ("suppressed", "OnAccountSuppressionList", "We can't email this address at the moment."),
        (
            "bounced_soft",
            "4.2.2",
            "Your mail provider did not accept the email. The mailbox is full.",
        ),
        ("bounced_soft", "", "Your mail provider did not accept the email. The mailbox may be"),
        (
            "delayed",
            "MailboxFull",
            "Sent, but not delivered yet. The mailbox is full. Delivery is retried",
        ),
        ("complained", "abuse", "Delivered, then reported as spam."),
    ],
)
def test_customer_is_told_why(order, status, code, said):
    _notify(order, state="sent", delivery_status=status, delivery_code=code)

    assert _verdict(order).message.startswith(said)


def test_staff_read_the_code_and_the_words_of_the_mail_server(order):
    _notify(
        order,
        state="sent",
        delivery_status="bounced_hard",
        delivery_code="5.1.1",
        delivery_reason="smtp; 550 5.1.1 user unknown",
    )

    assert _verdict(order).reason == "The address does not exist. “smtp; 550 5.1.1 user unknown”"


def test_a_step_that_failed_is_not_called_by_the_name_of_its_success(order):
    _notify(order, state="sent", sent_at=timezone.now(), delivery_status="bounced_hard")

    labels = [label for label, _ in email_timeline.of(order.number).labelled]

    assert labels == ["Ordered", "Prepared", "Sent", "Not delivered"]


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "failed", "reason_code": "MessageRejected", "reason": UNVERIFIED},
        {"state": "suppressed"},
        {"state": "cancelled"},
        *({"state": "sent", "delivery_status": status} for status in BAD_DELIVERIES),
    ],
)
def test_a_customer_whose_email_failed_reads_no_word_of_ours_and_learns_whom_to_ask(
    order, client, settings, fields
):
    # Its banner says which addresses are verified.
    settings.SANDBOX = False
    _publish(order)
    _notify(order, **fields)

    page = client.get(order.get_signed_url()).text

    assert 'href="mailto:shop@example.com?subject=' in page
    assert not re.search(r"\bSES\b|Amazon|AWS|verified|provider's|[0-9] ms\b", page)


def test_who_complains_of_an_email_has_got_it(order):
    now = timezone.now()
    _notify(order, state="sent", sent_at=now, delivery_status="complained", delivery_at=now)

    assert _states(order) == ["done"] * 4


def test_opened_email_is_a_step_of_its_own(order):
    now = timezone.now()
    at = {"sent_at": now, "delivered_at": now, "opened_at": now}
    _notify(order, state="sent", delivery_status="delivered", **at)

    assert email_timeline.of(order.number).steps[-1].name == "Opened"
    assert _states(order) == ["done"] * 5


def test_complaint_after_delivery_is_said(order):
    now = timezone.now()
    _notify(order, state="sent", sent_at=now, delivery_status="complained", delivered_at=now)

    assert "spam" in _verdict(order).message


def test_delay_is_not_final(order):
    _notify(order, state="sent", sent_at=timezone.now(), delivery_status="delayed")

    assert not _verdict(order).is_final


@pytest.mark.parametrize("state", ["suppressed", "cancelled"])
def test_email_that_will_not_be_sent_is_final(order, state):
    _publish(order)
    _notify(order, state=state, reason="bounced before")

    assert _states(order) == ["done", "done", "wrong", "todo"]
    assert _verdict(order).is_final


def test_doubt_is_no_alarm_for_the_customer(order):
    _publish(order)
    _notify(order, state="in_doubt", reason_code="ReadTimeoutError")

    assert not _verdict(order).is_wrong
    assert _verdict(order).reason == "ReadTimeoutError"


def test_customer_reads_the_address_while_we_keep_trying(order):
    _publish(order)
    _notify(order, reason_code="MessageRejected", reason=UNVERIFIED)
    _fail(order)

    verdict = _verdict(order)

    assert _states(order) == ["done", "done", "wrong", "todo"]
    assert verdict.message == (
        "We couldn't email your confirmation to ada@example.com yet. Your order is confirmed."
        " We're trying again."
    )
    assert verdict.reason == f"MessageRejected: {UNVERIFIED}"
    assert not verdict.is_final


def test_dead_letter_is_for_the_staff_until_it_is_redriven(order):
    _publish(order)
    _notify(order, reason_code="MessageRejected", reason=UNVERIFIED)
    _fail(order)
    letter = _bury(order)
    assert _verdict(order).needs_help

    letter.state = DeadLetter.State.REDRIVEN
    letter.save()
    event = OutboxEvent.objects.get()
    event.pk, event.published_at = None, timezone.now() + timedelta(seconds=1)
    event.save()

    assert _states(order) == ["done", "done", "now", "todo"]
    assert not _verdict(order).is_wrong


def test_reason_of_the_machine_is_not_shown_to_the_customer(order, client):
    _publish(order)
    _fail(order, reason="KeyError: secret_column")

    page = client.get(order.get_signed_url()).text

    assert "trying again" in page
    assert "secret_column" not in page


def test_staff_read_reason_and_attempts(order, admin_client):
    _publish(order)
    notification = _notify(order, reason_code="MessageRejected", reason=UNVERIFIED)
    Attempt.objects.create(
        notification=notification,
        number=1,
        started_at=timezone.now(),
        outcome="not_sent",
        error_code="MessageRejected",
    )
    _fail(order)

    page = admin_client.get(f"/orders/{order.number}/email/").text

    assert UNVERIFIED in page
    assert "Attempt 1" in page


def test_unknown_subject_has_a_timeline_without_times():
    assert [step.at for step in email_timeline.of("ORD-999999").steps] == [None] * 4


def test_final_email_tells_the_page_to_stop_asking(order, client):
    url = order.get_signed_url().replace("/?", "/email/?")
    assert "data-final" not in client.get(url).text

    _notify(order, state="cancelled")

    assert "data-final" in client.get(url).text


def test_number_of_queries_does_not_grow(order, django_assert_num_queries):
    _publish(order)
    _bury(order)
    notification = _notify(order)
    for number in range(10):
        _fail(order)
        Attempt.objects.create(notification=notification, number=number, started_at=timezone.now())

    with django_assert_num_queries(5):
        email_timeline.of(order.number)


def test_a_foreign_event_about_the_order_is_not_shown_for_its_own(order):
    Notification.objects.create(
        event_id=uuid.uuid4(),
        subject=order.number,
        template="order_confirmation",
        recipient="eve@example.net",
        context={},
        next_at=timezone.now(),
        state="failed",
        reason=UNVERIFIED,
    )

    verdict = _verdict(order)

    assert "eve@example.net" not in verdict.message
    assert not verdict.is_wrong
