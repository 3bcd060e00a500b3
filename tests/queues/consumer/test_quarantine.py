"""Messages that came back from a consumer that died."""

import threading

import pytest
from django.db import OperationalError, connection

from queues.aws import sqs
from queues.consumer import quarantine
from queues.consumer.handling import Disposition
from queues.consumer.loop import Consumer
from queues.models import HandlingFailure, dead_letters
from tests.support.processes import wait_until

IN_PROCESS = pytest.mark.django_db
IN_THREADS = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def few_receives(settings):
    """Let a message be quarantined when it comes back for the first time."""
    settings.QUEUE_MAX_RECEIVE_COUNT = 3


def put(*bodies, alias="orders"):
    sqs.queue(alias).send_batch([sqs.Outgoing(key=body, body=body) for body in bodies])


def die(*, recorded=(), mark=()):
    """Leave what a dead consumer leaves of messages in flight: failures of some, a mark on others."""
    queue = sqs.queue("orders")
    for message in queue.receive(limit=10, wait_seconds=0):
        code = "Hot" if message.body in recorded else dead_letters.DIED
        if message.body in (*recorded, *mark):
            HandlingFailure.objects.create(
                queue="orders", sqs_message_id=message.id, receive_count=1, code=code
            )
        queue.hide(message, seconds=0)


def marks():
    return HandlingFailure.objects.filter(code=dead_letters.DIED)


class Seen(list[tuple[str, int, int]]):
    """Bodies in the order of handling, with how many messages were in flight and how many marked."""

    def handle(self, queue, message):
        self.append((message.body, queue.depth().in_flight, marks().count()))
        return Disposition(delete=True)


@IN_PROCESS
def test_quarantined_message_is_handled_last_and_alone_and_its_mark_taken_back(aws):
    put("a", "quarantined", "b")
    die(recorded=("a", "b"))
    seen = Seen()

    Consumer(sqs.queues(["orders"]), handle=seen.handle).poll_once()

    assert seen[-1] == ("quarantined", 1, 1)
    assert sorted(body for body, _, _ in seen) == ["a", "b", "quarantined"]
    assert not marks().exists()


@IN_PROCESS
@pytest.mark.parametrize(("most", "is_quarantined"), [(4, True), (5, False)])
def test_with_receives_to_spare_none_is_quarantined(aws, settings, most, is_quarantined):
    settings.QUEUE_MAX_RECEIVE_COUNT = most
    put("a")
    die()
    queue, waiting = sqs.queue("orders"), quarantine.Quarantine()

    waiting.take(queue, queue.receive(limit=10, wait_seconds=0))

    assert len(waiting) == is_quarantined


@IN_PROCESS
def test_one_that_died_alone_before_comes_after_all_others(aws):
    put("deadly", "a", "b")
    die(mark=("deadly",))
    seen = Seen()

    Consumer(sqs.queues(["orders"]), handle=seen.handle).poll_once()

    assert seen[-1] == ("deadly", 1, 2)
    assert marks().get().receive_count == 1


@IN_PROCESS
def test_failure_takes_the_place_of_the_mark(consume):
    put("no envelope")
    die()

    consume("orders")

    assert list(HandlingFailure.objects.values_list("receive_count", "code")) == [
        (2, "BadEnvelope")
    ]


@IN_PROCESS
def test_messages_of_the_common_path_cost_no_query(aws, django_assert_num_queries):
    put("a", "b")
    messages = sqs.queue("orders").receive(limit=10, wait_seconds=0)

    with django_assert_num_queries(0):
        assert quarantine.Quarantine().take(sqs.queue("orders"), messages) == messages


@IN_THREADS
def test_nothing_is_received_from_any_queue_while_a_quarantined_message_is_handled(aws):
    put("quarantined")
    die(mark=("quarantined",))
    begun, go_on = threading.Event(), threading.Event()
    seen = []

    def handle(queue, message):
        seen.append(message.body)
        begun.set()
        go_on.wait(10)
        return Disposition(delete=True)

    consumer = Consumer(sqs.queues(["orders", "ses-events"]), handle=handle)
    running = threading.Thread(target=consumer.run)
    running.start()
    assert begun.wait(10)
    put("report", alias="ses-events")
    begun.clear()
    is_received = begun.wait(0.5)
    go_on.set()
    wait_until(lambda: seen == ["quarantined", "report"], what="both")
    consumer.stopping = True
    running.join(10)

    assert not is_received


@IN_THREADS
def test_quarantined_messages_are_given_back_when_the_consumer_stops(aws):
    put("a", "b", "c")
    die()
    begun = threading.Event()

    def handle(queue, message):
        begun.set()
        while not consumer.stopping:
            begun.wait(0.01)
        return Disposition(delete=False, hide_seconds=30)

    consumer = Consumer(sqs.queues(["orders"]), handle=handle)
    running = threading.Thread(target=consumer.run)
    running.start()
    assert begun.wait(10)
    consumer.stopping = True
    running.join(10)

    assert consumer.unfinished == 0
    assert sqs.queue("orders").depth() == sqs.Depth(visible=2, in_flight=1, delayed=0)


@IN_PROCESS
def test_only_one_that_died_alone_waits_for_the_end_of_long_polls(aws):
    put("deadly", "a")
    die(mark=("deadly",))
    queue, waiting = sqs.queue("orders"), quarantine.Quarantine()
    waiting.take(queue, queue.receive(limit=10, wait_seconds=0))

    order = []
    for quiet in (False, False, True):
        found = waiting.next(quiet=quiet)
        order.append(found and found[1].body)
        waiting.done()

    assert order == ["a", None, "deadly"]


@IN_PROCESS
def test_quarantined_messages_are_handed_out_one_at_a_time(aws):
    put("a", "b")
    die()
    queue, waiting = sqs.queue("orders"), quarantine.Quarantine()
    waiting.take(queue, queue.receive(limit=10, wait_seconds=0))

    assert waiting.next()
    assert waiting.next() is None
    assert waiting.need_quiet

    waiting.done()
    assert waiting.next()


def message(name, *, receive=2):
    return sqs.Received(id=name, receipt=f"r-{name}", body=name, receive_count=receive)


def failed(name, receive, code, *, queue="orders"):
    HandlingFailure.objects.create(
        queue=queue, sqs_message_id=name, receive_count=receive, code=code
    )


@IN_PROCESS
@pytest.mark.parametrize(
    ("failures", "is_quarantined"),
    [
        ([], True),
        ([(1, "Hot", "orders")], True),
        ([(2, "Hot", "orders")], False),
        ([(2, dead_letters.DIED, "orders")], True),
        ([(2, "Hot", "ses-events")], True),
    ],
)
def test_message_whose_last_receive_has_a_recorded_end_is_not_quarantined(
    settings, failures, is_quarantined
):
    settings.QUEUE_MAX_RECEIVE_COUNT = 3
    for receive, code, queue in failures:
        failed("a", receive, code, queue=queue)
    waiting, both = quarantine.Quarantine(), [message("a", receive=3), message("first", receive=1)]

    others = waiting.take(sqs.queue("orders"), both)

    assert [other.id for other in others] == (["first"] if is_quarantined else ["a", "first"])
    assert (len(waiting), waiting.need_quiet) == (is_quarantined, is_quarantined)


@IN_PROCESS
def test_message_is_quarantined_alone_when_the_database_cannot_say_what_it_is():
    def fail(execute, sql, *rest):
        raise OperationalError("gone")

    waiting = quarantine.Quarantine()
    with connection.execute_wrapper(fail):
        assert waiting.take(sqs.queue("orders"), [message("a")]) == []

    found = waiting.next(quiet=False)
    assert found and found[1].id == "a"


@IN_PROCESS
def test_rest_is_given_back_once_and_the_one_in_hand_is_not():
    waiting = quarantine.Quarantine()
    waiting.take(sqs.queue("orders"), [message("a"), message("b"), message("c")])
    assert waiting.next()

    assert [[it.id for _, it in waiting.rest()] for _ in range(2)] == [["b", "c"], []]
    assert waiting.need_quiet
    waiting.done()
    assert not waiting.need_quiet


@IN_PROCESS
def test_mark_is_made_once_and_taken_back_alone():
    queue, mine = sqs.queue("orders"), message("a")
    for _ in range(2):
        quarantine.mark(queue, mine)
    row = marks().get()
    assert (row.queue, row.sqs_message_id, row.receive_count) == ("orders", "a", 2)
    assert "nothing else was in flight" in row.reason
    failed("a", 1, dead_letters.DIED)
    failed("a", 2, dead_letters.DIED, queue="ses-events")
    failed("b", 2, dead_letters.DIED)

    quarantine.unmark(queue, mine)

    assert not HandlingFailure.objects.filter(pk=row.pk).exists()
    assert marks().count() == 3


@IN_PROCESS
def test_cause_that_took_the_place_of_the_mark_is_not_taken_back():
    failed("a", 2, "Hot")

    quarantine.unmark(sqs.queue("orders"), message("a"))

    assert HandlingFailure.objects.get().code == "Hot"
