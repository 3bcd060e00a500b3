"""The queues and the consumers, as the overview shows them: three queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from queues.models.live import LiveConsumer, PausedQueue, QueueDepth


@dataclass(frozen=True)
class QueueRow:
    """A queue that settings name. ``depth`` is None until a consumer has asked SQS."""

    alias: str
    depth: QueueDepth | None
    paused: PausedQueue | None
    consumers: int

    @property
    def oldest(self) -> datetime | None:
        """When the oldest event that is not handled was published, if its queue tells."""
        return self.depth.oldest_at if self.depth else None


def consumers() -> list[LiveConsumer]:
    """Those that live, and those that are silent."""
    return list(LiveConsumer.objects.with_silence())


def queues(living: Sequence[LiveConsumer]) -> list[QueueRow]:
    """One row for each, in the order of settings."""
    depths = {depth.alias: depth for depth in QueueDepth.objects.all()}
    paused = {row.alias: row for row in PausedQueue.objects.all()}
    return [
        QueueRow(alias, depths.get(alias), paused.get(alias), _consumers_of(alias, living))
        for alias in settings.QUEUES
    ]


def _consumers_of(alias: str, rows: Sequence[LiveConsumer]) -> int:
    consumers = [row for row in rows if row.kind == LiveConsumer.Kind.CONSUMER]
    return len([row for row in consumers if alias in row.queues and not row.is_silent])
