"""Repeat work in threads beside the consumer: relaying the outbox, collecting dead letters."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.db import DatabaseError, close_old_connections, connection

from queues.errors import QueueUnavailable

logger = logging.getLogger(__name__)

MAX_PAUSE_SECONDS = 30.0


class Repeated:
    """Calls a step again and again in a thread: at once while it finds work, else every ``seconds``.

    With more than one of ``threads``, each calls it by itself.
    """

    def __init__(
        self, name: str, step: Callable[[], int], *, seconds: float, threads: int = 1
    ) -> None:
        # The name is part of the text: the JSON log names a step by what comes before the first value.
        self._failed = f"{name} failed, next try in %.0f s"
        self._step = step
        self._seconds = seconds
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=name, daemon=True) for _ in range(threads)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def ask_to_stop(self) -> None:
        """Call the step no more, and return at once; a step that runs goes on."""
        self._stop.set()

    def stop(self, *, timeout: float) -> bool:
        """Call the step no more, and wait for steps that run, ``timeout`` seconds at most; False if one still runs."""
        self._stop.set()
        until = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        pause = self._seconds
        while not self._stop.is_set():
            try:
                pause = 0.0 if self._step() else self._seconds
            except (QueueUnavailable, DatabaseError) as exc:
                pause = min(MAX_PAUSE_SECONDS, max(pause, self._seconds) * 2)
                logger.error(self._failed + ": %s", pause, exc)
            except Exception:
                # One bug must not end this thread unseen while the process looks healthy.
                pause = MAX_PAUSE_SECONDS
                logger.exception(self._failed, pause)
            finally:
                close_old_connections()
            self._stop.wait(pause)
        connection.close()
