import threading
import time

import pytest

from queues.aws.sqs import Queue, Received
from queues.consumer.in_flight import InFlight
from queues.errors import QueueUnavailable

MESSAGE = Received(id="1", receipt="r", body="{}")


class SlowQueue(Queue):
    """A queue whose heartbeat takes as long as a test wants."""

    def __init__(self):
        super().__init__("orders", "notifier-orders")
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.done = []

    def hide_batch(self, messages, *, seconds):
        self.begun.set()
        self.go_on.wait(5)
        self.done.append("extended")


def test_message_is_not_let_go_while_a_heartbeat_would_lengthen_what_follows(settings):
    settings.QUEUE_VISIBILITY_SECONDS = 0
    queue, in_flight = SlowQueue(), InFlight()
    in_flight.take(queue, [MESSAGE])

    def let_go():
        in_flight.let_go(MESSAGE)
        queue.done.append("let go")

    threads = [threading.Thread(target=in_flight.heartbeat), threading.Thread(target=let_go)]
    threads[0].start()
    assert queue.begun.wait(5)
    threads[1].start()
    threads[1].join(0.05)
    queue.go_on.set()
    for thread in threads:
        thread.join(5)

    assert queue.done == ["extended", "let go"]
    assert len(in_flight) == 0


class Extended(Queue):
    """A queue that keeps a list of what is extended, or has no answer."""

    def __init__(self, alias, *, answers=True):
        super().__init__(alias, f"notifier-{alias}")
        self.extended, self.answers = [], answers

    def hide_batch(self, messages, *, seconds):
        if not self.answers:
            raise QueueUnavailable("no answer")
        self.extended.append(([message.id for message in messages], seconds))


@pytest.fixture
def now(monkeypatch):
    """The seconds of a clock that a test moves."""
    seconds = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: seconds[0])
    return seconds


def message(name):
    return Received(id=name, receipt=f"r-{name}", body="{}")


def test_visibility_is_extended_thrice_within_its_timeout(settings, now):
    settings.QUEUE_VISIBILITY_SECONDS = 90
    queue, in_flight = Extended("orders"), InFlight()
    in_flight.take(queue, [message("a"), message("b")])

    for _ in range(90):
        now[0] += 1
        in_flight.heartbeat()

    assert queue.extended == [(["a", "b"], 90)] * 3


def test_message_that_is_done_is_extended_no_more(settings, now):
    settings.QUEUE_VISIBILITY_SECONDS = 90
    queue, in_flight = Extended("orders"), InFlight()
    in_flight.take(queue, [message("a"), message("b"), message("c")])
    in_flight.drop(message("a"))
    in_flight.let_go(message("b"))
    in_flight.drop(message("never taken"))

    now[0] += 31
    in_flight.heartbeat()

    assert queue.extended == [(["c"], 90)]
    assert len(in_flight) == 1


def test_message_whose_handler_is_stuck_is_left_to_another_consumer(settings, now):
    settings.QUEUE_VISIBILITY_SECONDS = 90
    queue, in_flight = Extended("orders"), InFlight()
    in_flight.take(queue, [message("stuck")])
    now[0] += 600
    in_flight.heartbeat()
    in_flight.take(queue, [message("young")])
    now[0] += 301
    in_flight.heartbeat()

    assert [names for names, _ in queue.extended] == [["stuck"], ["young"]]


def test_queue_that_does_not_answer_keeps_no_other_from_being_extended(settings, now, caplog):
    settings.QUEUE_VISIBILITY_SECONDS = 90
    silent, answering = Extended("ses-events", answers=False), Extended("orders")
    in_flight = InFlight()
    for queue in (silent, answering):
        in_flight.take(queue, [message(queue.alias)])

    now[0] += 31
    in_flight.heartbeat()

    assert answering.extended == [(["orders"], 90)]
    assert "visibility not extended queue=ses-events" in caplog.text


def test_visibility_is_extended_while_everything_else_hangs(settings):
    settings.QUEUE_VISIBILITY_SECONDS = 0
    queue, in_flight = SlowQueue(), InFlight()
    queue.go_on.set()
    in_flight.take(queue, [MESSAGE])

    with in_flight.extended():
        # This thread waits, as the consumer's does for a database that hangs.
        assert queue.begun.wait(5)

    assert queue.done
