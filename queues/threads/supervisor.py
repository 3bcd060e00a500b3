"""Start, watch and stop several processes that do the same work, because one process uses only one core.

They are forked from a process that has loaded all code and opened no connection, so the code is in memory once.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from django.core.management.base import CommandError
from django.db import connections

logger = logging.getLogger(__name__)

# A consumer stops in less time.
STOP_SECONDS = 25.0
MAX_PAUSE_SECONDS = 30.0
# If a process ends after it ran at least this long, it starts again after the shortest pause.
STEADY_SECONDS = 60.0
# Exit codes of a child: after a CommandError, which a fresh process would meet as well, and after any other error.
_HOPELESS, _CRASHED = 1, 70
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Crashed(CommandError):
    """The process ended by an error that a fresh process may not meet, so it is started again."""


@dataclass
class _Child:
    """A child process, or the pause before it starts again."""

    number: int
    pid: int = 0
    started: float = 0.0
    pause: float = 0.0
    due: float = 0.0


class Supervisor:
    """Runs ``work(number)``, numbered from 0, in several processes until each has ended or a signal ends them all.

    With ``is_endless`` no process should end by itself, and one that does is started again. Processes that still run
    ``stop_seconds`` after the first signal are killed.
    """

    def __init__(
        self,
        work: Callable[[int], None],
        *,
        processes: int,
        is_endless: bool,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._work = work
        self._is_endless = is_endless
        self._stop_seconds = stop_seconds
        self._children = [_Child(number) for number in range(processes)]
        self._signals = 0
        # The monotonic time at which children are killed; 0 until the first signal.
        self._deadline = 0.0
        self._has_killed = False
        self._code = 0
        # The pipe's writing end stays open as long as this process lives; children notice when it closes.
        self._life, self._hold_of_life = os.pipe()

    def run(self) -> int:
        """Run the processes until all have ended; returns the exit code, 0 if all ended well."""
        for each in _SIGNALS:
            signal.signal(each, self._count_signal)
        connections.close_all()
        # The garbage collector leaves frozen objects alone: looking at them would copy their memory pages.
        gc.collect()
        gc.freeze()
        while self._children:
            if not self._deadline:
                self._start_due()
            self._pass_signals_on()
            self._reap()
            time.sleep(0.05)
        return self._code

    def _count_signal(self, *args: object) -> None:
        self._signals += 1

    def _start_due(self) -> None:
        for child in self._children:
            if not child.pid and time.monotonic() >= child.due:
                child.started = time.monotonic()
                child.pid = self._fork(child.number)
                logger.info("started process=%d pid=%d", child.number, child.pid)

    def _fork(self, number: int) -> int:
        """Fork a child, with signals blocked until the child no longer handles them as its parent does."""
        sys.stdout.flush()
        sys.stderr.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if not pid:
            for each in _SIGNALS:
                signal.signal(each, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        return pid or self._run_child(number)

    def _pass_signals_on(self) -> None:
        """Stop the children on the first signal; kill them on the second, or when their time is up."""
        if self._signals and not self._deadline:
            self._stop()
        if not self._deadline or self._has_killed:
            return
        if self._signals > 1:
            self._kill()
        elif time.monotonic() >= self._deadline:
            logger.error(
                "killing processes that have not stopped within %.0f s", self._stop_seconds
            )
            self._code = 1
            self._kill()

    def _stop(self) -> None:
        self._deadline = time.monotonic() + self._stop_seconds
        self._children = [child for child in self._children if child.pid]
        self._signal_all(signal.SIGTERM)

    def _kill(self) -> None:
        self._has_killed = True
        self._signal_all(signal.SIGKILL)

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._children:
            os.kill(child.pid, number)

    def _reap(self) -> None:
        for child in list(self._children):
            if child.pid:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
                if pid:
                    self._ended(child, os.waitstatus_to_exitcode(status))

    def _ended(self, child: _Child, code: int) -> None:
        if code == _HOPELESS:
            self._code = _HOPELESS
        if not self._deadline and code != _HOPELESS and (code or self._is_endless):
            self._start_later(child, code)
            return
        self._children.remove(child)
        if code == _HOPELESS and not self._deadline:
            logger.error("stopping: process=%d cannot work", child.number)
            self._stop()

    def _start_later(self, child: _Child, code: int) -> None:
        is_steady = time.monotonic() - child.started >= STEADY_SECONDS
        child.pause = 1.0 if is_steady else min(MAX_PAUSE_SECONDS, child.pause * 2 or 1.0)
        child.due = time.monotonic() + child.pause
        cause = f"signal {-code}" if code < 0 else f"code {code}"
        logger.error(
            "process=%d pid=%d ended with %s, starting again in %.0f s",
            child.number,
            child.pid,
            cause,
            child.pause,
        )
        child.pid = 0

    def _run_child(self, number: int) -> NoReturn:
        code = _CRASHED
        try:
            # The terminal sends Ctrl-C to the whole process group: without this each child would get it twice.
            os.setpgid(0, 0)
            os.close(self._hold_of_life)
            threading.Thread(target=self._die_with_parent, daemon=True).start()
            self._work(number)
            code = 0
        except Crashed as exc:
            print(f"CommandError: {exc}", file=sys.stderr)
        except CommandError as exc:
            print(f"CommandError: {exc}", file=sys.stderr)
            code = _HOPELESS
        except BaseException:
            traceback.print_exc()
        finally:
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _die_with_parent(self) -> None:
        """Stop this child when the parent dies, however it died: then the pipe closes."""
        os.read(self._life, 1)
        os.kill(os.getpid(), signal.SIGTERM)
