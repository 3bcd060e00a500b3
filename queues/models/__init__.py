"""The tables of the queues: the outbox, dead letters, redrives, and what running processes report."""

from queues.models.checkups import Checkup
from queues.models.dead_letters import IS_PARKED, DeadLetter, DeadLetterQuerySet, HandlingFailure
from queues.models.live import Duty, Figure, LiveConsumer, PausedQueue, QueueDepth
from queues.models.outbox import OutboxEvent, OutboxQuerySet
from queues.models.redrives import Redrive, RedriveItem, RedriveQuerySet
from queues.models.sql import in_state

__all__ = [
    "IS_PARKED",
    "Checkup",
    "DeadLetter",
    "DeadLetterQuerySet",
    "Duty",
    "Figure",
    "HandlingFailure",
    "LiveConsumer",
    "OutboxEvent",
    "OutboxQuerySet",
    "PausedQueue",
    "QueueDepth",
    "Redrive",
    "RedriveItem",
    "RedriveQuerySet",
    "in_state",
]
