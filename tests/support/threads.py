"""Run one function in many threads at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from django.db import connection

Result = TypeVar("Result")


def at_once(count: int, act: Callable[[], Result]) -> list[Result]:
    """Run in ``count`` threads at once; return what each returned, or raise what the first of them raised."""
    barrier = Barrier(count)

    def run(_: int) -> Result:
        barrier.wait(10)
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def abreast(*acts: Callable[[int], object], rounds: int) -> None:
    """Call each of these in a thread of its own, with the numbers of the rounds; each round begins at one moment.

    The threads are connected before, which takes longer than most writes.
    """
    barrier, left = Barrier(len(acts)), iter(acts)

    def keep_acting() -> None:
        act = next(left)
        connection.ensure_connection()
        for number in range(rounds):
            barrier.wait(30)
            act(number)

    at_once(len(acts), keep_acting)
