"""The database fails a message in flight."""

import contextvars
import itertools
import threading
import time

import pytest
from django.db import InterfaceError, OperationalError

from queues.aws import sqs
from queues.consumer import retry_in_place
from queues.consumer.handling import Disposition
from queues.consumer.loop import Consumer
from queues.consumer.retry_in_place import HOLD_SECONDS, RetryInPlace
from queues.errors import GiveBack
from queues.models import HandlingFailure
from tests.support.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


class GaveWay(Exception):
    sqlstate = "40P01"


def failing(times, exc, cause=None):
    """A handler that the database fails so often."""
    left = iter(range(times))

    def handle():
        if next(left, None) is not None:
            raise exc from cause
        return "done"

    return handle


def put(body, *, alias="orders"):
    sqs.queue(alias).send_batch([sqs.Outgoing(key="1", body=body)])


@pytest.mark.parametrize("exc", [OperationalError("gone"), InterfaceError("closed")])
def test_handler_runs_again_as_soon_as_the_database_answers(exc, caplog):
    assert RetryInPlace().run(failing(1, exc), name="event=e") == "done"

    assert "in flight, next try in 1 s event=e" in caplog.text


def test_conflict_is_tried_thrice_at_once_and_then_with_pauses(caplog):
    conflict = failing(4, OperationalError("deadlock detected"), GaveWay())

    assert RetryInPlace().run(conflict, name="event=e") == "done"

    assert [record.args[0] for record in caplog.records] == [0.0, 0.0, 0.0, 1.0]


def test_message_is_given_back_when_the_consumer_stops():
    def run():
        retry_in_place.begin(lambda: True)
        RetryInPlace().run(failing(9, OperationalError("gone")), name="event=e")

    with pytest.raises(GiveBack):
        contextvars.copy_context().run(run)


@pytest.fixture
def last_try(monkeypatch):
    """A handler that the database fails for the second time when its time is up."""
    clock, tries = time.monotonic, itertools.count()

    def fail(*args):
        if next(tries):
            monkeypatch.setattr(time, "monotonic", lambda: clock() + HOLD_SECONDS)
        raise OperationalError("gone")

    return fail


def test_retries_end_before_visibility_does(last_try):
    with pytest.raises(OperationalError):
        RetryInPlace().run(last_try, name="event=e")


def test_message_that_outlives_its_retries_comes_back_with_a_record(aws, last_try):
    put("late")
    Consumer(sqs.queues(["orders"]), handle=last_try).poll_once()

    assert HandlingFailure.objects.get().code == "OperationalError"
    assert sqs.queue("orders").depth().in_flight == 1


def test_nothing_is_received_while_a_message_waits_for_the_database(aws):
    is_back = threading.Event()
    handled = []

    def handle(queue, message):
        if not is_back.is_set():
            raise OperationalError("gone")
        handled.append(message.body)
        return Disposition(delete=True)

    put("first")
    consumer = Consumer(sqs.queues(["orders"]), handle=handle)
    running = threading.Thread(target=consumer.run)
    running.start()
    wait_until(lambda: consumer._retries.is_tried and not consumer._polls, what="quiet")
    for number in range(3):
        put(str(number))
    # Longer than the first pause: the handler has run again meanwhile.
    time.sleep(1.5)
    depth = sqs.queue("orders").depth()
    is_back.set()
    wait_until(lambda: len(handled) == 4, what="all handled")
    consumer.stopping = True
    running.join(10)

    assert (depth.visible, depth.in_flight) == (3, 1)
    assert not HandlingFailure.objects.exists()
