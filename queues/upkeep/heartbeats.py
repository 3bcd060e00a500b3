"""That a process lives, and how it gets on: one row that it writes itself every few seconds.

A beat that the database does not take is lost, and nothing waits for it. The row goes when the process stops; one
that was killed leaves it, and is *silent* after half a minute, until another process of its host takes its place.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models.functions import Now

from queues.models.live import LiveConsumer
from queues.threads import writer
from queues.threads.repeated import Repeated

logger = logging.getLogger(__name__)

SECONDS = 5.0
# What is left of the time that a process has to stop.
END_SECONDS = 1.0


@dataclass(frozen=True)
class Load:
    """What a process has to do: threads that work, messages that are done since its start, messages in hand."""

    threads: int = 0
    handled: int = 0
    in_flight: int = 0


class Heartbeats:
    """Of one process; ``load`` is asked before each."""

    def __init__(
        self,
        kind: LiveConsumer.Kind,
        queues: Sequence[str],
        load: Callable[[], Load],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load, self._clock = load, clock
        self._who: dict[str, Any] = {
            "kind": kind,
            "queues": list(queues),
            "host": socket.gethostname()[:100],
            "pid": os.getpid(),
            "release": settings.RELEASE[:50],
        }
        # 0 until it has a row.
        self._pk = 0
        self._last = (clock(), 0)
        self._repeated = Repeated("beats", self.heartbeat, seconds=SECONDS)

    def start(self) -> None:
        """Begin, with one at once."""
        self._repeated.start()

    def heartbeat(self) -> int:
        """One of them; returns 0, so that the next waits its turn."""
        try:
            # By the connection that all threads of a consumer write by.
            writer.call(self._write)
        except DatabaseError as exc:
            logger.warning("no beat: %s", type(exc).__name__)
        return 0

    def stop(self) -> None:
        """The process ends well: it is not missed. Returns within a second or so, whatever the database does."""
        ending = threading.Thread(target=self._end, name="end-beats", daemon=True)
        ending.start()
        ending.join(END_SECONDS)

    def _write(self) -> None:
        changes = {"beat_at": Now(), **self._changes()}
        if LiveConsumer.objects.filter(pk=self._pk).update(**changes):
            return
        started_at = self._who.setdefault("started_at", Now())
        if not self._pk:
            self._replace_dead()
        row = LiveConsumer.objects.create(**self._who | {"started_at": started_at} | changes)
        row.refresh_from_db(fields=["started_at"])
        self._pk, self._who["started_at"] = row.pk, row.started_at

    def _changes(self) -> dict[str, object]:
        load, now = self._load(), self._clock()
        since, before = self._last
        self._last = (now, load.handled)
        # The first beat has nothing to compare with.
        rate = (load.handled - before) / (now - since) if now - since >= 1 else 0.0
        return {
            "threads": load.threads,
            "handled": load.handled,
            "in_flight": load.in_flight,
            "rate": rate,
        }

    def _replace_dead(self) -> None:
        """Rows of this host whose processes are no more: whoever starts here has taken their place.

        One that lives where its pid cannot be seen, in another container of the same name, makes its row again.
        """
        for row in LiveConsumer.objects.filter(host=self._who["host"]):
            if row.pid == self._who["pid"] or not _runs(row.pid):
                row.delete()

    def _end(self) -> None:
        self._repeated.stop(timeout=END_SECONDS)
        with suppress(DatabaseError):
            LiveConsumer.objects.filter(pk=self._pk).delete()
        connection.close()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # It is somebody else's.
        return True
    return True
