import threading

from queues.aws.sqs import Queue, Received
from queues.consumer.in_flight import InFlight

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


def test_visibility_is_extended_while_everything_else_hangs(settings):
    settings.QUEUE_VISIBILITY_SECONDS = 0
    queue, in_flight = SlowQueue(), InFlight()
    queue.go_on.set()
    in_flight.take(queue, [MESSAGE])

    with in_flight.extended():
        # This thread waits, as the consumer's does for a database that hangs.
        assert queue.begun.wait(5)

    assert queue.done
