from contextlib import suppress

import pytest
from django.db import DatabaseError, connection

from queues.aws import sqs
from queues.consumer.acks import Acks
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
