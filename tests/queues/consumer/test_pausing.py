import threading

import pytest
from django.core.management import CommandError, call_command

from queues import registry
from queues.aws import sqs
from queues.consumer import pausing
from queues.consumer.handling import Disposition
from queues.consumer.loop import Consumer
from queues.models import HandlingFailure
from queues.models.live import PausedQueue
from queues.outbox import relay
from tests.support.parcels import record
from tests.support.processes import wait_until
from tests.support.threads import at_once


def pause(alias="orders"):
    return pausing.pause(alias, by="grace", reason="the template is wrong")


@pytest.mark.django_db
def test_paused_queue_is_closed_to_consumers_and_the_others_are_not():
    pause()

    assert registry.why_closed("orders") == "paused by grace: the template is wrong"
    assert registry.why_closed("transactions") == ""


@pytest.mark.django_db
def test_resumed_queue_is_open_again():
    pause()

    assert pausing.resume("orders", by="ada")

    assert registry.why_closed("orders") == ""
    assert not pausing.resume("orders", by="ada")


@pytest.mark.django_db
def test_second_pause_keeps_the_first_reason():
    pause()

    assert not pausing.pause("orders", by="ada", reason="another")

    assert PausedQueue.objects.get().reason == "the template is wrong"


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_of_many_who_pause_at_once_one_does():
    assert sorted(at_once(6, pause)) == [False] * 5 + [True]


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_of_many_who_resume_at_once_one_does():
    pause()

    resumed = at_once(6, lambda: pausing.resume("orders", by="ada"))

    assert sorted(resumed) == [False] * 5 + [True]


@pytest.mark.django_db(transaction=True)
def test_messages_of_a_paused_queue_stay_and_lose_no_receive(aws):
    record()
    pause()

    with pytest.raises(
        CommandError, match="queue orders was not read: paused by grace: the template is wrong"
    ):
        call_command("consume_queue", "orders", "--until-empty")

    pausing.resume("orders", by="grace")
    [message] = sqs.queue("orders").receive(limit=1, wait_seconds=0)
    assert message.receive_count == 1
    assert not HandlingFailure.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_running_consumer_stops_receiving_and_goes_on_when_the_queue_is_resumed(aws, caplog):
    handled = []

    def handle(queue, message):
        handled.append(message)
        consumer.stopping = True
        return Disposition(delete=True)

    consumer = Consumer(sqs.queues(["orders"]), handle=handle)
    pause()
    record()
    relay.publish_pending()
    running = threading.Thread(target=consumer.run)

    running.start()
    # It looks again after a second.
    wait_until(lambda: "not receiving queue=orders: paused by grace" in caplog.text, what="a pause")
    pausing.resume("orders", by="ada")
    running.join(30)

    assert [message.receive_count for message in handled] == [1]
    assert consumer.handled == 1
