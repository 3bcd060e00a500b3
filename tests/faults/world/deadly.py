"""Settings of a process whose handler of one type of event kills it, as code that runs out of memory would."""

from __future__ import annotations

import json
import os
import signal
import uuid

from django.apps import AppConfig

from notifier.settings import *  # noqa: F403
from notifier.settings import INSTALLED_APPS

TYPE = "bomb.armed.v1"
BODY = json.dumps(
    {
        "specversion": "1.0",
        "id": str(uuid.UUID(int=7)),
        "source": "/tests",
        "type": TYPE,
        "subject": "BOMB-1",
        "time": "2026-11-22T10:00:00Z",
        "data": {},
    }
)


class Deadly(AppConfig):
    """Registers the handler."""

    name = "tests.faults.world.deadly"
    label = "deadly"

    def ready(self) -> None:
        """Register the deadly handler; models may be imported only now."""
        from queues import registry
        from queues.events.envelope import EventData

        class BombArmed(EventData, type=TYPE, queue="orders", source="/tests"):
            """No data."""

        registry.handles(TYPE)(lambda event: os.kill(os.getpid(), signal.SIGKILL))


INSTALLED_APPS = [*INSTALLED_APPS, "tests.faults.world.deadly.Deadly"]
