"""Let threads that want the same kind of write share one transaction.

A commit costs more than the rows in it. Whoever comes first leads: it waits a moment for others that are on their
way, writes for all that wait, and hands each its result. Whoever comes meanwhile waits for the next turn. A thread that
is alone waits for nobody.
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
    """One thread's wish, and what became of it."""

    __slots__ = ("error", "item", "leads", "result", "wake")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.result: Result
        self.error: BaseException | None = RuntimeError("its turn ended without a result")
        self.leads = False
        self.wake = threading.Event()


class GroupCommit(Generic[Item, Result]):
    """Calls ``perform`` with the items of many threads, one call at a time; it returns a result for each.

    What ``perform`` raises is raised in each of the threads. ``most`` is asked before each turn.
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
        """Around what leads to a call: a leader waits a moment for whoever is in here."""
        with self._lock:
            self._coming += 1
        try:
            yield
        finally:
            with self._lock:
                self._coming -= 1

    def __call__(self, item: Item) -> Result:
        """The result for this item; raises what ``perform`` raises."""
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
        """The leader's ticket is the first that waits, so it is in its own turn."""
        if self._coming:
            time.sleep(self._linger_seconds)
        turn: list[_Ticket[Item, Result]] = []
        try:
            most = self._most()
            with self._lock:
                turn, self._waiting = self._waiting[:most], self._waiting[most:]
            self._take_turn(turn)
        finally:
            self._hand_over(turn or [own])

    def _take_turn(self, turn: Sequence[_Ticket[Item, Result]]) -> None:
        try:
            results = self._perform([ticket.item for ticket in turn])
        except (DataError, IntegrityError) as exc:
            # One that no database takes must not fail the others.
            for ticket in turn:
                ticket.error = exc
                if len(turn) > 1:
                    self._take_turn([ticket])
        except Exception as exc:
            for ticket in turn:
                ticket.error = exc
        else:
            for ticket, result in zip(turn, results, strict=True):
                ticket.result, ticket.error = result, None

    def _hand_over(self, turn: Sequence[_Ticket[Item, Result]]) -> None:
        """Whatever happened to the leader: nobody may wait for ever."""
        with self._lock:
            self._waiting = [ticket for ticket in self._waiting if ticket not in turn]
            successor = self._waiting[0] if self._waiting else None
            self._is_led = successor is not None
            if successor is not None:
                successor.leads = True
        for ticket in turn:
            ticket.wake.set()
        if successor is not None:
            successor.wake.set()
