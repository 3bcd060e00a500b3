from dataclasses import replace

import pytest
from django.db import OperationalError, connection, transaction

from queues import outbox, registry
from queues.aws import sqs
from queues.dead_letters import collecting, decisions
from queues.errors import Reject
from queues.events.envelope import Event, EventData
from queues.models import DeadLetter, HandlingFailure, OutboxEvent


class BellRung(EventData, type="bell.rung.v1", queue="transactions", source="/tests"):
    tone: str = "a"


class Cracked:
    """The state of the bells of these tests: cracked or not."""

    now = True


@registry.handles("bell.rung.v1")
def listen(event):
    if Cracked.now:
        raise Reject("cracked bell 17", code="Cracked")


@pytest.fixture(autouse=True)
def cracked():
    Cracked.now = True


@pytest.fixture
def dead(consume):
    """One message in the DLQ of the FIFO queue, its failures recorded."""
    with transaction.atomic():
        row = outbox.record(Event.of(BellRung(), subject="B-1", partition_key="tower"))
    for _ in range(4):
        consume("transactions")
    return row


@pytest.mark.django_db
def test_collected_letter_has_its_cause_history_and_address(dead):
    assert collecting.collect("transactions") == 1

    letter = DeadLetter.objects.get()
    assert (letter.code, letter.reason) == ("Cracked", "cracked bell 17")
    assert (letter.event_id, letter.subject, letter.group) == (dead.event_id, "B-1", "tower")
    assert letter.receive_count == 3
    assert letter.body == dead.body
    assert letter.sent_at is not None
    history = HandlingFailure.objects.filter(sqs_message_id=letter.sqs_message_id)
    assert [failure.receive_count for failure in history] == [1, 2, 3]
    assert sqs.dead_letter_queue("transactions").depth().visible == 0


@pytest.mark.django_db
@pytest.mark.parametrize("sent", ["9" * 25, "-1e99", "", "soon"])
def test_letter_whose_sending_time_cannot_be_read_is_collected_without_it(dead, sent, monkeypatch):
    receive = sqs.Queue.receive

    def changed(queue, **kwargs):
        return [
            replace(message, attributes={**message.attributes, "SentTimestamp": sent})
            for message in receive(queue, **kwargs)
        ]

    monkeypatch.setattr(sqs.Queue, "receive", changed)
    collecting.collect("transactions")

    assert DeadLetter.objects.get().sent_at is None


@pytest.mark.django_db
def test_letter_collected_twice_is_one_row(dead):
    queue = sqs.dead_letter_queue("transactions")
    [message] = queue.receive(limit=10, wait_seconds=0)
    queue.hide(message, seconds=0)
    collecting.collect("transactions")

    assert collecting._keep("transactions", message) is False
    assert DeadLetter.objects.count() == 1


@pytest.mark.django_db
def test_letter_and_the_state_of_its_event_are_kept_together(dead):
    def fail(execute, sql, *rest):
        if sql.startswith('UPDATE "queues_outboxevent"'):
            raise OperationalError("the database is gone")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail), pytest.raises(OperationalError):
        collecting.collect("transactions")

    assert not DeadLetter.objects.exists()


@pytest.mark.django_db
def test_message_that_killed_its_consumer_says_that_nothing_was_recorded(aws):
    sqs.dead_letter_queue("orders").send_batch([sqs.Outgoing(key="1", body="boom")])

    collecting.collect("orders")

    letter = DeadLetter.objects.get()
    assert letter.code == "NoRecord"
    assert "the consumer died with it" in letter.reason
    assert (letter.event_id, letter.type, letter.body) == (None, "", "boom")


@pytest.mark.django_db
def test_redriven_letter_is_handled_once_with_the_same_event_id(dead, consume):
    collecting.collect("transactions")
    Cracked.now = False

    counts = [decisions.redrive(DeadLetter.objects.all()) for _ in range(2)]
    consume("transactions")

    assert counts == [1, 0]
    letter = DeadLetter.objects.get()
    assert letter.state == DeadLetter.State.REDRIVEN
    row = letter.redrives.get()
    assert (row.event_id, row.state) == (dead.event_id, OutboxEvent.State.HANDLED)
    assert row.deduplication_id != dead.deduplication_id


@pytest.mark.django_db
def test_redriven_message_without_an_event_is_handled_once(consume):
    DeadLetter.objects.create(
        queue="ses-events", sqs_message_id="m-1", body='{"eventType": "Subscription"}'
    )
    decisions.redrive(DeadLetter.objects.all())

    consume("ses-events")

    assert sqs.queue("ses-events").depth() == sqs.Depth(0, 0, 0)
    assert OutboxEvent.objects.get().state == OutboxEvent.State.HANDLED


@pytest.mark.django_db
def test_letter_that_fails_again_is_a_new_letter(dead, consume):
    collecting.collect("transactions")
    decisions.redrive(DeadLetter.objects.all())

    for _ in range(4):
        consume("transactions")
    collecting.collect("transactions")

    states = list(DeadLetter.objects.order_by("collected_at").values_list("state", flat=True))
    assert states == ["redriven", "open"]


@pytest.mark.django_db
def test_discarded_letter_cannot_be_redriven(dead):
    collecting.collect("transactions")

    assert decisions.discard(DeadLetter.objects.all()) == 1
    assert decisions.redrive(DeadLetter.objects.all()) == 0


@pytest.mark.django_db
def test_rolled_back_redrive_leaves_the_letter_open(dead):
    collecting.collect("transactions")

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        decisions.redrive(DeadLetter.objects.all())
        raise ZeroDivisionError

    assert DeadLetter.objects.get().state == DeadLetter.State.OPEN
    assert OutboxEvent.objects.count() == 1


def test_two_versions_of_a_type_are_two_causes():
    one, two = (f"no handler for event type 'order.placed.v{version}'" for version in (12, 13))

    assert collecting.fingerprint("UnknownType", one) != collecting.fingerprint("UnknownType", two)
    assert collecting.general(one) == one


def test_same_failure_of_other_messages_has_the_same_fingerprint():
    one = collecting.fingerprint("MessageRejected", "not verified: ada@example.com, order 12")
    two = collecting.fingerprint("MessageRejected", "not verified: bob@example.net, order 345")

    assert one == two
    assert one != collecting.fingerprint("Throttling", "not verified: ada@example.com, order 12")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body", [r'{"subject": "\ud800"}', r'{"subject": "\u0000", "type": "\u0000"}']
)
def test_letter_with_text_that_no_database_keeps_is_collected_without_it(aws, body):
    sqs.dead_letter_queue("orders").send_batch([sqs.Outgoing(key="1", body=body)])

    assert collecting.collect("orders") == 1
    letter = DeadLetter.objects.get()
    assert (letter.subject, letter.body) == ("", body)


@pytest.mark.django_db
def test_redriven_letter_carries_no_trace_that_is_none(dead, consume):
    collecting.collect("transactions")
    OutboxEvent.objects.all().delete()
    DeadLetter.objects.update(message_attributes={"traceparent": "x" * 100})

    decisions.redrive(DeadLetter.objects.all())

    assert OutboxEvent.objects.latest("id").traceparent == ""


@pytest.mark.django_db
def test_letter_of_a_queue_that_is_gone_stays_open():
    DeadLetter.objects.create(queue="parcels", sqs_message_id="m", body="{}")

    assert decisions.redrive(DeadLetter.objects.all()) == 0
    assert DeadLetter.objects.get().state == DeadLetter.State.OPEN
