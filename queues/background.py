"""Work that repeats beside the consumer: relaying the outbox, collecting dead letters."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from django.db import DatabaseError, close_old_connections, connection

from queues.errors import QueueUnavailable

logger = logging.getLogger(__name__)

MAX_PAUSE_SECONDS = 30.0


class Repeated:
    """Calls a step again and again in a thread: at once while it finds work, else every ``seconds``."""

    def __init__(self, name: str, step: Callable[[], int], *, seconds: float) -> None:
        self._name = name
        self._step = step
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Return at once; the step that runs goes on."""
        self._stop.set()

    def stop(self, *, timeout: float) -> None:
        """End after the step that runs."""
        self._stop.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        pause = self._seconds
        while not self._stop.is_set():
            try:
                pause = 0.0 if self._step() else self._seconds
            except (QueueUnavailable, DatabaseError) as exc:
                pause = min(MAX_PAUSE_SECONDS, max(pause, self._seconds) * 2)
                logger.error("%s failed, next try in %.0f s: %s", self._name, pause, exc)
            except Exception:
                # A bug met once must not end this thread, unseen, while the process looks healthy.
                pause = MAX_PAUSE_SECONDS
                logger.exception("%s failed, next try in %.0f s", self._name, pause)
            finally:
                close_old_connections()
            self._stop.wait(pause)
        connection.close()
