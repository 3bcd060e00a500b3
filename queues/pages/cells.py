"""Format links, times, labels and JSON for the admin's tables and pages."""

from __future__ import annotations

import json
from uuid import UUID

from django.db.models import Model
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from queues import masking
from queues.console import change_url
from queues.dead_letters.causes import amount as money
from queues.events import envelope
from queues.models import DeadLetter


def link(row: Model) -> SafeString:
    """Render a link to a row's page in the admin."""
    return format_html('<a class="text-link" href="{}">{}</a>', change_url(row), row)


def two_lines(first: object, second: object) -> SafeString:
    """Render a cell of two lines: what staff find the row by and, smaller, a fact about it."""
    return format_html('<span class="fact-two">{}<small>{}</small></span>', first, second)


def both_ends(text: str) -> str:
    """Shorten a reason to 80 characters on one line: its end says whom or what it is about, so the middle goes."""
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:24].rstrip()} … {text[-53:].lstrip()}"


def recipient(letter: DeadLetter) -> str:
    """Return the address that the email of a dead letter goes to; empty if its body does not say."""
    stake = envelope.stake(letter.body)
    return stake.address if stake else ""


def amount(letter: DeadLetter, *, hides: bool = False) -> str:
    """Return the money that a dead letter is about, or a mask; empty if it names none."""
    if letter.amount_cents is None:
        return ""
    return masking.MASK if hides else money(letter.amount_cents, letter.currency)


def coloured(text: object, colour: str) -> SafeString:
    """Render a coloured label like those in the lists."""
    return render_to_string("unfold/helpers/label.html", {"text": text, "type": colour})


def subject_links(subject: str) -> list[tuple[str, str]]:
    """Return links to the subject of an event and to its emails; none if no URL can hold the subject."""
    try:
        return [
            (subject, reverse("subject", args=[subject])),
            (f"Emails of {subject}", reverse("subject-emails", args=[subject])),
        ]
    except NoReverseMatch:
        return []


def timeline_links(event_id: UUID | None) -> list[tuple[str, str]]:
    """Return a link to the event's timeline; none without an event id, as in garbage from foreign producers."""
    return [("Timeline", reverse("timeline", args=[event_id]))] if event_id else []


def pretty(body: str) -> SafeString:
    """Render a message body: indented if it is JSON, else as it came; always escaped."""
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = body
    # JSON can contain half a surrogate pair, which no page can show.
    shown = text.encode(errors="backslashreplace").decode()
    return format_html('<pre class="fact-code" tabindex="0">{}</pre>', shown)


def pretty_json(value: object) -> SafeString | str:
    """Render a JSON value, indented and escaped."""
    if not value:
        return "—"
    try:
        return pretty(json.dumps(value))
    except RecursionError:
        return "This is nested too deeply to be shown."
