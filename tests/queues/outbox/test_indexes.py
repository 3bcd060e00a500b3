"""Each question to the outbox has its index: it costs the same, however many events there are."""

import re

import pytest
from django.db import connection

from queues.aws import sqs
from queues.consumer import fifo_groups
from queues.models import DeadLetter, OutboxEvent
from queues.outbox import claims, lost, relay
from queues.upkeep import old_rows
from tests.support.parcels import ParcelWeighed, record
from tests.support.rows import forget_statistics

pytestmark = [pytest.mark.locking, pytest.mark.django_db(transaction=True)]

# A partial index that is read whole is small; all ids up to one are many.
READS_ALL = r"""(?mx)
    SCAN\ (queues_outboxevent|U\d)$ | SCAN\ .*\ USING\ INDEX\ (?!outbox_) | \(rowid[<>]
    | Seq\ Scan\ on\ queues_outboxevent | Index\ Cond:\ \(id\ [<>]
    | outboxevent_pkey\ .*$(?!\s+Index\ Cond)
"""


@pytest.fixture
def plans():
    """Explain how the database would answer each question about the outbox that ``asking`` asks."""

    def explain(asking):
        asked = []

        def note(execute, sql, params, many, context):
            asked.append((sql, params))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note):
            asking()
        with connection.cursor() as cursor:
            explaining = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
            if connection.vendor == "postgresql":
                # It takes a table as small as a test's whole, else.
                cursor.execute("SET enable_seqscan = off")
            for sql, params in asked:
                if "queues_outboxevent" in sql and not sql.startswith("INSERT"):
                    cursor.execute(f"{explaining} {sql}", params)
                    yield sql, "\n".join(str(row[-1]) for row in cursor.fetchall())

    yield explain
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("RESET enable_seqscan")


def publish():
    for _ in range(2):
        relay.publish_pending()


def publish_all_at_once():
    """How many ids one UPDATE settles depends on how fast SQS answers: here as many as may be."""
    while taken := claims.take_oldest("orders", most=relay.CLAIM_ROWS):
        claims.settle(taken[0].claim, {event.pk: "m" for event in taken})


def release():
    OutboxEvent.objects.update(state="claimed", lease_until="2020-01-01T00:00Z")
    assert claims.release_expired()


def republish():
    relay.publish_pending()
    for alias in ("orders", "transactions"):
        queue = sqs.queue(alias)
        queue.delete_batch(queue.receive(limit=10, wait_seconds=0))
    OutboxEvent.objects.update(published_at="2020-01-01T00:00Z")
    assert lost.republish_lost("transactions")


def wait_for_the_group():
    relay.publish_pending()
    OutboxEvent.objects.filter(group="g", subject="first").update(state="held")
    [message] = sqs.queue("transactions").receive(limit=1, wait_seconds=0)
    fifo_groups.must_wait(sqs.queue("transactions"), message)
    assert fifo_groups.held() is not None


def carry_rubbish():
    OutboxEvent.objects.carried_by("orders", event_id=None, sqs_message_id="m").first()


@pytest.mark.parametrize(
    "asking", [publish, release, republish, wait_for_the_group, carry_rubbish, old_rows.tidy]
)
def test_no_question_reads_the_whole_outbox(aws, plans, asking):
    record()
    record(data_type=ParcelWeighed)
    DeadLetter.objects.create(queue="orders", sqs_message_id="m", body="{}")

    found = list(plans(asking))

    assert found
    for sql, plan in found:
        if sql.startswith("UPDATE") and "WHERE" not in sql:
            continue  # The test's own.
        assert not re.search(READS_ALL, plan), f"{sql}\n{plan}"


@pytest.mark.parametrize("asking", [publish, publish_all_at_once])
@pytest.mark.django_db(transaction=False)  # What ANALYZE finds would mislead the other tests.
def test_backlog_is_published_without_reading_what_was_published_before(aws, plans, asking):
    for alias in ("orders", "transactions"):
        OutboxEvent.objects.bulk_create(
            OutboxEvent(queue=alias, group="g", body="x" * 500, available_at="2020-01-01T00:00Z")
            for _ in range(500)
        )
    with connection.cursor() as cursor:
        # Nearly all rows are pending, says the database, and so their order may be had from any index.
        cursor.execute("ANALYZE")

    found = list(plans(asking))
    forget_statistics()

    assert not [plan for _, plan in found if re.search(READS_ALL, plan)]
