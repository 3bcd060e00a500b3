"""What the admin's page of a fact shows above its fields: tables of what else is known."""

from __future__ import annotations

from datetime import datetime

from django.contrib.admin.utils import quote
from django.db.models import Model, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.timezone import localtime

from queues.answers import Section
from queues.models import DeadLetter, HandlingFailure, OutboxEvent

# More rows than this tell nobody anything; the lists have them all.
MAX_ROWS = 100


# Colours of Unfold's labels.
OUTBOX_COLOURS = {
    "pending": "info",
    "claimed": "info",
    "published": "primary",
    "held": "warning",
    "dead": "danger",
    "handled": "success",
    "discarded": "",
    "refused": "danger",
}
LETTER_COLOURS = {"open": "danger", "parked": "warning", "redriven": "success", "discarded": ""}


def failures_section(failures: QuerySet[HandlingFailure], *, empty: str = "") -> Section:
    """Each receive that ended without an ack."""
    return Section(
        "What happened at each receive",
        ("receive", "time", "cause", "reason"),
        [
            (failure.receive_count, moment(failure.failed_at), failure.code, failure.reason)
            for failure in failures[:MAX_ROWS]
        ],
        empty,
    )


def outbox_section(events: QuerySet[OutboxEvent], *, title: str) -> Section:
    """Rows of the outbox and how far they came."""
    return Section(
        title,
        ("event", "state", "recorded", "published", "handled"),
        [
            (
                link(event),
                coloured(event.get_state_display(), OUTBOX_COLOURS[event.state]),
                moment(event.recorded_at),
                moment(event.published_at),
                moment(event.handled_at),
            )
            for event in events[:MAX_ROWS]
        ],
    )


def dead_letters_section(letters: QuerySet[DeadLetter]) -> Section:
    """Dead letters with their causes."""
    return Section(
        "Dead letters of this event",
        ("message", "state", "cause", "reason", "collected"),
        [
            (
                link(letter),
                coloured(letter.get_state_display(), LETTER_COLOURS[letter.state]),
                letter.code,
                short(letter.reason),
                moment(letter.collected_at),
            )
            for letter in letters[:MAX_ROWS]
        ],
    )


def change_url(row: Model) -> str:
    """The admin's page of a row."""
    return reverse(
        f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[quote(row.pk)]
    )


def list_url(model: type[Model]) -> str:
    """The admin's list of a model."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def link(row: Model) -> SafeString:
    """A link to the admin's page of a row."""
    return format_html('<a class="text-link" href="{}">{}</a>', change_url(row), row)


def short(text: str) -> str:
    """As much of a text as a column takes."""
    return Truncator(" ".join(text.split())).chars(80)


def moment(time: datetime | None) -> str:
    """A time to the second, in the site's time zone."""
    return localize(localtime(time)) if time else "—"


def two_lines(first: object, second: object) -> SafeString:
    """A cell with something to find it by and, smaller, something to know about it."""
    return format_html('<span class="fact-two">{}<small>{}</small></span>', first, second)


def coloured(text: object, colour: str) -> SafeString:
    """A label like those of the lists."""
    return render_to_string("unfold/helpers/label.html", {"text": text, "type": colour})
