"""Receive from one queue in lanes: threads that take turns at receiving, each of which handles its own batch.

Nothing waits for the thread that receives, and nothing is handed from thread to thread. While batches come back full,
several lanes receive at once; else one, so that an idle queue costs one long poll at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from django.db import connection

from queues.aws.sqs import BATCH_ENTRIES, Received

# At most so many lanes receive at once.
MOST_RECEIVING = 4
TICK_SECONDS = 0.1


class Lanes:
    """The lanes of one queue. ``receive`` may wait, raises nothing, and returns nothing where nothing came."""

    def __init__(
        self,
        name: str,
        *,
        size: int,
        receive: Callable[[], Sequence[Received]],
        work: Callable[[Sequence[Received]], None],
        is_over: Callable[[], bool],
    ) -> None:
        self._name = name
        self._size = size
        self._receive = receive
        self._work = work
        self._is_over = is_over
        self._threads: set[threading.Thread] = set()
        self._receiving = 0
        self._permitted = 1
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._threads)

    @property
    def are_alive(self) -> bool:
        """True while any lane runs."""
        return any(thread.is_alive() for thread in list(self._threads))

    def start(self) -> None:
        """Start the lanes; each ends when ``is_over`` says so."""
        self.resize(self._size)

    def resize(self, size: int) -> None:
        """Change the number of lanes; a lane that is one too many ends after its batch."""
        with self._changed:
            self._size = size
            while len(self._threads) < size:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._threads.add(thread)
                thread.start()

    def join(self, *, timeout: float) -> None:
        """Wait for the lanes to end, ``timeout`` seconds at most."""
        until = time.monotonic() + timeout
        for thread in list(self._threads):
            thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        try:
            while not self._is_over() and not self._is_surplus():
                if self._begin_turn():
                    self._work(self._turn())
        finally:
            with self._changed:
                self._threads.discard(threading.current_thread())
            connection.close()

    def _turn(self) -> Sequence[Received]:
        """Receive, and let the next lane receive."""
        messages: Sequence[Received] = []
        try:
            messages = self._receive()
        finally:
            with self._changed:
                self._receiving -= 1
                more = 1 if len(messages) >= BATCH_ENTRIES else -1
                self._permitted = min(MOST_RECEIVING, max(1, self._permitted + more))
                self._changed.notify(self._permitted)
        return messages

    def _begin_turn(self) -> bool:
        """Wait for a turn, a moment at most; False if others receive now."""
        with self._changed:
            is_mine = self._changed.wait_for(
                lambda: self._receiving < self._permitted, timeout=TICK_SECONDS
            )
            self._receiving += is_mine
            return is_mine

    def _is_surplus(self) -> bool:
        with self._changed:
            if len(self._threads) <= self._size:
                return False
            self._threads.discard(threading.current_thread())
            return True
