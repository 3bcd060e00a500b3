"""Show what would be sent: a draft rendered with an event, with the headers and the size of its email."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emails.checking.trial import CLIPPED_BYTES
from emails.editing import checks
from emails.editing.events import Chosen
from emails.errors import RenderError, Unwritable
from emails.models import Notification
from emails.rendering import templates
from emails.rendering.templates import Rendered
from emails.sending import composing, planning
from emails.sending.claims import Claim
from emails.versions import in_force
from queues.errors import Reject
from queues.events.envelope import Event

_is_dark = re.compile(r"\(\s*prefers-color-scheme\s*:\s*dark\s*\)", re.IGNORECASE)

# Receives what is shown where the event names nobody.
NOBODY = "customer@example.com"


@dataclass(frozen=True)
class Shown:
    """What a draft makes of an event; ``problem`` says why nothing could be made."""

    email: Rendered | None = None
    headers: str = ""
    html_bytes: int = 0
    whole_bytes: int = 0
    problem: str = ""

    @property
    def light(self) -> str:
        """The HTML as a mail program in light mode shows it, whatever the mode of the reader's browser."""
        return _in_mode("(max-width: 0px)", self)

    @property
    def dark(self) -> str:
        """The HTML as a mail program in dark mode shows it."""
        return _in_mode("(min-width: 0px)", self)

    @property
    def is_clipped(self) -> bool:
        """Return True if Gmail shows only a part, and hides the rest behind a link."""
        return self.html_bytes > CLIPPED_BYTES


def _in_mode(condition: str, shown: Shown) -> str:
    """Answer the style sheet's question for dark mode by a condition that is always or never true."""
    return _is_dark.sub(condition, shown.email.html) if shown.email else ""


def of_draft(template: str, files: Mapping[str, str], chosen: Chosen, *, language: str) -> Shown:
    """Render files that nobody has saved yet, with the partials that are in force."""
    try:
        sources = checks.closed(template, files)
    except RenderError as exc:
        return Shown(problem=str(exc))
    return of_sources(template, sources, chosen, language=language)


def of_partial(partial: str, source: str, user: str, chosen: Chosen, *, language: str) -> Shown:
    """Render a template that uses a partial, with a source of the partial that nobody has saved yet."""
    try:
        sources = checks.with_partial(user, partial, source)
    except RenderError as exc:
        return Shown(problem=str(exc))
    return of_sources(user, sources, chosen, language=language)


def of_sources(
    template: str, sources: Mapping[str, str], chosen: Chosen, *, language: str = ""
) -> Shown:
    """Render files with all partials that they use; ``language`` goes before that of the event."""
    data = {**chosen.data, "locale": language} if language else chosen.data
    try:
        files = templates.of_sources(template, sources)
        email = files.render(data, in_force.letterhead(template))
        return _written(template, email, chosen, data)
    except RenderError as exc:
        return Shown(problem=str(exc))


def _written(template: str, email: Rendered, chosen: Chosen, data: Mapping[str, Any]) -> Shown:
    row = Notification(
        template=template,
        event_type=chosen.type,
        context=dict(data),
        recipient=_recipient(template, chosen),
    )
    message = composing.message(Claim(row, uuid.UUID(int=0), 1, 0.0), email)
    try:
        whole: bytes = message.message().as_bytes(linesep="\r\n")
    except Unwritable as exc:
        return Shown(email, problem=f"No email can be made of it: {exc}")
    return Shown(
        email,
        headers=whole.partition(b"\r\n\r\n")[0].decode(errors="replace"),
        html_bytes=len(email.html.encode()),
        whole_bytes=len(whole),
    )


def _recipient(template: str, chosen: Chosen) -> str:
    """Return whom the event's email goes to."""
    if chosen.is_masked or not chosen.type:
        return NOBODY
    event = Event(
        source="/preview", type=chosen.type, subject=chosen.subject, data=dict(chosen.data)
    )
    try:
        owed = planning.planned(event)
    except (Reject, LookupError, TypeError):
        return NOBODY
    return next((each.recipient for each in owed if each.template == template), NOBODY)
