"""Render the emails that an event will send, without sending them."""

from __future__ import annotations

from emails.errors import RenderError
from emails.sending import planning
from emails.sending.planning import Owed
from emails.versions import in_force
from queues import registry
from queues.answers import Preview
from queues.events.envelope import Event


@registry.previewers
def preview(event: Event) -> list[Preview]:
    """Return a preview of each email that the event owes."""
    return [_of(owed) for owed in planning.planned(event)]


def _of(owed: Owed) -> Preview:
    title = f"{owed.template} to {owed.recipient}"
    try:
        email = in_force.render(owed.template, owed.event.data)
    except RenderError as exc:
        return Preview(title, owed.recipient, problem=f"It cannot be rendered: {exc}")
    return Preview(title, owed.recipient, subject=email.subject, html=email.html, text=email.text)
