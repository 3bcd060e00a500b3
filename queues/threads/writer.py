"""Write in one thread for all threads of a consumer, so that they share one database connection.

A connection for each thread would cost memory, on PostgreSQL also one of the hundred connections that it allows by
default, and on SQLite the threads would wait for each other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial, wraps
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from django.db import connection

Given = ParamSpec("Given")
Result = TypeVar("Result")

CLOSE_SECONDS = 0.5
_NAME = "write"


class _Writer:
    """A thread that makes the writes in the order they came.

    It is a daemon thread, so a process whose database hangs can end; an executor's thread would be waited for.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name=_NAME, daemon=True).start()

    def submit(self, write: Callable[[], Result]) -> Future[Result]:
        """Make this write after all that came before."""
        future: Future[Result] = Future()
        self._calls.put((future, write))
        return future

    def end(self) -> None:
        """End the thread after all writes that came before; returns at once."""
        self._calls.put(None)

    def _run(self) -> None:
        while found := self._calls.get():
            future, write = found
            try:
                future.set_result(write())
            except BaseException as exc:
                future.set_exception(exc)


_writers: list[_Writer] = []
# Guards the list, so that no thread hands a write to a writer that is being closed.
_lock = threading.Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Run a writer thread while a consumer works inside this block."""
    writer = _Writer()
    with _lock:
        _writers.append(writer)
    try:
        yield
    finally:
        with _lock:
            _writers.remove(writer)
        # A writer that is stuck must not keep the process alive.
        wait([writer.submit(_close)], timeout=CLOSE_SECONDS)
        writer.end()


def call(write: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
    """Call ``write`` in the writer thread if there is one, else in this thread; returns or raises what it does.

    ``write`` must be short, because all other threads wait. Never use this inside a transaction, which belongs to the
    calling thread's connection.
    """
    with _lock:
        if _writers and threading.current_thread().name != _NAME:
            written = _writers[0].submit(partial(_written, lambda: write(*args, **kwargs)))
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
