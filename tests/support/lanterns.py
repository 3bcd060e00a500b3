"""Dead letters of nobody's events, with a handler that breaks on demand: for tests of redrives."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from queues import registry
from queues.dead_letters import collecting
from queues.errors import Reject
from queues.events.envelope import Event, EventData
from queues.models import DeadLetter, OutboxEvent, Redrive
from queues.redrives import jobs


class LanternLit(EventData, type="lantern.lit.v1", queue="orders", source="/tests"):
    """An event of a standard queue."""

    number: int = 0


class LanternHung(EventData, type="lantern.hung.v1", queue="transactions", source="/tests"):
    """An event of a FIFO queue."""

    number: int = 0


_ids = itertools.count(1)

# Number of the lantern → code and reason of its failure; all others are handled.
broken: dict[int, tuple[str, str]] = {}
handled: list[int] = []


@registry.handles("lantern.lit.v1")
@registry.handles("lantern.hung.v1")
def look(event: Event) -> None:
    """Fail as ``broken`` says."""
    number = event.data["number"]
    if number in broken:
        code, reason = broken[number]
        raise Reject(reason, code=code)
    handled.append(number)


def fix() -> None:
    """Put all in order, with none handled."""
    broken.clear()
    handled.clear()


def make_dead_letter(
    number: int = 0, *, data: type[EventData] = LanternLit, **fields: Any
) -> DeadLetter:
    """One that died of a wet wick."""
    event = Event.of(
        data.model_validate({"number": number}), subject=f"L-{number}", partition_key="street"
    )
    code, reason = fields.pop("cause", ("Wet", f"the wick of lantern {number} is wet"))
    defaults = {
        # Those of one millisecond would be in no order.
        "id": uuid.UUID(int=next(_ids)),
        "queue": data.event_queue,
        "sqs_message_id": str(uuid.uuid4()),
        "event_id": event.id,
        "type": event.type,
        "subject": event.subject,
        "group": event.partitionkey if data is LanternHung else "",
        "body": event.to_json(),
        "receive_count": 3,
        "code": code,
        "reason": reason,
        "fingerprint": collecting.fingerprint(code, reason),
    }
    return DeadLetter.objects.create(**defaults | fields)


def make_dead_letters(count: int) -> list[DeadLetter]:
    """Numbered from 1."""
    return [make_dead_letter(number) for number in range(1, count + 1)]


def start(letters: Any = None, **options: Any) -> Redrive:
    """A redrive of these, or of all, by a script."""
    if letters is not None:
        rows = DeadLetter.objects.filter(pk__in=[letter.pk for letter in letters])
    else:
        rows = DeadLetter.objects.all()
    defaults: dict[str, Any] = {"by": "a test", "reason": "fixed", "key": str(uuid.uuid4())}
    return jobs.start(rows, **defaults | options)


def handle_all() -> None:
    """Handle all that was sent back, as consumers would."""
    OutboxEvent.objects.update(state=OutboxEvent.State.HANDLED)


def outcomes(redrive: Redrive) -> dict[str, int]:
    """Count a redrive's outcomes."""
    return {outcome: count for outcome, count in jobs.counts(redrive).items() if count}


def advance() -> None:
    """Advance until nothing more is to be done now."""
    while jobs.advance():
        pass


def fail_again(consume: Callable[[str], int], alias: str = "orders") -> None:
    """Let an event fail until its message is a dead letter again."""
    for _ in range(4):
        consume(alias)
    collecting.collect(alias)


def released() -> int:
    """Count the dead letters that were sent back."""
    return OutboxEvent.objects.count()


def hold(redrive: Redrive) -> None:
    """Put everything off for an hour."""
    Redrive.objects.filter(pk=redrive.pk).update(paced_at=Now() + timedelta(hours=1))


def due(redrive: Redrive) -> None:
    """One letter is."""
    Redrive.objects.filter(pk=redrive.pk).update(paced_at=None)
