"""The tables of the queues: the outbox, dead letters, redrives, and what running processes report."""

from queues.models.dead_letters import (
    IS_PARKED,
    OPEN_FIRST,
    CauseNote,
    DeadLetter,
    DeadLetterQuerySet,
    HandlingFailure,
)
from queues.models.doctor_runs import DoctorRun
from queues.models.live import Duty, Figure, LiveConsumer, PausedQueue, QueueDepth
from queues.models.outbox import OutboxEvent, OutboxQuerySet
from queues.models.redrives import Redrive, RedriveCause, RedriveItem, RedriveQuerySet
from queues.models.saved_filters import SavedFilter
from queues.models.sql import in_state

__all__ = [
    "IS_PARKED",
    "OPEN_FIRST",
    "CauseNote",
    "DeadLetter",
    "DeadLetterQuerySet",
    "DoctorRun",
    "Duty",
    "Figure",
    "HandlingFailure",
    "LiveConsumer",
    "OutboxEvent",
    "OutboxQuerySet",
    "PausedQueue",
    "QueueDepth",
    "Redrive",
    "RedriveCause",
    "RedriveItem",
    "RedriveQuerySet",
    "SavedFilter",
    "in_state",
]
