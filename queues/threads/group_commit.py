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
from typing import Generic, TypeVar

from django.db import DataError, IntegrityError

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Ticket(Generic[Item, Result]):
    """The item that one thread wants written, and its result or error."""

    __slots__ = ("error", "item", "leads", "result", "wake")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.result: Result
        self.error: BaseException | None = RuntimeError(
            "the group commit ended without a result for this item"
        )
        self.leads = False
        self.wake = threading.Event()


class GroupCommit(Generic[Item, Result]):
    """Calls ``perform`` with the items of many threads, one call at a time; it must return a result for each.

    An error of ``perform`` is raised in each of the threads. ``most()`` is called before each round and limits its
    items.
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
        ticket: _Ticket[Item, Result] = _Ticket(item)
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
        return ticket.result

    def _lead(self, own: _Ticket[Item, Result]) -> None:
        """Write one round; the leader's own ticket is the first that waits, so it is always part of it."""
        if self._coming:
            time.sleep(self._linger_seconds)
        group: list[_Ticket[Item, Result]] = []
        try:
            most = self._most()
            with self._lock:
                group, self._waiting = self._waiting[:most], self._waiting[most:]
            self._commit(group)
        finally:
            self._hand_over(group or [own])

    def _commit(self, group: Sequence[_Ticket[Item, Result]]) -> None:
        try:
            results = self._perform([ticket.item for ticket in group])
        except (DataError, IntegrityError) as exc:
            # An item that the database rejects must not fail the others: try each alone.
            for ticket in group:
                ticket.error = exc
                if len(group) > 1:
                    self._commit([ticket])
        except Exception as exc:
            for ticket in group:
                ticket.error = exc
        else:
            for ticket, result in zip(group, results, strict=True):
                ticket.result, ticket.error = result, None

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
