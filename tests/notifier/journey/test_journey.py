"""The timeline of one event, for staff."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from emails.models import Notification
from emails.reports import feedback
from notifier.journey import event_timeline
from queues.aws import sqs
from queues.console import change_url, list_url, moment
from queues.dead_letters import decisions
from queues.models import DeadLetter, HandlingFailure, OutboxEvent
from queues.redrives import jobs
from tests.support.builders import make_order, make_transaction
from tests.support.owed import placed
from tests.support.rows import make_dead_letter, make_notification, make_outbox_event, staff

pytestmark = pytest.mark.django_db

TIMELINE = ("view_outboxevent", "view_deadletter", "view_notification")


def known(event_id: Any) -> event_timeline.Journey:
    found = event_timeline.of(event_id)
    assert found is not None
    return found


def titles(event_id):
    return [step.title for step in known(event_id).steps]


def page(event_id):
    return reverse("timeline", args=[event_id])


def test_an_email_that_arrived_has_every_step_in_order_of_time(aws, consume):
    aws.verify("ada@example.com")
    order = make_order()
    consume("orders")
    sent = Notification.objects.get()
    tell = {
        "eventType": "Delivery",
        "mail": {
            "timestamp": "2040-11-22T10:00:00Z",
            "messageId": sent.provider_message_id,
            "destination": ["ada@example.com"],
        },
    }
    feedback.take(json.dumps(tell))

    found = known(sent.event_id)

    assert [step.title for step in found.steps] == [
        "Order saved",
        "Recorded",
        "Published",
        "Attempt 1",
        "Accepted by SES",
        "Handled",
        "Delivered to the recipient's mail server",
    ]
    assert found.subject == order.number
    assert OutboxEvent.objects.get().sqs_message_id in found.steps[2].detail
    assert sent.provider_message_id in found.steps[4].detail
    assert [step.gap is None for step in found.steps] == [True] + [False] * 6
    assert all(step.gap is not None and step.gap >= timedelta() for step in found.steps[1:])
    assert (found.receives, found.failures) == (1, 0)
    assert sent.sent_at is not None
    assert found.accepted_after == sent.sent_at - order.placed_at


def test_a_transaction_has_its_own_first_step():
    posted = make_transaction()
    event = OutboxEvent.objects.get(subject=posted.reference)

    assert titles(event.event_id) == ["Transaction saved", "Recorded"]


def test_each_failed_receive_gives_its_cause():
    event = make_outbox_event()
    for count in (1, 2):
        HandlingFailure.objects.create(
            queue="orders",
            sqs_message_id="m",
            event_id=event.event_id,
            receive_count=count,
            code="KeyError",
            reason="'customer'",
        )

    found = known(event.event_id)

    failed = [step for step in found.steps if step.colour == "danger"]
    assert [step.title for step in failed] == ["Receive 1 failed", "Receive 2 failed"]
    assert {step.detail for step in failed} == {"KeyError: 'customer'"}
    assert (found.receives, found.failures) == (2, 2)


def handled(event, *, seconds):
    """Let the event's row be published, and handled a second later."""
    at = event.recorded_at + timedelta(seconds=seconds)
    OutboxEvent.objects.filter(pk=event.pk).update(
        state="handled", published_at=at, handled_at=at + timedelta(seconds=1)
    )


def test_an_event_published_again_ends_with_what_its_handling_did():
    event = make_outbox_event()
    at = event.recorded_at + timedelta(seconds=1)
    email = make_notification(event_id=event.event_id, state="sent", provider_message_id="ses-1")
    Notification.objects.update(created_at=at, sent_at=at)
    handled(event, seconds=0.5)
    assert titles(event.event_id)[-1] == "Handled"

    handled(event, seconds=60)
    assert titles(event.event_id)[-2:] == ["Published", "Handled again, nothing sent"]

    Notification.objects.filter(pk=email.pk).update(state="suppressed", sent_at=None)
    assert titles(event.event_id)[-1] == "Handled, nothing sent"


def test_a_second_row_that_was_handled_later_is_told_too():
    first = make_outbox_event()
    second = make_outbox_event(event_id=first.event_id)
    make_notification(event_id=first.event_id, state="sent", sent_at=timezone.now())
    handled(first, seconds=1)
    handled(second, seconds=60)

    assert titles(first.event_id)[-1] == "Handled again, nothing sent"


def test_an_event_without_an_email_is_just_handled():
    event = make_outbox_event()
    handled(event, seconds=1)

    assert titles(event.event_id)[-1] == "Handled"


def test_an_event_handled_before_its_publishing_was_saved_says_so(admin_client):
    event = make_outbox_event()
    handled(event, seconds=1)
    OutboxEvent.objects.update(published_at=None)
    row = OutboxEvent.objects.get()

    assert known(event.event_id).steps[-1].detail == "When it was published is not known."
    for address in (list_url(OutboxEvent), change_url(row)):
        assert f"before {moment(row.handled_at)}" in admin_client.get(address).content.decode()


def test_ses_is_quoted_once_for_each_attempt():
    event = make_outbox_event()
    email = make_notification(event_id=event.event_id, state="pending", attempts=2)
    cause = {"code": "MessageRejected", "reason": "Email address is not verified."}
    for count in (1, 2):
        at = event.recorded_at + timedelta(seconds=count)
        email.attempt_rows.create(
            number=count, started_at=at, finished_at=at, outcome="not_sent",
            error_code=cause["code"], error=cause["reason"],
        )  # fmt: skip
        HandlingFailure.objects.create(
            queue="orders",
            sqs_message_id="m",
            event_id=event.event_id,
            receive_count=count,
            **cause,
        )
    make_dead_letter(event_id=event.event_id, receive_count=2, **cause)

    steps = known(event.event_id).steps

    assert sum(cause["reason"] in step.detail for step in steps) == 2
    assert "After 2 receives." in {step.detail for step in steps}


@pytest.mark.parametrize(
    ("fields", "letter", "said"),
    [
        ({"state": "pending", "attempts": 3}, "open", "Now: dead letter"),
        ({"state": "sent", "delivery_status": "delivered"}, "", "Now: delivered"),
        ({"state": "sent", "delivery_status": "bounced_hard"}, "", "Now: hard bounce"),
        ({"state": "cancelled"}, "", "Now: cancelled"),
    ],
)
def test_the_last_line_says_where_it_stands_now(admin_client, fields, letter, said):
    email = make_notification(**fields)
    if letter:
        make_dead_letter(event_id=email.event_id, state=letter)

    lines = admin_client.get(page(email.event_id)).context["lines"]

    assert lines[-1].step.title == said


def test_a_redrive_is_told_with_the_name_of_who_did_it(admin_user):
    event = make_outbox_event(state=OutboxEvent.State.DEAD)
    letter = make_dead_letter(event_id=event.event_id)
    letters = DeadLetter.objects.filter(pk=letter.pk)
    jobs.start(letters, by=admin_user, reason="address verified", key="k")
    jobs.advance()

    found = known(event.event_id)

    [redriven] = [step for step in found.steps if step.who]
    assert (redriven.title, redriven.detail, redriven.who) == (
        "Redriven",
        "address verified",
        admin_user.username,
    )
    assert "Recorded again by a redrive" in titles(event.event_id)


def test_a_redrive_by_a_command_is_told_as_well():
    event = make_outbox_event(state=OutboxEvent.State.DEAD)
    letter = make_dead_letter(event_id=event.event_id)
    decisions.redrive(DeadLetter.objects.filter(pk=letter.pk))

    [redriven] = [step for step in known(event.event_id).steps if step.title == "Redriven"]

    assert redriven.detail == "By a command."


def test_an_email_in_doubt_says_what_ses_answered_and_who_ended_the_doubt(admin_client):
    notification = make_notification()
    notification.attempt_rows.create(
        number=1,
        started_at=notification.created_at,
        finished_at=notification.created_at + timedelta(seconds=10),
        outcome="in_doubt",
        error_code="ReadTimeoutError",
        error="no answer within 10 s",
    )
    admin_client.post(
        reverse("admin:emails_notification_changelist"),
        {
            "action": "mark_sent",
            "_selected_action": [str(notification.pk)],
            "confirmed": "yes",
            "reason": "she has it",
        },
    )

    steps = {step.title: step for step in known(notification.event_id).steps}

    assert steps["In doubt"].detail == "ReadTimeoutError: no answer within 10 s"
    assert steps["Marked as sent"].detail == "she has it"


def test_an_attempt_whose_process_died_has_no_answer():
    notification = make_notification()
    notification.attempt_rows.create(number=1, started_at=notification.created_at)

    [step] = known(notification.event_id).steps

    assert (step.title, step.detail) == ("Attempt 1", "No answer is recorded.")


def test_an_order_is_not_said_to_be_saved_because_garbage_names_it():
    order = make_order()
    letter = make_dead_letter(subject=order.number)

    assert titles(letter.event_id) == ["Dead letter"]


def test_the_page_shows_steps_gaps_and_the_email(aws, consume, admin_client):
    aws.verify("ada@example.com")
    order = make_order()
    consume("orders")

    shown = admin_client.get(page(Notification.objects.get().event_id)).content.decode()

    assert f"Timeline of {order.number}" in shown
    assert "Accepted by SES" in shown
    assert " ms later</small>" in shown
    assert "SES accepted the email after" in shown
    assert 'sandbox=""' in shown
    assert "SES accepted it. It is never sent again." in shown


def test_an_event_of_which_nothing_is_known_has_no_timeline(admin_client):
    assert admin_client.get(page(uuid.uuid4())).status_code == 404


def test_what_others_wrote_is_escaped(admin_client):
    hostile = "<script>alert(1)</script>"
    letter = make_dead_letter(subject=hostile, type=hostile, reason=hostile, code=hostile)

    assert hostile not in admin_client.get(page(letter.event_id)).content.decode()


@pytest.mark.parametrize("missing", TIMELINE)
def test_a_timeline_takes_the_right_to_see_all_that_it_tells_of(client, missing):
    event = make_outbox_event()
    client.force_login(staff(*TIMELINE))
    assert client.get(page(event.event_id)).status_code == 200

    client.force_login(staff(*(name for name in TIMELINE if name != missing)))
    assert client.get(page(event.event_id)).status_code == 403


def test_a_long_history_costs_no_more_queries(admin_client, django_assert_max_num_queries):
    event = make_outbox_event()
    notification = make_notification(event_id=event.event_id)
    for number in range(1, 30):
        notification.attempt_rows.create(
            number=number, started_at=event.recorded_at, outcome="not_sent", error="no"
        )
        make_dead_letter(event_id=event.event_id)
    admin_client.get(page(event.event_id))

    with django_assert_max_num_queries(14):
        admin_client.get(page(event.event_id))


@pytest.mark.parametrize(
    ("make", "model"),
    [
        (make_dead_letter, "queues_deadletter"),
        (make_outbox_event, "queues_outboxevent"),
        (make_notification, "emails_notification"),
    ],
)
def test_every_row_leads_to_its_timeline(admin_client, make, model):
    row = make()

    shown = admin_client.get(reverse(f"admin:{model}_change", args=[row.pk])).content.decode()

    assert page(row.event_id) in shown


@pytest.mark.parametrize("make", [make_order, make_transaction])
def test_an_order_leads_to_its_timeline(admin_client, make):
    row = make()
    address = reverse(f"admin:orders_{row._meta.model_name}_change", args=[row.pk])

    assert f"{reverse('search')}?q={row}" in admin_client.get(address).content.decode()


@pytest.mark.parametrize(
    ("gap", "shown"),
    [
        (timedelta(milliseconds=38), "38 ms"),
        (timedelta(seconds=2.14), "2.1 s"),
        (timedelta(minutes=4), "4 min"),
        (timedelta(hours=3), "3 h"),
        (timedelta(days=2), "2 days"),
    ],
)
def test_a_gap_is_as_exact_as_a_person_needs(gap, shown):
    assert event_timeline.human(gap) == shown


def test_another_producers_order_is_found_by_its_message_id_and_says_how_it_came(
    admin_client, aws, consume
):
    aws.verify("ada@example.com")
    event = placed()
    sent, _ = sqs.queue("orders").send_batch([sqs.Outgoing(key="1", body=event.to_json())])
    message_id = sent["1"]
    consume("orders")

    page = admin_client.get(reverse("search"), {"q": message_id}, follow=True)

    assert page.request["PATH_INFO"] == reverse("timeline", args=[event.id])
    assert "Received at least 1 time." in " ".join(page.content.decode().split())
    found = known(event.id)
    assert [step.title for step in found.steps] == ["Received", "Attempt 1", "Accepted by SES"]
    assert message_id in found.steps[0].detail


def test_messages_of_our_relay_are_known_to_the_outbox_alone(aws, consume):
    aws.verify("ada@example.com")
    make_order()
    consume("orders")

    assert Notification.objects.get().sqs_message_id == ""


def test_an_email_accepted_before_its_event_was_marked_was_received(aws, consume):
    event = make_outbox_event()
    make_notification(event_id=event.event_id, sent_at=timezone.now(), state="sent")

    found = known(event.event_id)

    assert (found.receives, found.is_least) == (1, True)


def test_the_timeline_of_a_dead_email_leads_to_its_dead_letter_first(admin_client):
    email = make_notification(state="pending")
    letter = make_dead_letter(event_id=email.event_id)

    found = admin_client.get(page(email.event_id)).context

    assert found["advised"] == ("Open its dead letter", change_url(letter))
    assert change_url(letter) not in [address for _, address in found["row_links"]]
