"""Cells of the admin's tables: links, times, labels and JSON as its pages show them."""

from __future__ import annotations

import json
from uuid import UUID

from django.db.models import Model
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from queues.console import change_url


def link(row: Model) -> SafeString:
    """A link to the admin's page of a row."""
    return format_html('<a class="text-link" href="{}">{}</a>', change_url(row), row)


def two_lines(first: object, second: object) -> SafeString:
    """A cell with something to find it by and, smaller, something to know about it."""
    return format_html('<span class="fact-two">{}<small>{}</small></span>', first, second)


def coloured(text: object, colour: str) -> SafeString:
    """A label like those of the lists."""
    return render_to_string("unfold/helpers/label.html", {"text": text, "type": colour})


def subject_links(subject: str) -> list[tuple[str, str]]:
    """Links to what an event is about, and to its emails; none for a subject that no page can have."""
    try:
        return [
            (subject, reverse("subject", args=[subject])),
            (f"Emails of {subject}", reverse("subject-emails", args=[subject])),
        ]
    except NoReverseMatch:
        return []


def timeline_links(event_id: UUID | None) -> list[tuple[str, str]]:
    """A link to all that happened to an event; garbage from foreign producers has no event id."""
    return [("Timeline", reverse("timeline", args=[event_id]))] if event_id else []


def pretty(body: str) -> SafeString:
    """A message body to read: indented when it is JSON, as it came otherwise; always escaped."""
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = body
    # JSON can write half a surrogate pair, and no page can show it.
    shown = text.encode(errors="backslashreplace").decode()
    return format_html('<pre class="fact-code" tabindex="0">{}</pre>', shown)


def pretty_json(value: object) -> SafeString | str:
    """A JSON value to read."""
    if not value:
        return "—"
    try:
        return pretty(json.dumps(value))
    except RecursionError:
        return "It is nested too deeply to be shown."
