"""Faults of SQS, of the relay and of the database around them."""

import json
import sqlite3
import threading
import uuid
from dataclasses import replace
from datetime import timedelta

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from moto.core import set_initial_no_auth_action_count

from orders.models import Order
from queues import registry
from queues.aws import clients, provisioning, sqs
from queues.consumer.handling import Disposition
from queues.consumer.loop import Consumer
from queues.dead_letters import collecting, decisions
from queues.errors import QueueUnavailable
from queues.events.envelope import Event, EventData
from queues.models import DeadLetter, HandlingFailure, OutboxEvent
from queues.outbox import relay
from queues.upkeep import sweeping
from tests.support.builders import (
    make_account,
    make_order,
    make_product,
    make_transaction,
    shipping,
)
from tests.support.owed import place
from tests.support.parcels import ParcelWeighed, record

State = OutboxEvent.State
IN_PROCESS = pytest.mark.django_db
IN_THREADS = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sqs_answers(aws, request):
    """Let a function change what SQS answers to an operation; returns a function that ends it."""

    def install(operation, change):
        events = sqs.client().meta.events
        name = f"after-call.sqs.{operation}"
        events.register(name, change)
        request.addfinalizer(lambda: events.unregister(name, change))
        return lambda: events.unregister(name, change)

    return install


def lose(**kwargs):
    raise ReadTimeoutError(endpoint_url="http://sqs")


def due_now():
    # SQLite's time has no microseconds.
    now = timezone.now() - timedelta(milliseconds=1)
    OutboxEvent.objects.filter(state=State.PENDING).update(available_at=now)


def delete_queue(alias):
    sqs.client().delete_queue(QueueUrl=sqs.queue(alias).url)


def put(body, *, alias="orders", group=""):
    message = sqs.Outgoing(key="1", body=body, group=group, deduplication_id=str(hash(body)))
    sqs.queue(alias).send_batch([message])


@IN_PROCESS
@pytest.mark.parametrize("owe", [make_order, make_transaction])
def test_lost_answer_to_publishing_leads_to_one_email(aws, consume, sqs_answers, owe):
    owe()
    heal = sqs_answers("SendMessageBatch", lose)
    assert relay.publish_pending() == 0
    heal()
    due_now()

    assert relay.publish_pending() == 1
    for _ in range(3):
        consume()

    assert len(aws.accepted) == 1
    assert OutboxEvent.objects.get().state == State.HANDLED


@IN_PROCESS
def test_entry_that_fails_in_a_fifo_group_is_not_overtaken(aws, sqs_answers):
    for note in "ab":
        record(note, data_type=ParcelWeighed)

    def refuse(parsed, **kwargs):
        [entry] = parsed.pop("Successful")
        parsed["Failed"] = [{"Id": entry["Id"], "Code": "Busy", "SenderFault": False}]

    sqs_answers("SendMessageBatch", refuse)

    assert [relay.publish_pending() for _ in range(2)] == [0, 0]
    assert set(OutboxEvent.objects.values_list("state", "tries")) == {
        ("pending", 1),
        ("pending", 0),
    }


@IN_PROCESS
def test_second_message_of_an_event_after_the_memory_of_fifo_sends_nothing(aws, consume):
    make_transaction()
    relay.publish_pending()
    # What SQS makes of the same deduplication id after five minutes.
    relay.publish_again(OutboxEvent.objects.all())
    relay.publish_pending()
    assert sqs.queue("transactions").depth().visible == 2

    for _ in range(3):
        consume()

    assert len(aws.accepted) == 1
    assert sqs.queue("transactions").depth() == sqs.Depth(0, 0, 0)


@IN_PROCESS
def test_letter_of_an_email_that_was_sent_is_redriven_without_a_second(aws, consume):
    event = place()
    consume()
    DeadLetter.objects.create(
        queue="orders",
        sqs_message_id="m",
        event_id=event.id,
        type=event.type,
        subject=event.subject,
        body=event.to_json(),
    )

    assert decisions.redrive(DeadLetter.objects.all()) == 1
    consume()

    assert len(aws.accepted) == 1
    assert set(OutboxEvent.objects.values_list("state", flat=True)) == {State.HANDLED}


@IN_PROCESS
def test_poison_at_the_head_of_a_fifo_group_lets_the_rest_pass(aws, consume):
    put("poison", alias="transactions", group="g")
    relayed = make_transaction(account=make_account())
    OutboxEvent.objects.update(group="g")

    for _ in range(5):
        consume()
    collecting.collect_all()

    assert [letter.code for letter in DeadLetter.objects.all()] == ["BadEnvelope"]
    assert relayed.reference in aws.accepted[0].raw_data


@IN_PROCESS
@pytest.mark.parametrize("gone", ["purged", "expired", "deleted and made again"])
def test_messages_that_sqs_lost_are_published_again_and_sent_once(aws, consume, gone):
    make_order()
    relay.publish_pending()
    if gone == "purged":
        sqs.client().purge_queue(QueueUrl=sqs.queue("orders").url)
    elif gone == "expired":
        # Nobody but SQS sees the retention end: the message is not there any more.
        sqs.queue("orders").delete_batch(sqs.queue("orders").receive(limit=1, wait_seconds=0))
    else:
        delete_queue("orders")
        with pytest.raises(QueueUnavailable):
            Consumer(sqs.queues(["orders"])).poll_once()
        provisioning.provision(lambda line: None)
    OutboxEvent.objects.update(published_at=timezone.now() - timedelta(hours=1))

    sweeping.sweep()
    consume()

    assert len(aws.accepted) == 1


@IN_PROCESS
def test_outbox_grows_while_its_queue_is_missing_and_drains_afterwards(aws, consume):
    delete_queue("orders")
    for _ in range(3):
        make_order()
    relay.publish_pending()
    assert set(OutboxEvent.objects.values_list("state", flat=True)) == {State.PENDING}

    provisioning.provision(lambda line: None)
    due_now()
    consume()

    assert len(aws.accepted) == 3


def known_keys():
    """Keys of a user who may do all, as moto knows them."""
    iam = boto3.client("iam", region_name="eu-west-1")
    iam.create_user(UserName="notifier")
    allow_all = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow_all]})
    iam.put_user_policy(UserName="notifier", PolicyName="all", PolicyDocument=policy)
    return iam.create_access_key(UserName="notifier")["AccessKey"]


def expire(**kwargs):
    raise ClientError({"Error": {"Code": "ExpiredToken", "Message": "too old"}}, "SendMessageBatch")


def write_keys(file, key, secret):
    file.write_text(f"[default]\naws_access_key_id={key}\naws_secret_access_key={secret}\n")


@IN_PROCESS
@pytest.mark.parametrize("expired", [True, False], ids=["expired", "none"])
def test_renewed_credentials_are_read_without_a_restart(
    aws, sqs_answers, monkeypatch, request, tmp_path, expired
):
    record()
    keys, file = known_keys(), tmp_path / "credentials"
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    clients.forget_clients()
    request.addfinalizer(clients.forget_clients)
    if expired:
        # Moto's own refusal is XML, which is not what SQS speaks.
        write_keys(file, "AKIAEXPIRED", "expired")
        sqs_answers("SendMessageBatch", expire)
    publish = set_initial_no_auth_action_count(0)(relay.publish_pending)
    assert publish() == 0
    error = OutboxEvent.objects.get().error
    assert ("ExpiredToken" if expired else "Unable to locate credentials") in error

    write_keys(file, keys["AccessKeyId"], keys["SecretAccessKey"])
    due_now()

    assert publish() == 1


@IN_PROCESS
def test_backlog_is_published_once_however_long_it_waits(aws):
    for _ in range(25):
        record()
    while relay.publish_pending():
        pass
    OutboxEvent.objects.update(published_at=timezone.now() - timedelta(days=1))

    for _ in range(3):
        sweeping.sweep()

    assert relay.publish_pending() == 0
    assert sqs.queue("orders").depth().visible == 25


@IN_PROCESS
def test_limit_of_messages_in_flight_stops_receiving_and_burns_nothing(aws, sqs_answers):
    record()
    relay.publish_pending()

    def over_limit(**kwargs):
        raise ClientError({"Error": {"Code": "OverLimit", "Message": "120000"}}, "ReceiveMessage")

    consumer = Consumer(sqs.queues(["orders"]))
    heal = sqs_answers("ReceiveMessage", over_limit)
    with pytest.raises(QueueUnavailable, match="OverLimit"):
        consumer.step(sqs.queue("orders"), wait_seconds=0)
    heal()

    assert consumer.unfinished == 0


@IN_PROCESS
@pytest.mark.parametrize(
    "disposition", [Disposition(delete=True), Disposition(delete=False, hide_seconds=5)]
)
def test_receipt_that_is_no_longer_valid_stops_nobody(aws, monkeypatch, disposition):
    for body in ("stale", "good"):
        put(body)
    seen = []

    def receive(**options):
        return [
            replace(message, receipt="gone") if message.body == "stale" else message
            for message in sqs.Queue.receive(queue, **options)
        ]

    def handle(queue, message):
        seen.append(message.body)
        return disposition

    queue = sqs.queue("orders")
    monkeypatch.setattr(queue, "receive", receive)
    consumer = Consumer([queue], handle=handle)
    consumer.poll_once()

    assert sorted(seen) == ["good", "stale"]
    assert consumer.unfinished == 0
    assert queue.depth().in_flight == (1 if disposition.delete else 2)


@IN_THREADS
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_nothing_is_received_while_the_database_is_down(aws, error):
    put("waits")
    consumer = Consumer(
        sqs.queues(["orders"]), handle=lambda queue, message: Disposition(delete=True)
    )
    calls = []

    def go_away(execute, sql, params, many, context):
        calls.append(sql)
        consumer.stopping = len(calls) == 2
        raise error("the database is gone")

    with connection.execute_wrapper(go_away):
        while not consumer.stopping:
            consumer._receive_or_stop(sqs.queue("orders"))

    assert len(calls) == 2
    [message] = sqs.queue("orders").receive(limit=1, wait_seconds=0)
    assert message.receive_count == 1


@IN_THREADS
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite locks the whole file")
def test_message_stays_in_hand_while_sqlite_is_locked(aws, caplog):
    make_order()
    relay.publish_pending()
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(
        connection.settings_dict["NAME"], isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN IMMEDIATE")
    unlocking = threading.Timer(0.5, other.close)
    unlocking.start()

    assert Consumer(sqs.queues(["orders"])).poll_once() == 1
    unlocking.join()

    assert "database is locked" in caplog.text
    assert len(aws.accepted) == 1
    assert not HandlingFailure.objects.exists()


@IN_THREADS
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="a page limit stands for a full disk")
def test_full_disk_refuses_the_order_and_keeps_what_is_there(aws, consume, client):
    product = make_product()
    make_order(lines=[(product, 1)])
    with connection.cursor() as cursor:
        # No free pages that earlier tests have left.
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA page_count")
        [pages] = cursor.fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OperationalError, match="full"):
        for _ in range(200):
            make_order(lines=[(product, 1)], shipping_street="x" * 190)
    form = shipping() | {f"quantity-{product.pk}": "1", "idempotency_key": uuid.uuid4()}
    assert client.post("/", form).status_code == 503
    assert Order.objects.count() == OutboxEvent.objects.count()

    connection.close()
    while consume():
        pass

    assert len(aws.accepted) == Order.objects.count()


@IN_PROCESS
@pytest.mark.parametrize("minutes", [-10, 10])
def test_wrong_clock_of_a_worker_delays_no_email_and_keeps_no_lease(
    aws, consume, monkeypatch, minutes
):
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() + timedelta(minutes=minutes))
    make_order()

    consume()

    assert len(aws.accepted) == 1


class KiteFlown(EventData, type="kite.flown.v1", queue="orders", source="/tests"):
    """A type that only a later version of the consumer handles."""


@IN_PROCESS
def test_event_of_a_later_version_is_handled_after_the_upgrade_and_a_redrive(aws, consume):
    put(json.dumps({"source": "/t", "type": "kite.flown.v1", "data": {}}))
    for _ in range(4):
        consume()
    collecting.collect_all()
    letter = DeadLetter.objects.get()
    assert letter.code == "UnknownType"

    flown: list[Event] = []
    registry.handles("kite.flown.v1")(flown.append)
    try:
        decisions.redrive(DeadLetter.objects.all())
        consume()
    finally:
        del registry._handlers["kite.flown.v1"]

    assert len(flown) == 1


@IN_PROCESS
def test_field_that_an_older_consumer_does_not_know_is_ignored(aws, consume):
    event = place().model_dump(mode="json")
    event["data"]["gift_wrap"] = {"colour": "red"}
    event["priority"] = 7
    OutboxEvent.objects.update(body=json.dumps(event))

    consume()

    assert len(aws.accepted) == 1


class GaveWay(Exception):
    """The error that psycopg raises in a transaction that PostgreSQL ends for another."""

    def __init__(self, sqlstate):
        self.sqlstate = sqlstate


@IN_THREADS
@pytest.mark.parametrize("sqlstate", ["40P01", "40001"], ids=["deadlock", "serialization"])
def test_transaction_that_gave_way_is_tried_again_at_once(aws, caplog, sqlstate):
    make_order()
    relay.publish_pending()
    left = iter(range(3))

    def give_way(execute, sql, params, many, context):
        if sql.startswith('INSERT INTO "emails_attempt"') and next(left, None) is not None:
            raise OperationalError("gave way") from GaveWay(sqlstate)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(give_way):
        Consumer(sqs.queues(["orders"])).poll_once()

    assert caplog.text.count("next try in 0 s") == 3
    assert len(aws.accepted) == 1
    assert not HandlingFailure.objects.exists()
