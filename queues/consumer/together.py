"""Handle many messages of a queue at once, as far as the handlers of their events can; the others are left over."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from queues import registry
from queues.aws.sqs import Queue, Received
from queues.consumer import handling
from queues.consumer.handling import Work
from queues.events.envelope import Event
from queues.events.tracing import OpenSpan
from queues.registry import Together

logger = logging.getLogger(__name__)

# Messages that are left over, each with what is left to do; None means all.
Left = list[tuple[Received, Work | None]]


def handle(queue: Queue, messages: Sequence[Received]) -> tuple[list[Received], Left]:
    """Handle those of these messages that can be handled together; returns them, and the others.

    The events of the first are marked handled, so their messages only have to be deleted.
    """
    for message in messages:
        handling.note(queue, message)
    done: list[Received] = []
    left: Left = []
    if queue.is_fifo or not registry.takes_envelopes(queue.alias):
        return done, [(message, None) for message in messages]
    for together, batch in _planned(queue, messages, left).items():
        unfinished = together.carry_out([one.plan for one in batch])
        for one in batch:
            one.span.end()
            if finish := unfinished.get(one.event.id):
                left.append((one.message, partial(_finished, finish, one.event)))
            else:
                logger.info("handled event=%s message=%s", one.message.event_id, one.message.id)
                done.append(one.message)
    return done, left


@dataclass(frozen=True)
class _Planned:
    """A message that can be handled together with others: its event, and what that leads to."""

    message: Received
    event: Event
    plan: Any
    span: OpenSpan


def _planned(
    queue: Queue, messages: Sequence[Received], left: Left
) -> dict[Together, list[_Planned]]:
    batches: defaultdict[Together, list[_Planned]] = defaultdict(list)
    # The same event may be here twice, and is handled once.
    seen: set[UUID] = set()
    for message in messages:
        try:
            event = Event.from_json(message.body)
            together = registry.together(event.type)
        except Exception:
            # Handled alone it fails in the same way, and that is recorded.
            together = None
        if together is None or event.id in seen:
            left.append((message, None))
            continue
        span = handling.begin_span(queue, message)
        try:
            plan = span.run(partial(_plan, together, message, event))
        except Exception as exc:
            span.end(exc)
            left.append((message, None))
        else:
            seen.add(event.id)
            batches[together].append(_Planned(message, event, plan, span))
    return batches


def _plan(together: Together, message: Received, event: Event) -> Any:
    with handling.sent_by(message):
        return together.plan(event)


def _finished(finish: Callable[[], None], event: Event) -> Event:
    finish()
    return event
