import threading
import time
from collections import deque

import pytest

from queues.aws.received import Received
from queues.consumer.lanes import MOST_RECEIVING, Lanes


class Source:
    """What lanes receive from: batches of these sizes, then nothing; remembers how many received at once."""

    def __init__(self, *sizes, seconds=0.02):
        self.sizes = deque(sizes)
        self.seconds = seconds
        self.most, self.now, self.polls = 0, 0, 0
        self.worked: list[int] = []
        self.is_over = False
        self.lock = threading.Lock()

    def receive(self):
        with self.lock:
            self.now += 1
            self.polls += 1
            self.most = max(self.most, self.now)
            size = self.sizes.popleft() if self.sizes else 0
        time.sleep(self.seconds)
        with self.lock:
            self.now -= 1
        return [Received(str(n), str(n), "") for n in range(size)]

    def work(self, messages):
        with self.lock:
            self.worked.append(len(messages))

    def lanes(self, size, work):
        return Lanes(
            "lane",
            size=size,
            receive=self.receive,
            work=work or self.work,
            is_over=lambda: self.is_over,
        )


@pytest.fixture
def running():
    started = []

    def start(source, size, work=None):
        lanes = source.lanes(size, work)
        lanes.start()
        started.append((source, lanes))
        return lanes

    yield start
    for source, lanes in started:
        source.is_over = True
        lanes.join(timeout=5)
        assert not lanes.are_alive


def until(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_idle_queue_is_polled_by_one_lane_at_a_time(running):
    source = Source()
    running(source, 8)
    until(lambda: source.polls >= 5)

    assert source.most == 1


def test_full_batches_let_more_lanes_receive_but_not_all(running):
    source = Source(*[10] * 40)
    running(source, 16)
    until(lambda: source.worked.count(10) == 40)

    assert 1 < source.most <= MOST_RECEIVING


def test_batches_that_are_not_full_are_received_by_one_lane(running):
    source = Source(*[9] * 10)
    running(source, 8)
    until(lambda: source.worked.count(9) == 10)

    assert source.most == 1


def test_next_lane_receives_while_one_works(running):
    source = Source(1, 1)
    begun, go_on = threading.Semaphore(0), threading.Event()

    def work(messages):
        if messages:
            begun.release()
            go_on.wait(5)

    running(source, 2, work)

    assert begun.acquire(timeout=5) and begun.acquire(timeout=5)
    go_on.set()


def test_lanes_that_are_too_many_end_and_new_ones_begin(running):
    source = Source()
    lanes = running(source, 4)
    lanes.resize(1)
    until(lambda: len(lanes) == 1)
    lanes.resize(3)

    assert len(lanes) == 3


def test_lanes_that_hang_are_waited_for_together(running):
    source = Source(1, 1, 1)
    begun, go_on = threading.Semaphore(0), threading.Event()

    def hang(messages):
        if messages:
            begun.release()
            go_on.wait(5)

    lanes = running(source, 3, hang)
    assert all(begun.acquire(timeout=5) for _ in range(3))
    joined = []
    thread = threading.Thread(target=lambda: joined.append(lanes.join(timeout=0.05)))
    thread.start()
    thread.join(1)

    assert joined and lanes.are_alive
    go_on.set()
