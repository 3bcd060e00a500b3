"""Rows of consumers, as they write them themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from queues.models.live import SILENT_SECONDS, LiveConsumer


def make_consumer(**fields: Any) -> LiveConsumer:
    """One of every queue, that has just said that it lives."""
    now = timezone.now()
    defaults = {
        "kind": "consumer",
        "host": "web-1",
        "pid": 17,
        "queues": list(settings.QUEUES),
        "started_at": now,
        "beat_at": now,
    }
    return LiveConsumer.objects.create(**defaults | fields)


def make_silent(**fields: Any) -> LiveConsumer:
    """One that has said nothing for long enough."""
    return make_consumer(beat_at=timezone.now() - timedelta(seconds=SILENT_SECONDS + 1), **fields)
