"""Write in one thread for all threads of a consumer, so that they share one database connection.

A connection for each thread would cost memory, on PostgreSQL also one of the hundred connections that it allows by
default, and on SQLite the threads would wait for each other.
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
# Guards the list, so that no thread hands a write to a writer that is being closed.
_lock = threading.Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Run a writer thread while a consumer works inside this block."""
    writer = ThreadPoolExecutor(1, thread_name_prefix=_NAME)
    with _lock:
        _writers.append(writer)
    try:
        yield
    finally:
        with _lock:
            _writers.remove(writer)
        # A writer that is stuck must not keep the process alive.
        wait([writer.submit(_close)], timeout=CLOSE_SECONDS)
        writer.shutdown(wait=False)


def call(write: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
    """Call ``write`` in the writer thread if there is one, else in this thread; returns or raises what it does.

    ``write`` must be short, because all other threads wait. Never use this inside a transaction, which belongs to the
    calling thread's connection.
    """
    with _lock:
        if _writers and not threading.current_thread().name.startswith(_NAME):
            written = _writers[0].submit(_written, lambda: write(*args, **kwargs))
        else:
            written = None
    return written.result() if written else write(*args, **kwargs)


def by_one_thread(write: Callable[Given, Result]) -> Callable[Given, Result]:
    """Decorate a write that message threads make now and then, so that it needs no connection of theirs.

    When all threads fail at once, connections must be left for the people who look into it. See ``call``.
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
    """Close the database connection of the thread that runs this."""
    connection.close()


def drop_broken_connection() -> None:
    """Close this thread's connection if it failed, so that the next query opens another.

    Django's own ``close_old_connections`` would close it after every message, so each would open another.
    """
    if connection.errors_occurred:
        connection.close_if_unusable_or_obsolete()
