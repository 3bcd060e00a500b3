"""Show that a process is alive and how much it does: every few seconds it writes its own row.

A heartbeat that the database does not take is lost, and nothing waits for it. A process deletes its row when it
stops. A killed process leaves its row behind: it is *silent* after half a minute, until another process on its host
takes its place.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models.functions import Now

from queues.models.live import LiveConsumer
from queues.threads import writer
from queues.threads.repeated import Repeated

logger = logging.getLogger(__name__)

SECONDS = 5.0
# How much of the time to stop a process spends on deleting its row.
END_SECONDS = 1.0


@dataclass(frozen=True)
class Load:
    """The load of a process: its worker threads, the messages handled since its start, the messages in flight.

    ``troubles`` says by queue why nothing can be received now.
    """

    threads: int = 0
    handled: int = 0
    in_flight: int = 0
    troubles: Mapping[str, str] = field(default_factory=dict)


class Heartbeats:
    """Writes the heartbeats of one process; it calls ``load`` before each."""

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
        # 0 until this process has a row.
        self._pk = 0
        self._last = (clock(), 0)
        self._repeated = Repeated("heartbeats", self.heartbeat, seconds=SECONDS)

    def start(self) -> None:
        """Write the first heartbeat now and repeat it every few seconds."""
        self._repeated.start()

    def heartbeat(self) -> int:
        """Write one heartbeat; returns 0, so that the next one comes only after the usual pause."""
        try:
            # All threads of a consumer write through this one connection.
            writer.call(self._write)
        except DatabaseError as exc:
            logger.warning("no heartbeat: %s", type(exc).__name__)
        return 0

    def stop(self) -> None:
        """Delete the row of a process that ends normally; returns within about a second, whatever the database does."""
        ending = threading.Thread(target=self._end, name="end-heartbeats", daemon=True)
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
        # The first heartbeat has nothing to compare with.
        rate = (load.handled - before) / (now - since) if now - since >= 1 else 0.0
        return {
            "threads": load.threads,
            "handled": load.handled,
            "in_flight": load.in_flight,
            "rate": rate,
            "troubles": dict(load.troubles),
        }

    def _replace_dead(self) -> None:
        """Delete the rows of processes that no longer run on this host: the process that starts takes their place.

        A process whose pid we cannot see, because it runs in another container with the same host name, creates its
        row again.
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
        # The process belongs to another user.
        return True
    return True
