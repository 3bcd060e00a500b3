"""Let threads that want the same kind of write share one transaction.

A commit costs more than the rows in it. The thread that comes first leads: it waits a moment for threads that are
about to call, writes the items of all that wait, and gives each its result. Threads that come meanwhile wait for the
next round. A thread that is alone does not wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, islice
from typing import Generic, TypeVar

from django.db import DataError, IntegrityError

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Ticket(Generic[Item, Result]):
    """The items that one thread wants written, and their results or the error."""

    __slots__ = ("error", "items", "leads", "results", "wake")

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.results: Sequence[Result] = ()
        self.error: BaseException | None = RuntimeError(
            "the group commit ended without a result for these items"
        )
        self.leads = False
        self.wake = threading.Event()


class GroupCommit(Generic[Item, Result]):
    """Calls ``perform`` with the items of many threads, one call at a time; it must return a result for each.

    An error of ``perform`` is raised in each of the threads. ``most()`` is called before each round and limits its
    items; the items of one call are never parted.
    """

    def __init__(
        self,
        perform: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        most: Callable[[], int],
        linger_seconds: float,
    ) -> None:
        self._perform = perform
        self._most = most
        self._linger_seconds = linger_seconds
        self._lock = threading.Lock()
        self._coming = 0
        self._waiting: list[_Ticket[Item, Result]] = []
        self._is_led = False

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Announce that this thread will soon call: a leader waits a moment for threads inside this block."""
        with self._lock:
            self._coming += 1
        try:
            yield
        finally:
            with self._lock:
                self._coming -= 1

    def __call__(self, item: Item) -> Result:
        """Write this item together with those of other threads; returns its result, raises what ``perform`` raises."""
        [result] = self.many([item])
        return result

    def many(self, items: Sequence[Item]) -> Sequence[Result]:
        """Write these items, and those of other threads, in one round; returns their results in the same order."""
        ticket: _Ticket[Item, Result] = _Ticket(items)
        with self._lock:
            self._waiting.append(ticket)
            ticket.leads = not self._is_led
            self._is_led = True
        if not ticket.leads:
            ticket.wake.wait()
        if ticket.leads:
            self._lead(ticket)
        if ticket.error is not None:
            raise ticket.error
        return ticket.results

    def _lead(self, own: _Ticket[Item, Result]) -> None:
        """Write one round; the leader's own ticket is the first that waits, so it is always part of it."""
        if self._coming:
            time.sleep(self._linger_seconds)
        group: list[_Ticket[Item, Result]] = []
        try:
            group = self._next(self._most())
            self._commit(group)
        finally:
            self._hand_over(group or [own])

    def _next(self, most: int) -> list[_Ticket[Item, Result]]:
        """Take the tickets of one round from those that wait: the first one, and all that fit beside it."""
        with self._lock:
            sums = accumulate(len(ticket.items) for ticket in self._waiting)
            count = max(1, sum(total <= most for total in sums))
            group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    def _commit(self, group: Sequence[_Ticket[Item, Result]]) -> None:
        try:
            results = iter(self._perform([item for ticket in group for item in ticket.items]))
        except (DataError, IntegrityError) as exc:
            # What the database rejects must not fail the others: try each call alone.
            for ticket in group:
                ticket.error = exc
                if len(group) > 1:
                    self._commit([ticket])
        except Exception as exc:
            for ticket in group:
                ticket.error = exc
        else:
            for ticket in group:
                ticket.results, ticket.error = list(islice(results, len(ticket.items))), None

    def _hand_over(self, group: Sequence[_Ticket[Item, Result]]) -> None:
        """Wake the group and the next leader, whatever happened to this one: no thread may wait for ever."""
        with self._lock:
            self._waiting = [ticket for ticket in self._waiting if ticket not in group]
            successor = self._waiting[0] if self._waiting else None
            self._is_led = successor is not None
            if successor is not None:
                successor.leads = True
        for ticket in group:
            ticket.wake.set()
        if successor is not None:
            successor.wake.set()
