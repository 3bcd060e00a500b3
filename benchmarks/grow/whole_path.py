"""Take events from their record to *handled* by the product's own statements, without AWS, and time each statement."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.utils import timezone

from benchmarks.compare.order_events import envelope
from emails.sending import claims as email_claims
from emails.sending import limiter, states
from emails.sending.planning import Owed
from queues import registry
from queues.consumer import handling
from queues.events.envelope import Event
from queues.models import OutboxEvent
from queues.outbox import claims, lost
from queues.outbox.claims import Claimed

Result = TypeVar("Result")

STANDARD, FIFO = "orders", "transactions"
# As many messages as a receive brings are marked handled together.
RECEIVED = 10
# About as many emails take their slots together.
SLOTS = 16
# One batch of so many is on the FIFO queue, each event in the next of so many groups.
FIFO_EVERY, GROUPS = 10, 200
CHORES_EVERY = 50


class WholePath:
    """Takes events all the way, batch by batch; ``times`` has milliseconds by step, of what ``run`` did last."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}
        self._next = self._batches = self._handled = 0
        limiter.refresh()

    def run(self, events: int, *, together: int) -> float:
        """Take so many events all the way, ``together`` in each step; returns events a second without the chores."""
        self.times = defaultdict(list)
        spent, until = 0.0, self._handled + events
        for start in range(0, events, together):
            began = time.perf_counter()
            self._record(min(together, events - start))
            self._handle(together)
            spent += time.perf_counter() - began
            if self._batches % CHORES_EVERY == 0:
                self._chores()
        began = time.perf_counter()
        while self._handled < until:
            self._handle(together, from_start=True)
        return events / (spent + time.perf_counter() - began)

    def _record(self, count: int) -> None:
        events = [Event.from_json(envelope(self._next + number)) for number in range(count)]
        alias = STANDARD if self._batches % FIFO_EVERY else FIFO
        OutboxEvent.objects.bulk_create([self._row(event, alias) for event in events])
        self._next, self._batches = self._next + count, self._batches + 1

    def _row(self, event: Event, alias: str) -> OutboxEvent:
        return OutboxEvent(
            event_id=event.id,
            deduplication_id=event.id,
            type=event.type,
            subject=event.subject,
            queue=alias,
            group=f"group-{event.id.int % GROUPS}" if alias == FIFO else "",
            body=event.to_json(),
            available_at=timezone.now(),
        )

    def _handle(self, most: int, *, from_start: bool = False) -> None:
        """Publish and handle what is due: a relay looks at both queues in each step."""
        options = {"most": most, "from_start": from_start}
        self._timed("relay: end expired claims", claims.release_expired)
        heads = self._timed("relay: claim heads of groups", claims.take_heads, FIFO, **options)
        oldest = self._timed("relay: claim", claims.take_oldest, STANDARD, **options)
        for taken in filter(None, (heads, oldest)):
            self._timed("relay: settle", self._settle, taken)
            self._consume([Event.from_json(event.body) for event in taken])
            self._handled += len(taken)

    def _settle(self, taken: Sequence[Claimed]) -> None:
        claims.settle(taken[0].claim, {event.pk: str(event.event_id) for event in taken})

    def _consume(self, events: Sequence[Event]) -> None:
        for _ in range(0, len(events), SLOTS):
            self._timed("consumer: reserve slots", limiter.reserve, SLOTS)
        owed = [
            Owed(event, "order_confirmation", event.data["customer"]["email"]) for event in events
        ]
        held = self._timed("consumer: claim", email_claims.claim_owed, owed)
        accepted = [
            states.Acceptance(claim.notification.pk, claim.attempt, str(claim.notification.pk))
            for claim in held
            if claim
        ]
        self._timed("consumer: accept", states.accept_many, accepted)
        for start in range(0, len(events), RECEIVED):
            ids = [event.id for event in events[start : start + RECEIVED]]
            self._timed("consumer: mark handled", handling.mark_handled, ids)

    def _chores(self) -> None:
        for chore in (*registry.sweeps, *registry.watches):
            self._timed(f"chore: {chore.__module__}.{chore.__name__}", chore)
        for alias in (STANDARD, FIFO):
            self._timed("chore: publish what is lost", lost.republish_lost, alias)

    def _timed(self, name: str, step: Callable[..., Result], *args: Any, **options: Any) -> Result:
        began = time.perf_counter()
        result = step(*args, **options)
        self.times[name].append((time.perf_counter() - began) * 1000)
        return result
