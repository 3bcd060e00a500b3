"""Stop a command by a signal, and end its process in time whatever hangs: the database, AWS, DNS, a lock.

Python calls a signal handler in the main thread only, and not while that thread waits inside a C function, for example
for DNS. So the signal's number also goes into a pipe, which the interpreter writes at once, and a thread of its own
reads it (``signal.set_wakeup_fd``).
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import NoReturn

logger = logging.getLogger(__name__)

# The time from the signal to the end of a process that hangs. What does not hang has ended before; a supervisor that
# waits 25 s sees the end by itself.
STOP_SECONDS = 23.5
# The exit code then: EX_TEMPFAIL of sysexits.h, try again later.
HUNG = 75
# How much longer the last acts may take, on a disk that hangs as well.
LAST_SECONDS = 1.0
# Threads that are named in the log, the main thread first.
MOST_PLACES = 20
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

Act = Callable[[], object]
_last_acts: list[Act] = []


def last_act(act: Act) -> Act:
    """Register a function that saves to the disk what would be lost with a process that is ended while it hangs.

    It must be short, and must need neither the database nor the network.
    """
    _last_acts.append(act)
    return act


@contextmanager
def on_signal(stop: Act, *, seconds: float = STOP_SECONDS) -> Iterator[None]:
    """Call ``stop``, which only sets a flag, at SIGTERM and Ctrl-C; a second signal ends the process at once.

    From the signal on the process has ``seconds``, also after this block. What hangs then is left: exit code HUNG.
    """
    watch = _Watch(seconds)

    def handle(*args: object) -> None:
        # The watch may be slower to learn of it than this block is to end.
        watch.has_signal = True
        stop()

    before = {each: signal.signal(each, handle) for each in _SIGNALS}
    watch.start()
    try:
        yield
    finally:
        if not watch.has_signal:
            watch.end()
            for each, handler in before.items():
                signal.signal(each, handler)


def abandon(code: int, *, say: Act | None = None) -> NoReturn:
    """End the process now, without waiting for any thread; the last acts are done first, then ``say`` logs why."""
    acts = threading.Thread(target=_do_last_acts, args=(say,), name="last acts", daemon=True)
    acts.start()
    acts.join(LAST_SECONDS)
    os._exit(code)


def _do_last_acts(say: Act | None) -> None:
    for act in [*_last_acts, *([say] if say else []), logging.shutdown]:
        try:
            act()
        except Exception:
            # The process ends whatever this act could not do, and the others must be done.
            logger.exception("a last act failed")
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()


class _Watch:
    """A thread that learns of signals while the main thread hangs, and ends the process."""

    def __init__(self, seconds: float) -> None:
        self.has_signal = False
        self._seconds = seconds
        self._out, self._in = os.pipe()
        os.set_blocking(self._in, False)
        self._before = -1

    def start(self) -> None:
        """Begin; only the main thread may do this."""
        self._before = signal.set_wakeup_fd(self._in, warn_on_full_buffer=False)
        threading.Thread(target=self._run, name="signals", daemon=True).start()

    def end(self) -> None:
        """Watch no more."""
        signal.set_wakeup_fd(self._before)
        os.close(self._in)

    def _run(self) -> None:
        if not self._is_told(None):
            os.close(self._out)
            return
        until = time.monotonic() + self._seconds
        self.has_signal = True
        if self._is_told(until):
            os._exit(0)
        abandon(HUNG, say=partial(_log_hanging, self._seconds))

    def _is_told(self, until: float | None) -> bool:
        """Wait for one of our signals; False when the time is up, or when nobody can send one any more."""
        while True:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([self._out], [], [], left)[0]:
                return False
            number = os.read(self._out, 1)
            if not number:
                return False
            if number[0] in _SIGNALS:
                return True


def _log_hanging(seconds: float) -> None:
    """Say where the threads are; some of them hang, others wait for work."""
    frames = sys._current_frames()
    places = [
        f"{thread.name} {os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
        for thread in threading.enumerate()
        if thread is not threading.current_thread() and (frame := frames.get(thread.ident or 0))
    ]
    logger.error(
        "ended %.0f s after the signal, because something hangs: %s",
        seconds,
        ", ".join(places[:MOST_PLACES]),
    )
