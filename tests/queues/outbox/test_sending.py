"""Batches side by side."""

import threading

import pytest

from queues.aws.sqs import Outgoing
from queues.errors import QueueUnavailable
from queues.outbox import batches

BATCHES = [[Outgoing(key=str(number), body="x")] for number in range(3)]


class Meeting:
    """A queue that takes nothing before all batches are there."""

    alias = "orders"

    def __init__(self, count):
        self.threads = set()
        self._all = threading.Barrier(count)

    def send_batch(self, messages, *, hurried):
        self.threads.add(threading.get_ident())
        self._all.wait(5)
        return {message.key: f"m{message.key}" for message in messages}, {}


class Refusing:
    """A queue that is away for one batch, and meets a bug of ours in another."""

    alias = "orders"

    def __init__(self, bug=None):
        self._bug = bug

    def send_batch(self, messages, *, hurried):
        if messages[0].key == "1":
            raise self._bug or QueueUnavailable("away")
        return {}, {}


def answers(queue):
    return [
        answer for some in batches.side_by_side(queue, BATCHES, hurried=False) for answer in some
    ]


def test_all_batches_are_under_way_at_once_and_their_threads_are_used_again():
    first, second = Meeting(3), Meeting(3)

    sent = [answer.sent for answer in answers(first)]
    there = {thread.ident for thread in threading.enumerate()}
    answers(second)

    assert sorted(sent, key=str) == [{"0": "m0"}, {"1": "m1"}, {"2": "m2"}]
    assert len(first.threads) == len(second.threads) == 3
    assert second.threads <= there


def test_batch_that_sqs_does_not_answer_leaves_the_others_theirs():
    errors = {answer.batch[0].key: str(answer.error) for answer in answers(Refusing())}

    assert errors == {"0": "None", "1": "away", "2": "None"}


def test_bug_of_a_sending_thread_is_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        answers(Refusing(ZeroDivisionError()))
