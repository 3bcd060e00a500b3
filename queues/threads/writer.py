"""What the threads of a consumer share is written by one thread, so one connection serves them all.

A connection for each of them would cost memory, on PostgreSQL one of the hundred that there are by default, and on
SQLite turns of waiting for each other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import connection

Given = ParamSpec("Given")
Result = TypeVar("Result")

CLOSE_SECONDS = 0.5
_NAME = "write"
_writers: list[ThreadPoolExecutor] = []
# Nothing is given to a writer that is being closed.
_lock = threading.Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Around the work of a consumer."""
    writer = ThreadPoolExecutor(1, thread_name_prefix=_NAME)
    with _lock:
        _writers.append(writer)
    try:
        yield
    finally:
        with _lock:
            _writers.remove(writer)
        # One that is stuck must not keep the process.
        wait([writer.submit(_close)], timeout=CLOSE_SECONDS)
        writer.shutdown(wait=False)


def call(write: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
    """What ``write`` returns or raises; in the thread that writes if there is one, else in this one.

    It must be short: all others wait. Never inside a transaction, which is of this thread's connection.
    """
    with _lock:
        if _writers and not threading.current_thread().name.startswith(_NAME):
            written = _writers[0].submit(_written, lambda: write(*args, **kwargs))
        else:
            written = None
    return written.result() if written else write(*args, **kwargs)


def by_one_thread(write: Callable[Given, Result]) -> Callable[Given, Result]:
    """Decorate what threads that handle messages do now and then, so that it costs no connection of their own.

    When all of them fail at once there must still be connections left for those who look why. See ``call``.
    """

    @wraps(write)
    def called(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        return call(write, *args, **kwargs)

    return called


def _written(write: Callable[[], Result]) -> Result:
    try:
        return write()
    finally:
        drop_broken_connection()


def _close() -> None:
    """The connection of the thread that this runs in, looked up there."""
    connection.close()


def drop_broken_connection() -> None:
    """Give this thread's connection up if it failed; the next query opens another.

    Django's own way, at the end of a request, would open one for each message.
    """
    if connection.errors_occurred:
        connection.close_if_unusable_or_obsolete()
