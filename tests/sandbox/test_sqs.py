import threading
import time
from typing import Any

import pytest
from moto.sqs import models
from moto.sqs.exceptions import ReceiptHandleIsInvalid

from sandbox.sqs import InvalidMessageContents, SandboxQueue, SandboxSQS

REGION, ACCOUNT = "eu-west-1", "123456789012"


@pytest.fixture
def sqs(monkeypatch):
    monkeypatch.setattr(models, "Queue", SandboxQueue)
    monkeypatch.setattr(models.sqs_backends, "backend", SandboxSQS)
    models.sqs_backends.pop(ACCOUNT, None)
    yield models.sqs_backends[ACCOUNT][REGION]
    models.sqs_backends.pop(ACCOUNT, None)


@pytest.fixture
def fifo(sqs):
    sqs.create_queue("q.fifo", FifoQueue="true")
    return "q.fifo"


@pytest.fixture
def standard(sqs):
    sqs.create_queue("q")
    return "q"


def send(sqs, queue, body, *, group="g", deduplication_id=None):
    return sqs.send_message(
        queue, body, group_id=group, deduplication_id=deduplication_id or f"id-{body}"
    )


def receive(sqs, queue, count=10, *, wait=0, visibility=30):
    return sqs.receive_message(queue, count, wait, visibility)


def bodies(messages):
    return [message.body for message in messages]


def dead_lettered(sqs, *, fifo, max_receive_count):
    suffix, attributes = (".fifo", {"FifoQueue": "true"}) if fifo else ("", {})
    dead = sqs.create_queue(f"dead{suffix}", **attributes)
    policy = {"deadLetterTargetArn": dead.queue_arn, "maxReceiveCount": max_receive_count}
    sqs.create_queue(f"source{suffix}", RedrivePolicy=policy, **attributes)
    return f"source{suffix}", f"dead{suffix}"


def test_group_gives_several_messages_in_order_in_one_receive(sqs, fifo):
    for body in "abc":
        send(sqs, fifo, body)

    assert bodies(receive(sqs, fifo)) == ["a", "b", "c"]


def test_group_in_flight_blocks_its_other_messages_but_no_other_group(sqs, fifo):
    send(sqs, fifo, "a1", group="a")
    receive(sqs, fifo)
    send(sqs, fifo, "a2", group="a")
    send(sqs, fifo, "b1", group="b")

    assert bodies(receive(sqs, fifo)) == ["b1"]


def test_hidden_message_blocks_its_group_until_it_is_visible_again(sqs, fifo):
    send(sqs, fifo, "first")
    send(sqs, fifo, "second")
    (first,) = receive(sqs, fifo, 1)
    sqs.change_message_visibility(fifo, first.receipt_handle, 60)
    assert receive(sqs, fifo) == []

    sqs.change_message_visibility(fifo, first.receipt_handle, 0)

    assert bodies(receive(sqs, fifo)) == ["first", "second"]


def test_visible_message_waits_for_a_later_one_of_its_group_in_flight(sqs, fifo):
    send(sqs, fifo, "first")
    send(sqs, fifo, "second")
    first, _ = receive(sqs, fifo)

    sqs.change_message_visibility(fifo, first.receipt_handle, 0)

    assert receive(sqs, fifo) == []


def test_deleting_lets_the_group_go_on(sqs, fifo):
    send(sqs, fifo, "first")
    send(sqs, fifo, "second")
    (first,) = receive(sqs, fifo, 1)

    sqs.delete_message(fifo, first.receipt_handle)

    assert bodies(receive(sqs, fifo)) == ["second"]


def test_deduplication_id_is_remembered_after_the_message_is_deleted(sqs, fifo):
    sent = send(sqs, fifo, "a", deduplication_id="same")
    (message,) = receive(sqs, fifo)
    sqs.delete_message(fifo, message.receipt_handle)

    repeated = send(sqs, fifo, "b", deduplication_id="same")

    assert receive(sqs, fifo) == []
    assert (repeated.id, repeated.sequence_number) == (sent.id, sent.sequence_number)


def test_deduplication_id_is_forgotten_after_five_minutes(sqs, fifo, monkeypatch):
    send(sqs, fifo, "a", deduplication_id="same")
    later = models.unix_time_millis() + 5 * 60 * 1000 + 1
    monkeypatch.setattr(models, "unix_time_millis", lambda: later)

    send(sqs, fifo, "b", deduplication_id="same")

    assert len(sqs.get_queue(fifo)._messages) == 2


def test_sequence_numbers_rise(sqs, fifo):
    numbers = [int(send(sqs, fifo, body).sequence_number) for body in "abc"]

    assert numbers == sorted(numbers)


def test_old_receipt_handle_cannot_delete_a_fifo_message_in_other_hands(sqs, fifo):
    send(sqs, fifo, "a")
    (mine,) = receive(sqs, fifo, visibility=0)
    (theirs,) = receive(sqs, fifo)

    with pytest.raises(ReceiptHandleIsInvalid):
        sqs.delete_message(fifo, mine.receipt_handle)
    sqs.delete_message(fifo, theirs.receipt_handle)


@pytest.mark.parametrize("fifo", [True, False])
def test_used_up_message_moves_to_the_dead_letter_queue(sqs, fifo):
    source, dead = dead_lettered(sqs, fifo=fifo, max_receive_count=2)
    sent = send(sqs, source, "bad")
    receives = [bodies(receive(sqs, source, visibility=0)) for _ in range(3)]

    (message,) = receive(sqs, dead)

    assert receives == [["bad"], ["bad"], []]
    assert (message.id, message.approximate_receive_count) == (sent.id, 3)


def test_used_up_message_does_not_hold_up_its_group(sqs):
    source, _ = dead_lettered(sqs, fifo=True, max_receive_count=1)
    send(sqs, source, "bad")
    send(sqs, source, "good")
    receive(sqs, source, 1, visibility=0)

    assert bodies(receive(sqs, source)) == ["good"]


def test_long_poll_wakes_at_once_when_a_message_arrives(sqs, standard):
    threading.Timer(0.1, send, (sqs, standard, "a")).start()
    began = time.monotonic()

    received = receive(sqs, standard, wait=5)

    assert bodies(received) == ["a"]
    assert time.monotonic() - began < 2


def test_long_poll_wakes_when_a_message_becomes_visible_again(sqs, standard):
    send(sqs, standard, "a")
    receive(sqs, standard, visibility=1)
    began = time.monotonic()

    received = receive(sqs, standard, wait=5)

    assert bodies(received) == ["a"]
    assert time.monotonic() - began < 3


def test_long_poll_wakes_when_its_group_is_free_again(sqs, fifo):
    send(sqs, fifo, "first")
    send(sqs, fifo, "second")
    (first,) = receive(sqs, fifo, 1)
    threading.Timer(0.05, sqs.delete_message, (fifo, first.receipt_handle)).start()
    began = time.monotonic()

    received = receive(sqs, fifo, wait=5)

    assert bodies(received) == ["second"]
    assert time.monotonic() - began < 2


def test_many_receivers_get_each_message_once_and_each_group_in_order(sqs, fifo):
    for number in range(20):
        for group in "abcd":
            send(sqs, fifo, f"{group}{number:02}", group=group)
    handled: list[str] = []

    def work():
        while messages := receive(sqs, fifo, 2):
            for message in messages:
                handled.append(message.body)
                sqs.delete_message(fifo, message.receipt_handle)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    work()

    assert sorted(handled) == [f"{group}{number:02}" for group in "abcd" for number in range(20)]
    for group in "abcd":
        mine = [body for body in handled if body[0] == group]
        assert mine == sorted(mine)


def test_expired_message_is_gone(sqs):
    sqs.create_queue("short", MessageRetentionPeriod="60")
    send(sqs, "short", "a").sent_timestamp -= 61_000

    assert receive(sqs, "short") == []


def test_purge_empties_the_queue(sqs, standard):
    send(sqs, standard, "a")

    sqs.purge_queue(standard)

    assert receive(sqs, standard) == []


def test_attributes_count_visible_hidden_and_delayed_messages(sqs, standard):
    send(sqs, standard, "hidden")
    receive(sqs, standard)
    send(sqs, standard, "visible")
    sqs.send_message(standard, "delayed", delay_seconds=60)

    attributes = sqs.get_queue(standard).attributes

    assert attributes["ApproximateNumberOfMessages"] == 1
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == 1
    assert attributes["ApproximateNumberOfMessagesDelayed"] == 1


@pytest.mark.parametrize("char", ["\0", "\x07", "\x0b", "\x1f", "\ufffe", "\uffff"])
def test_message_with_a_character_outside_xml_is_refused(sqs, standard, char):
    with pytest.raises(InvalidMessageContents, match="was found in the message body"):
        sqs.send_message(standard, f"a{char}b")

    assert receive(sqs, standard) == []


def test_entry_with_a_character_outside_xml_fails_alone(sqs, standard):
    entries: dict[str, Any] = {
        str(number): {
            "Id": f"id-{number}", "MessageBody": body, "MessageAttributes": {}, "DelaySeconds": None,
        }
        for number, body in enumerate(["one", "two\uffff", "three\t\U0001f600\U0001ffff"])
    }  # fmt: skip

    sent, failed = sqs.send_message_batch(standard, entries)

    assert bodies(sent) == ["one", "three\t\U0001f600\U0001ffff"]
    [error] = failed
    assert (error["Id"], error["SenderFault"], error["Code"]) == (
        "id-1",
        True,
        "InvalidMessageContents",
    )
