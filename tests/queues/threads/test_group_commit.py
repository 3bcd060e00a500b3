import threading

import pytest
from django.db import DataError

from queues.threads.group_commit import GroupCommit
from tests.support.threads import at_once


class Turns:
    """A ``perform`` that doubles numbers and remembers who shared a turn."""

    def __init__(self, *, most=10, gate=None):
        self.turns = []
        self.gate = gate
        self.group_commit = GroupCommit(self._double, most=lambda: most, linger_seconds=0.05)

    def _double(self, numbers):
        if self.gate:
            self.gate.wait(5)
        self.turns.append(list(numbers))
        if 13 in numbers:
            raise DataError("13")
        if 666 in numbers:
            raise RuntimeError("666")
        return [number * 2 for number in numbers]


def answers(turns, numbers):
    """Return each thread's result or exception; the leader is slow enough for all to join."""
    left = iter(numbers)
    with turns.group_commit.coming():
        return at_once(len(numbers), lambda: attempt(turns.group_commit, next(left)))


def attempt(group_commit, number):
    try:
        return group_commit(number)
    except (DataError, RuntimeError) as exc:
        return str(exc)


def test_threads_that_come_together_share_one_turn_and_get_their_own_results():
    turns = Turns()

    assert sorted(answers(turns, [1, 2, 3, 4])) == [2, 4, 6, 8]
    assert len(turns.turns) < 4


def test_no_turn_is_larger_than_asked_for_and_nobody_is_left_waiting():
    turns = Turns(most=2)

    assert sorted(answers(turns, [1, 2, 3, 4, 5])) == [2, 4, 6, 8, 10]
    assert max(map(len, turns.turns)) <= 2


def test_items_of_one_call_stay_together_whatever_a_turn_holds():
    turns = Turns(most=2)

    assert turns.group_commit.many([1, 2, 3]) == [2, 4, 6]
    assert turns.turns == [[1, 2, 3]]


def test_what_no_database_takes_fails_alone():
    assert sorted(answers(Turns(), [1, 13, 2]), key=str) == ["13", 2, 4]


def test_other_errors_are_raised_in_every_thread():
    turns = Turns()

    assert set(answers(turns, [666])) == {"666"}
    assert turns.group_commit(4) == 8


def test_whoever_comes_during_a_turn_gets_the_next_one():
    gate = threading.Event()
    turns = Turns(gate=gate)
    results = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(turns.group_commit(n)))
        for n in range(1, 7)
    ]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(5)

    assert sorted(results) == [2, 4, 6, 8, 10, 12]


def test_leader_that_is_interrupted_leaves_nobody_waiting():
    class Killed(BaseException):
        pass

    def die(numbers):
        raise Killed

    group_commit = GroupCommit(die, most=lambda: 10, linger_seconds=0)
    with pytest.raises(Killed):
        group_commit(1)
    with pytest.raises(Killed):
        group_commit(2)
