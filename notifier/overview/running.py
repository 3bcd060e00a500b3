"""Read queues and consumers for the overview, with three queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from queues.models.live import LiveConsumer, PausedQueue, QueueDepth


@dataclass(frozen=True)
class QueueRow:
    """A queue of the settings; ``depth`` is None until a consumer has asked SQS for it."""

    alias: str
    depth: QueueDepth | None
    paused: PausedQueue | None
    consumers: int
    not_receiving: int = 0

    @property
    def oldest(self) -> datetime | None:
        """The time when the oldest unhandled event was published; None if it is unknown."""
        return self.depth.oldest_at if self.depth else None


def consumers() -> list[LiveConsumer]:
    """Return all processes that run or went silent."""
    return list(LiveConsumer.objects.with_silence())


def queues(living: Sequence[LiveConsumer]) -> list[QueueRow]:
    """Return one row for each queue, in the order of the settings."""
    depths = {depth.alias: depth for depth in QueueDepth.objects.all()}
    paused = {row.alias: row for row in PausedQueue.objects.all()}
    return [
        QueueRow(
            alias,
            depths.get(alias),
            paused.get(alias),
            consumers=len(served := _consumers_of(alias, living)),
            not_receiving=sum(alias in (row.troubles or {}) for row in served),
        )
        for alias in settings.QUEUES
    ]


def _consumers_of(alias: str, rows: Sequence[LiveConsumer]) -> list[LiveConsumer]:
    consumers = [row for row in rows if row.kind == LiveConsumer.Kind.CONSUMER]
    return [row for row in consumers if alias in row.queues and not row.is_silent]
