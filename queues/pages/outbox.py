"""Show the outbox in the admin: the list of events, the page of each, and “Publish again”."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from queues import masking
from queues.answers import Section
from queues.console import moment
from queues.models import DeadLetter, HandlingFailure, OutboxEvent
from queues.outbox import relay
from queues.pages import sections
from queues.pages.cells import link, pretty, two_lines
from queues.pages.facts import Act, FactAdmin, column
from queues.pages.filters import LateFilter, QueueFilter, TypeFilter
from queues.pages.listing.time_range import CreatedFilter
from queues.pages.sections import OUTBOX_COLOURS, dead_letters_section, failures_section

Outbox = OutboxEvent.State


@admin.register(OutboxEvent)
class OutboxEventAdmin(FactAdmin):
    list_display = ("what", "state_label", "on_queue", "recorded", "published", "handled")
    list_filter = (("recorded_at", CreatedFilter), "state", LateFilter, QueueFilter, TypeFilter)
    search_fields = ("event_id", "subject", "sqs_message_id")
    search_help_text = "Event id, subject or SQS message id"
    ordering = ("-id",)
    nothing_yet = (
        "An event is listed here as soon as an app records one, as the shop does for each order."
    )
    fieldsets = (
        (
            "Event",
            {"fields": (("type", "subject"), "event_id", ("queue", "group"), "traceparent")},
        ),
        (
            "Progress",
            {
                "fields": (
                    ("recorded_at", "published"),
                    ("handled_at", "available_at"),
                    ("tries", "redriven_letter"),
                    "sqs_message_id",
                    "deduplication_id",
                )
            },
        ),
        ("Body", {"fields": ("pretty_body",)}),
    )
    readonly_fields = ("published", "pretty_body", "redriven_letter")

    acts = {
        "publish_again": Act(
            label="Publish again",
            done="queued to be published again",
            service=relay.publish_again,
            states=(Outbox.PUBLISHED, Outbox.HANDLED, Outbox.DISCARDED, Outbox.REFUSED),
            permission="queues.publish_outboxevent",
        ),
    }
    state_colours = OUTBOX_COLOURS
    personal = {
        "subject": masking.addresses,
        "body": masking.body,
        "error": masking.addresses,
    }
    findable = ("subject",)
    meanings = {
        Outbox.PENDING: "Recorded. The relay publishes it next: consume_queue or relay_outbox must be running.",
        Outbox.CLAIMED: "A relay is publishing it right now. If that process died, another takes over "
        "within half a minute.",
        Outbox.PUBLISHED: "SQS has it, and no consumer has finished it yet. If the queue is empty and this stays, "
        "look for a dead letter, or publish it again: no email is sent twice.",
        Outbox.HELD: "It is held, and later events of its group wait for it. It goes on when its email is no longer "
        "in doubt.",
        Outbox.DEAD: "It failed too often and is now a dead letter: see below.",
        Outbox.HANDLED: "Published and handled.",
        Outbox.DISCARDED: "Somebody discarded its dead letter: it will not be handled.",
        Outbox.REFUSED: "SQS will never take this message as it is.",
    }

    @column(description="event", ordering="subject")
    def what(self, event: OutboxEvent) -> SafeString:
        return two_lines(event.subject or "no subject", event.type or "no envelope")

    @column(description="queue", ordering="queue")
    def on_queue(self, event: OutboxEvent) -> SafeString:
        return two_lines(event.queue, f"tries: {event.tries}")

    @column(description="recorded", ordering="recorded_at")
    def recorded(self, event: OutboxEvent) -> str:
        return moment(event.recorded_at)

    @column(description="published", ordering="published_at")
    def published(self, event: OutboxEvent) -> str:
        return sections.published(event)

    @column(description="handled", ordering="handled_at")
    def handled(self, event: OutboxEvent) -> str:
        return moment(event.handled_at)

    @column(description="state", ordering="state", colours=OUTBOX_COLOURS)
    def state_label(self, event: OutboxEvent) -> tuple[str, str]:
        return event.state, event.get_state_display()

    @column(description="body")
    def pretty_body(self, event: OutboxEvent) -> SafeString:
        return pretty(event.body)

    @column(description="redrive of")
    def redriven_letter(self, event: OutboxEvent) -> SafeString | str:
        return link(event.redrive_of) if event.redrive_of else "—"

    def explain(self, row: OutboxEvent) -> str:
        return self.meanings[Outbox(row.state)]

    def reason(self, row: OutboxEvent) -> str:
        return row.error

    def sections(self, request: HttpRequest, row: OutboxEvent) -> Iterable[Section]:
        if row.event_id is None:
            return
        yield failures_section(HandlingFailure.objects.filter(event_id=row.event_id))
        if request.user.has_perm("queues.view_deadletter"):
            yield dead_letters_section(DeadLetter.objects.filter(event_id=row.event_id))
