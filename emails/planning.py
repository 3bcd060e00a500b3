"""Which emails an event would make, found out by its handlers themselves, with nothing sent.

Only the handlers of this app are run, inside ``planned``: they choose templates and recipients, and ``notify`` notes
the choice instead of sending.
"""

from __future__ import annotations

from contextvars import ContextVar

from emails.owed import Owed
from queues import registry
from queues.events.envelope import Event

_plan: ContextVar[list[Owed] | None] = ContextVar("plan", default=None)


def planned(event: Event) -> list[Owed]:
    """What the event owes. Its data must fit its type."""
    plan: list[Owed] = []
    token = _plan.set(plan)
    try:
        for handler in registry.handlers_of(event.type):
            if handler.__module__ == "emails.handlers":
                handler(event)
    finally:
        _plan.reset(token)
    return plan


def is_noted(owed: Owed) -> bool:
    """Whether this was only a plan; then nothing is to be sent."""
    plan = _plan.get()
    if plan is None:
        return False
    plan.append(owed)
    return True
