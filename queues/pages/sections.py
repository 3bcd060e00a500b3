"""Build the tables above the fields of a row's page in the admin: its failures, events and dead letters."""

from __future__ import annotations

from django.db.models import QuerySet

from queues.answers import Section
from queues.console import moment
from queues.models import DeadLetter, HandlingFailure, OutboxEvent
from queues.pages.cells import both_ends, coloured, link

# More rows than this help nobody; the lists have them all.
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
DEAD_LETTER_COLOURS = {
    "open": "danger",
    "parked": "warning",
    "redriven": "success",
    "discarded": "",
}


def published(event: OutboxEvent) -> str:
    """Say when an event was published; of one that was handled before that was saved, at least that it was."""
    if event.published_at is None and event.handled_at and event.state == OutboxEvent.State.HANDLED:
        return f"before {moment(event.handled_at)}"
    return moment(event.published_at)


def failures_section(failures: QuerySet[HandlingFailure], *, empty: str = "") -> Section:
    """Build the table of receives that ended without an ack."""
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
    """Build the table of outbox rows and their progress."""
    return Section(
        title,
        ("event", "state", "recorded", "published", "handled"),
        [
            (
                link(event),
                coloured(event.get_state_display(), OUTBOX_COLOURS[event.state]),
                moment(event.recorded_at),
                published(event),
                moment(event.handled_at),
            )
            for event in events[:MAX_ROWS]
        ],
    )


def dead_letters_section(letters: QuerySet[DeadLetter]) -> Section:
    """Build the table of dead letters with their causes."""
    return Section(
        "Dead letters of this event",
        ("message", "state", "cause", "reason", "collected"),
        [
            (
                link(letter),
                coloured(letter.get_state_display(), DEAD_LETTER_COLOURS[letter.state]),
                letter.code,
                both_ends(letter.reason),
                moment(letter.collected_at),
            )
            for letter in letters[:MAX_ROWS]
        ],
    )
