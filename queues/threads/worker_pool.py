"""The threads that handle the messages of one queue; how many may change while they work."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from django.db import connection

logger = logging.getLogger(__name__)

Job = Callable[[], None]


class WorkerPool:
    """Does jobs, each for one message, in the order they came: ``size`` of them at once, the others wait.

    A thread is made for a job that finds none free. It ends, and its database connection with it, when there are more
    than ``size``.
    """

    def __init__(self, name: str, *, size: int) -> None:
        self._name = name
        self._size = size
        self._jobs: deque[Job] = deque()
        self._threads: set[threading.Thread] = set()
        self._free = 0
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._threads)

    @property
    def size(self) -> int:
        """How many jobs it does at once."""
        return self._size

    def submit(self, job: Job) -> None:
        """Do it as soon as a thread is free."""
        with self._changed:
            self._jobs.append(job)
            self._hire()
            self._changed.notify()

    def resize(self, size: int) -> None:
        """Takes effect as jobs end; 0 leaves undone what waits."""
        with self._changed:
            self._size = size
            self._hire()
            self._changed.notify_all()

    def join(self, *, timeout: float) -> None:
        """Wait so many seconds at most for the end of threads, after ``resize(0)``."""
        until = time.monotonic() + timeout
        for thread in list(self._threads):
            thread.join(max(0.0, until - time.monotonic()))

    def _hire(self) -> None:
        while self._free < len(self._jobs) and len(self._threads) < self._size:
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._threads.add(thread)
            self._free += 1
            thread.start()

    def _work(self) -> None:
        while job := self._next():
            _do(job)
            with self._changed:
                self._free += 1
        connection.close()

    def _next(self) -> Job | None:
        """None when this thread is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._has_surplus())
            self._free -= 1
            if self._has_surplus():
                self._threads.discard(threading.current_thread())
                return None
            return self._jobs.popleft()

    def _has_surplus(self) -> bool:
        return len(self._threads) > self._size


def _do(job: Job) -> None:
    """An error of our own must not end the thread."""
    try:
        job()
    except Exception:
        logger.exception("a message was left to its visibility timeout")
