import time
from contextlib import suppress

import pytest
from django.db import DatabaseError, OperationalError, connection

from queues.aws import sqs
from queues.aws.sqs import Queue, Received
from queues.consumer.acks import Acks
from queues.errors import QueueUnavailable
from queues.outbox import relay
from tests.support.parcels import record


@pytest.mark.locking
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="a file ends no connection")
@pytest.mark.django_db(transaction=True)
def test_messages_are_deleted_again_after_the_database_was_away(aws):
    row = record("g")
    relay.publish_pending()
    queue = sqs.queue(row.queue)
    [message] = queue.receive(limit=1, wait_seconds=0)
    acks = Acks(queue)
    with suppress(DatabaseError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    for _ in range(2):
        acks.add(message, event_id=row.event_id)
        acks.flush()

    assert queue.depth() == sqs.Depth(visible=0, in_flight=0, delayed=0)


class ShortList(Queue):
    """A queue that says what is deleted; ``fails`` so often, and then keeps what it is told to."""

    def __init__(self, *, fails=0, keeps=()):
        super().__init__("orders", "notifier-orders")
        self.deleted, self.fails, self.keeps = [], fails, keeps

    def delete_batch(self, messages):
        if self.fails:
            self.fails -= 1
            raise QueueUnavailable("no answer")
        self.deleted.append([message.id for message in messages if message.id not in self.keeps])
        return [message for message in messages if message.id in self.keeps]


def received(count):
    return [Received(id=str(n), receipt=f"r-{n}", body="{}") for n in range(count)]


@pytest.mark.django_db
def test_ten_messages_are_deleted_at_once_and_fewer_only_when_they_have_waited():
    queue = ShortList()
    acks = Acks(queue)

    for message in received(10)[:9]:
        acks.add(message, event_id=None)
    acks.flush(older_than_seconds=60)
    before = list(queue.deleted)
    acks.add(received(10)[9], event_id=None)

    assert before == []
    assert queue.deleted == [[str(n) for n in range(10)]]

    acks.add(received(1)[0], event_id=None)
    acks.flush()
    acks.flush()

    assert queue.deleted[1:] == [["0"]]


@pytest.mark.django_db
def test_wait_begins_anew_with_the_first_message_after_a_batch(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    queue = ShortList()
    acks = Acks(queue)
    first, second = received(2)

    acks.add(first, event_id=None)
    now[0] = 100.0
    acks.flush(older_than_seconds=50)
    acks.add(second, event_id=None)
    now[0] = 110.0
    acks.flush(older_than_seconds=50)

    assert queue.deleted == [["0"]]


@pytest.mark.django_db
def test_events_are_marked_handled_before_their_messages_are_deleted():
    row = record()
    queue = ShortList(fails=1)
    acks = Acks(queue)

    acks.add(received(1)[0], event_id=row.event_id)
    acks.flush()

    row.refresh_from_db()
    assert (row.state, queue.deleted) == ("handled", [])


@pytest.mark.django_db
def test_message_whose_event_cannot_be_marked_is_not_deleted(caplog):
    row = record()
    queue = ShortList()
    acks = Acks(queue)

    def fail(execute, sql, *rest):
        raise OperationalError("the database is gone")

    with connection.execute_wrapper(fail):
        acks.add(received(1)[0], event_id=row.event_id)
        acks.flush()

    assert queue.deleted == []
    assert "not deleted queue=orders count=1" in caplog.text


@pytest.mark.django_db
def test_message_that_sqs_keeps_is_not_told_as_deleted(caplog):
    caplog.set_level("INFO")
    queue = ShortList(keeps=["0"])
    acks = Acks(queue)

    for message in received(2):
        acks.add(message, event_id=None)
    acks.flush()

    assert "not deleted event=- message=0" in caplog.text
    assert "\ndeleted event=- message=1" in "\n" + "\n".join(caplog.messages)
