"""A corrected address gets the email once, and the old one nothing more, whatever messages are on their way."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from emails.dead_letters import new_addresses
from emails.models import Notification
from emails.sending import states
from queues.errors import Uncorrectable
from queues.events.envelope import Event
from queues.models import DeadLetter, OutboxEvent
from tests.support.builders import make_customer, make_order, make_transaction
from tests.support.rows import make_dead_letter, make_notification, make_suppression

pytestmark = pytest.mark.django_db

# Ids sort by time, but not within one millisecond.
OLDEST = uuid.UUID(int=1)
State = Notification.State
Delivery = Notification.Delivery
WRONG, RIGHT = "ada@exmaple.com", "ada@example.com"
BOUNCED = {"state": State.SENT, "delivery_status": Delivery.BOUNCED_HARD}


def placed(**fields):
    """The event of an order with the wrong address, and its email."""
    order = make_order(customer_email=WRONG)
    row = OutboxEvent.objects.get(subject=order.number)
    OutboxEvent.objects.update(state=OutboxEvent.State.HANDLED)
    event = Event.from_json(row.body)
    email = make_notification(
        id=OLDEST,
        event_id=event.id,
        subject=order.number,
        recipient=WRONG,
        context=event.data,
        **fields,
    )
    return event, email


def dead(event, **fields):
    return make_dead_letter(
        event_id=event.id, subject=event.subject, body=event.to_json(), **fields
    )


def correct(event, address=RIGHT):
    return new_addresses.correct(new_addresses.of(event.id), address)


@pytest.mark.parametrize(
    "fields",
    [
        BOUNCED,
        {"state": State.SENT, "delivery_status": Delivery.BOUNCED_SOFT},
        {"state": State.SENT, "delivery_status": Delivery.SUPPRESSED},
        {"state": State.SENT, "delivery_status": Delivery.REJECTED},
        {"state": State.FAILED},
        {"state": State.SUPPRESSED},
        {"state": State.PENDING, "attempts": 1},
    ],
)
def test_what_did_not_arrive_is_owed_to_the_corrected_address(fields):
    event, old = placed(**fields)

    new = correct(event)

    old.refresh_from_db()
    assert (new.recipient, new.state) == (RIGHT, State.PENDING)
    assert new.context["customer"]["email"] == RIGHT
    row = OutboxEvent.objects.get(state=OutboxEvent.State.PENDING)
    assert row.event_id == event.id
    assert json.loads(row.body)["data"]["customer"]["email"] == RIGHT
    # What SES accepted stays a record; everything else is cancelled for good.
    assert old.state == (State.SENT if fields["state"] == State.SENT else State.CANCELLED)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": State.SENT, "delivery_status": Delivery.DELIVERED}, "was delivered"),
        ({"state": State.SENT, "delivery_status": Delivery.COMPLAINED}, "marked as spam"),
        ({"state": State.SENT, "delivery_status": Delivery.DELAYED}, "still trying"),
        ({"state": State.SENT}, "may have arrived"),
        ({"state": State.SENDING}, "right now"),
        ({"state": State.IN_DOUBT}, "may have accepted"),
        ({"state": State.CANCELLED}, "cancelled"),
        ({"state": State.KEPT}, "Bulk email is stopped"),
    ],
)
def test_what_arrived_or_may_arrive_is_sent_nowhere_else(fields, words):
    event, _ = placed(**fields)

    with pytest.raises(Uncorrectable, match=words):
        new_addresses.of(event.id)


def test_a_dead_letter_is_edited_and_redriven_once():
    event, old = placed(state=State.FAILED)
    letter = dead(event)

    correct(event)

    letter.refresh_from_db()
    old.refresh_from_db()
    assert letter.state == DeadLetter.State.REDRIVEN
    assert json.loads(letter.original_body)["data"]["customer"]["email"] == WRONG
    assert old.state == State.CANCELLED
    [row] = OutboxEvent.objects.filter(redrive_of=letter)
    assert json.loads(row.body)["data"]["customer"]["email"] == RIGHT


def test_a_dead_letter_keeps_the_fields_that_its_type_does_not_know():
    event, _ = placed(state=State.FAILED)
    body = json.loads(event.to_json())
    body["data"]["gift"] = True
    letter = make_dead_letter(event_id=event.id, body=json.dumps(body))

    correct(event)

    letter.refresh_from_db()
    assert json.loads(letter.body)["data"]["gift"] is True


def test_an_event_without_an_email_leaves_none_for_the_old_address():
    order = make_order(customer_email=WRONG)
    event = Event.from_json(OutboxEvent.objects.get().body)
    dead(event)
    make_dead_letter(event_id=event.id, subject=order.number, body=event.to_json())

    correct(event)

    # The other dead letter still has the old address; redriven, it finds the email withdrawn.
    old = Notification.objects.get(recipient=WRONG)
    assert (old.state, old.reason_code) == (State.CANCELLED, states.CORRECTED)


@pytest.mark.parametrize("fields", [BOUNCED, {"state": State.FAILED}])
def test_nobody_corrects_what_somebody_else_has_just_corrected(fields):
    event, _ = placed(**fields)
    seen = new_addresses.of(event.id)
    new_addresses.correct(seen, RIGHT)

    with pytest.raises(Uncorrectable):
        new_addresses.correct(seen, "other@example.com")

    assert not Notification.objects.filter(recipient="other@example.com").exists()
    # The email to the first one is on its way; after it failed too, its address may be corrected.
    Notification.objects.filter(recipient=RIGHT).update(state=State.FAILED)
    assert correct(event, "other@example.com").state == State.PENDING


def test_a_second_correction_closes_the_dead_letter_of_the_first():
    event, old = placed(**BOUNCED)
    correct(event)
    Notification.objects.filter(recipient=RIGHT).update(state=State.FAILED)
    row = OutboxEvent.objects.get(state=OutboxEvent.State.PENDING)
    letter = make_dead_letter(event_id=event.id, subject=event.subject, body=row.body)

    correct(event, "other@example.com")

    letter.refresh_from_db()
    assert letter.state == DeadLetter.State.DISCARDED
    assert dict(Notification.objects.values_list("recipient", "state")) == {
        WRONG: State.SENT,
        RIGHT: State.CANCELLED,
        "other@example.com": State.PENDING,
    }


def test_going_back_to_an_address_that_was_withdrawn_sends_there_once():
    event, old = placed(state=State.FAILED)
    correct(event)
    Notification.objects.filter(recipient=RIGHT).update(state=State.FAILED)

    assert correct(event, WRONG).pk == old.pk

    states_now = dict(Notification.objects.values_list("recipient", "state"))
    assert states_now == {WRONG: State.PENDING, RIGHT: State.CANCELLED}


def test_an_address_that_got_the_email_already_is_refused():
    event, _ = placed(**BOUNCED)
    correct(event)
    Notification.objects.filter(recipient=RIGHT).update(**BOUNCED)

    assert "already sent" in new_addresses.problem(new_addresses.of(event.id), "ADA@exmaple.com")


@pytest.mark.parametrize("address", [WRONG, WRONG.upper()])
def test_the_same_address_is_no_correction(address):
    event, _ = placed(**BOUNCED)

    assert "did not reach" in new_addresses.problem(new_addresses.of(event.id), address)


def test_a_suppressed_address_is_refused():
    event, _ = placed(**BOUNCED)
    make_suppression(address=RIGHT)

    assert "suppressed" in new_addresses.problem(new_addresses.of(event.id), RIGHT)


def test_an_alert_of_a_group_in_order_goes_out_from_its_own_row(settings):
    posted = make_transaction()
    row = OutboxEvent.objects.get(subject=posted.reference)
    event = Event.from_json(row.body)
    OutboxEvent.objects.update(state=OutboxEvent.State.HANDLED)
    make_notification(
        event_id=event.id,
        event_type=event.type,
        event_source=event.source,
        subject=event.subject,
        partition_key=event.partitionkey,
        template="transaction_alert",
        recipient="ada@example.com",
        context=event.data,
        **BOUNCED,
    )

    correct(event, "grace@example.com")

    row = OutboxEvent.objects.get(subject=posted.reference)
    assert json.loads(row.body)["data"]["account"]["holder_email"] == "grace@example.com"


def test_a_personal_link_goes_to_nobody_else():
    customer = make_customer(email=WRONG)
    email = make_notification(
        event_type="customer.link_requested.v1",
        event_source="/orders",
        subject=customer.subject,
        template="sign_in_link",
        state=State.FAILED,
        context={"customer": {"name": "Ada", "email": WRONG}},
    )

    found = new_addresses.of(email.event_id)
    assert found.is_personal
    with pytest.raises(Uncorrectable, match="personal link"):
        new_addresses.correct(found, RIGHT)


def test_an_event_that_nothing_has_gone_wrong_with_is_left_alone():
    make_order()

    with pytest.raises(Uncorrectable, match="waits"):
        new_addresses.of(Event.from_json(OutboxEvent.objects.get().body).id)


def test_a_parked_dead_letter_stays_parked():
    event, _ = placed(state=State.FAILED)
    dead(event, parked_until=timezone.now() + timedelta(days=1))

    with pytest.raises(Uncorrectable, match="parked"):
        new_addresses.of(event.id)


@pytest.mark.parametrize("fields", [BOUNCED, {"state": State.FAILED}, {"state": State.SUPPRESSED}])
def test_ses_gets_one_email_to_the_new_address_and_none_to_the_old_one(aws, consume, fields):
    event, _ = placed(**fields)
    # A message with the old address is still on its way, and comes before the correction and after it.
    late = OutboxEvent.objects.get()
    correct(event)

    consume()
    OutboxEvent.objects.filter(pk=late.pk).update(state=OutboxEvent.State.PENDING)
    consume()

    [sent] = aws.accepted
    assert RIGHT in str(sent.destinations)
    assert WRONG not in str(sent.destinations)
