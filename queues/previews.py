"""What an event will make, shown before it is made: the upper apps answer."""

from __future__ import annotations

from dataclasses import dataclass

from queues import registry
from queues.events.envelope import Event


@dataclass(frozen=True)
class Preview:
    """One email. With a ``problem`` it cannot be made, and this says why."""

    title: str
    subject: str = ""
    html: str = ""
    text: str = ""
    problem: str = ""


def of(event: Event) -> list[Preview]:
    """All that the event will make; empty where nobody can tell."""
    return [preview for shows in registry.previewers() for preview in shows(event)]
