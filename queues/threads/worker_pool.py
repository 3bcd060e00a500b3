"""Handle the messages of one queue in threads, whose number can change while they work."""

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
    """Runs jobs, each for one message, in the order they came: ``size`` at once, the others wait.

    The pool starts a thread when a job finds none free. A thread ends, and closes its database connection, when there
    are more than ``size``.
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
        """The number of jobs that run at once."""
        return self._size

    def submit(self, job: Job) -> None:
        """Run the job as soon as a thread is free."""
        with self._changed:
            self._jobs.append(job)
            self._hire()
            self._changed.notify()

    def resize(self, size: int) -> None:
        """Change the number of threads as jobs end; with 0, jobs that wait are never run."""
        with self._changed:
            self._size = size
            self._hire()
            self._changed.notify_all()

    def join(self, *, timeout: float) -> None:
        """Wait for the threads to end after ``resize(0)``, ``timeout`` seconds at most."""
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
        """Wait for the next job; None if this thread must end."""
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
    """Run the job and log any error, because a bug of ours must not end the thread."""
    try:
        job()
    except Exception:
        logger.exception("a message was left to its visibility timeout")
