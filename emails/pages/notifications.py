"""Show emails in the admin, and let staff send one again, cancel it or mark it as sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from emails.errors import RenderError
from emails.models import Edition, Notification, Suppression
from emails.pages.filters import DeliveryFilter, StandingFilter
from emails.pages.sections import attempts_section, reports_section, seconds
from emails.reports import reasons, standings
from emails.reports.standings import Standing
from emails.sending import by_hand, states, trials
from emails.versions import in_force
from queues import masking
from queues.answers import Section
from queues.console import change_url, moment
from queues.models import DeadLetter, OutboxEvent
from queues.pages.cells import coloured, pretty_json, two_lines
from queues.pages.facts import Act, FactAdmin, column
from queues.pages.listing.exports import Export
from queues.pages.listing.time_range import CreatedFilter
from queues.pages.sections import dead_letters_section, outbox_section

State = Notification.State


Delivery = Notification.Delivery


_WHOLE = {"email_text"}


@admin.register(Notification)
class NotificationAdmin(FactAdmin):
    list_display = (
        "what",
        "recipient",
        "state_label",
        "delivery",
        "times",
    )
    list_filter = (("created_at", CreatedFilter), StandingFilter, DeliveryFilter)
    linked_by = ("delivery_status", "state")
    search_fields = ("recipient", "recipient_key", "subject", "event_id", "provider_message_id")
    search_help_text = "Recipient, subject, event id or SES message id"
    ordering = ("-id",)
    export = Export(
        "emails.export_notification",
        (
            *("id", "event_id", "event_type", "subject", "template", "recipient", "state"),
            *("reason_code", "reason", "delivery_status", "delivery_code", "delivery_reason"),
            *("attempts", "created_at", "sent_at", "delivered_at", "delivery_at", "opened_at"),
            *("clicked_at", "provider_message_id"),
        ),
    )
    nothing_yet = "An email is listed here as soon as a consumer handles an event that owes one."
    fieldsets = (
        (
            "Email",
            {
                "fields": (
                    ("recipient", "template"),
                    "made_with",
                    ("created_at", "next_at"),
                    ("sent_at", "delivered_at"),
                    ("delivery_status", "attempts"),
                    ("time_to_mailbox", "delivery_at"),
                    ("opened_at", "clicked_at"),
                    ("provider_message_id", "sqs_message_id"),
                    ("event_type", "subject"),
                    "event_id",
                )
            },
        ),
        ("Text", {"fields": ("email_text",), "classes": ["tab"]}),
        ("Data", {"fields": ("pretty_context",), "classes": ["tab"]}),
    )
    readonly_fields = ("email_text", "pretty_context", "time_to_mailbox", "made_with")
    change_form_outer_before_template = "emails_admin/notification.html"

    acts = {
        "mark_sent": Act(
            label="Mark as sent",
            done="marked as sent",
            service=by_hand.mark_sent,
            states=(State.IN_DOUBT,),
            permission="emails.mark_sent_notification",
            question="Do this only on evidence: the customer has the email, or SES's own records show it. "
            "It will never be sent again.",
            colour="default",
        ),
        "send_again": Act(
            label="Send again",
            done="sent again",
            service=by_hand.send_again,
            states=(State.IN_DOUBT, State.FAILED, State.SUPPRESSED),
            permission="emails.send_again_notification",
            colour="default",
            question="An email in doubt may have arrived: then its customer gets it twice. "
            "A failed one fails again unless its cause is fixed, and a suppressed one is suppressed again unless its "
            "address was lifted.",
        ),
        "cancel": Act(
            label="Cancel email",
            done="cancelled",
            service=states.cancel,
            states=(State.PENDING, State.FAILED, State.KEPT),
            permission="emails.cancel_notification",
            reason_required=True,
            colour="danger",
            row_colour="default",
            question="This email will never be sent, and you cannot undo this. "
            "An email that a consumer has begun to send still goes out.",
        ),
    }
    state_colours = standings.COLOURS
    personal = {
        "recipient": masking.addresses,
        "recipient_key": masking.addresses,
        "subject": masking.addresses,
        "context": masking.values,
        "reason": masking.addresses,
        # Answers of mail servers may name people.
        "delivery_reason": lambda text: masking.MASK if text else "",
    }
    findable = ("recipient", "recipient_key", "subject")
    meanings = {
        Standing.PENDING: "Not sent yet: its message is on its way to a consumer.",
        Standing.RETRYING: "Not sent yet. Its message comes back by itself for another try.",
        Standing.REDRIVING: "Not sent yet: it was a dead letter, and its message is on its way again.",
        Standing.DEAD_LETTER: "Not sent: its message failed too often and is a dead letter. Fix the cause, then "
        "redrive it.",
        Standing.STOPPED: "It will not be sent: its dead letter was closed, and no message is on its way. If that is "
        "wrong, reopen the dead letter, then redrive it.",
        Standing.SENDING: "A consumer is calling SES right now. If that process dies, this becomes “in doubt”.",
        Standing.SENT: "SES accepted it. It is never sent again.",
        Standing.IN_DOUBT: "SES may or may not have accepted it, so it is not sent again on a guess. Check the "
        "customer's mailbox or SES's records, then mark it as sent or send it again.",
        Standing.FAILED: "It was certainly not sent, and another try would fail in the same way. Fix the cause, "
        "then send it again.",
        Standing.SUPPRESSED: "It was not sent: its address is on the suppression list. If that is wrong, "
        "lift the address there, then send it again.",
        Standing.KEPT: "Bulk email is stopped. This email goes out when somebody resumes it.",
        Standing.CANCELLED: "It will not be sent: somebody cancelled it, or it was a test that SES rejected.",
    }
    deliveries = {
        Delivery.NONE: "",
        Delivery.DELAYED: " The recipient's mail server delays it; SES keeps trying.",
        Delivery.DELIVERED: " The recipient's mail server accepted it.",
        Delivery.SUPPRESSED: " SES did not try to deliver it.",
        Delivery.BOUNCED_SOFT: " Soft bounce: SES has given up.",
        Delivery.BOUNCED_HARD: " Hard bounce.",
        Delivery.COMPLAINED: " The recipient marked it as spam.",
        Delivery.REJECTED: " SES rejected it.",
    }

    @column(description="email", ordering="subject")
    def what(self, notification: Notification) -> SafeString:
        # Events of an earlier release, and of producers elsewhere, may have no subject.
        words = notification.subject or notification.template.replace("_", " ")
        return two_lines(words, notification.template)

    @column(description="state", ordering="state", colours=state_colours)
    def state_label(self, notification: Any) -> tuple[str, str]:
        return notification.standing, notification.standing.label

    @column(description="delivery", ordering="delivery_status")
    def delivery(self, notification: Notification) -> SafeString | str:
        status = Delivery(notification.delivery_status)
        if status == Delivery.NONE:
            return "—"
        return two_lines(
            coloured(status.label, standings.DELIVERY_COLOURS.get(status, "")),
            _delivery_words(notification),
        )

    @column(description="time to the mailbox")
    def time_to_mailbox(self, notification: Notification) -> str:
        return seconds(notification.time_to_mailbox) or "—"

    @column(description="created", ordering="created_at")
    def times(self, notification: Notification) -> SafeString:
        sent = f"sent {moment(notification.sent_at)}" if notification.sent_at else ""
        tries = f"attempts: {notification.attempts}" if notification.attempts != 1 else ""
        return two_lines(moment(notification.created_at), ", ".join(filter(None, (sent, tries))))

    @column(description="text part")
    def email_text(self, notification: Notification) -> SafeString:
        return shown(notification, "text")

    @column(description="made with")
    def made_with(self, notification: Notification) -> SafeString | str:
        editions = Edition.objects.select_related("version")
        edition = editions.filter(pk=notification.edition_id or 0).first()
        if edition is None:
            return "—"
        version = edition.version
        address = reverse("admin:emails_emailtemplate_version", args=[version.name, version.number])
        words = f"version {version.number}, from {version.get_origin_display().lower()}"
        return format_html('<a class="text-link" href="{}">{}</a>', address, words)

    @column(description="template data")
    def pretty_context(self, notification: Notification) -> SafeString | str:
        return pretty_json(notification.context)

    def explain(self, row: Notification) -> str:
        return "".join(
            (
                self.meanings[standings.of_one(row)],
                self.deliveries[Delivery(row.delivery_status)],
                f" {reasons.sentence(row.delivery_code)}" if row.delivery_code else "",
            )
        )

    def reason(self, row: Notification) -> str:
        if row.reason:
            return f"{row.reason_code}: {row.reason}"
        return row.delivery_reason or row.delivery_code

    def links(self, request: HttpRequest, row: Notification) -> Iterable[tuple[str, str]]:
        recipient = Notification.objects.values_list("recipient", flat=True).get(pk=row.pk)
        found = Suppression.objects.active().of([recipient]).first()
        may = found and request.user.has_perm("emails.view_suppression")
        suppressed = [("Why the address is suppressed", change_url(found))] if found and may else []
        return [*suppressed, *super().links(request, row)]

    def sections(self, request: HttpRequest, row: Notification) -> Iterable[Section]:
        yield attempts_section(row)
        yield reports_section(request, row)
        if request.user.has_perm("queues.view_outboxevent"):
            yield outbox_section(
                OutboxEvent.objects.filter(event_id=row.event_id), title="Event in the outbox"
            )
        if request.user.has_perm("queues.view_deadletter"):
            yield dead_letters_section(DeadLetter.objects.filter(event_id=row.event_id))

    def label(self, row: Notification) -> tuple[str, str]:
        standing = standings.of_one(row)
        return standing, str(standing.label)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list with where each email stands, which takes two queries for all of its rows."""
        changelist = super().get_changelist_instance(request)
        changelist.result_list = list(changelist.result_list)
        found = standings.of(changelist.result_list)
        for row in changelist.result_list:
            row.standing = found[row.pk]
        return changelist

    def get_fieldsets(self, request: HttpRequest, obj: Notification | None = None) -> list[Any]:
        """Leave out the email and its text for staff who may not see personal data: they cannot be masked."""
        parts = super().get_fieldsets(request, obj)
        if not masking.hides(request):
            return list(parts)
        return [part for part in parts if not {*part[1]["fields"]} & _WHOLE]

    def render_change_form(self, request: HttpRequest, context: Any, **kwargs: Any) -> HttpResponse:
        """Add the email as its customer sees it, for staff who may see personal data."""
        if not masking.hides(request):
            context["email_html"] = shown(kwargs["obj"], "html")
        return super().render_change_form(request, context, **kwargs)

    def advised(self, request: HttpRequest, row: Notification) -> tuple[str, str] | None:
        match standings.of_one(row):
            case Standing.DEAD_LETTER | Standing.STOPPED if request.user.has_perm(
                "queues.view_deadletter"
            ):
                letters = DeadLetter.objects.filter(event_id=row.event_id)
                newest = letters.open().order_by("-id").first() or letters.order_by("-id").first()
                return ("Open its dead letter", change_url(newest)) if newest else None
            case Standing.KEPT if request.user.has_perm("emails.view_guard"):
                return "See why bulk email is stopped", reverse("admin:emails_guard_changelist")
        return None


def _delivery_words(notification: Notification) -> str:
    """Return the cause of a problem, or the delivery time and whether the reader opened or clicked."""
    if code := notification.delivery_code:
        return f"{reasons.sentence(code)} ({code})"
    took = seconds(notification.time_to_mailbox)
    read = "clicked" if notification.clicked_at else "opened" if notification.opened_at else ""
    return ", ".join(filter(None, (f"in {took}" if took else "", read)))


def shown(notification: Notification, part: str) -> SafeString:
    """Render the email as its customer sees it, or say why that fails; ``part`` is html or text."""
    try:
        email = trials.draft_of(notification) or in_force.render_recorded(notification)
    except RenderError as exc:
        return format_html('<p class="fact-empty">This email cannot be rendered: {}</p>', str(exc))
    return render_to_string(f"emails_admin/email_{part}.html", {"email": email})
