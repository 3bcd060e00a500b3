from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from emails import (
    identity_views,
    preview_views,
    rendering,
    sender_views,
    sending,
    states,
    trial_views,
)
from emails.errors import RenderError
from emails.guard_admin import GuardAdmin as GuardAdmin
from emails.models import DeliveryEvent, Identity, Notification, Suppression
from emails.suppression_admin import SuppressionAdmin as SuppressionAdmin
from queues import masking, registry
from queues.fact_admin import Act, FactAdmin, column, pretty_json
from queues.fact_sections import (
    MAX_ROWS,
    Section,
    change_url,
    dead_letters_section,
    moment,
    outbox_section,
    two_lines,
)
from queues.models import DeadLetter, OutboxEvent

State = Notification.State
Delivery = Notification.Delivery


_WHOLE = {"email_html", "email_text"}


@admin.register(Notification)
class NotificationAdmin(FactAdmin):
    list_display = ("what", "recipient", "state_label", "delivery_label", "created", "sent")
    list_filter = ("state", "delivery_status")
    search_fields = ("recipient", "subject", "event_id", "provider_message_id")
    search_help_text = "Recipient, subject, event id or SES message id"
    ordering = ("-id",)
    fieldsets = (
        (
            "Email",
            {
                "fields": (
                    ("recipient", "template"),
                    ("created_at", "next_at"),
                    ("sent_at", "delivered_at"),
                    ("delivery_status", "attempts"),
                    "provider_message_id",
                    ("event_type", "subject"),
                    "event_id",
                )
            },
        ),
        ("The email", {"fields": ("email_html",), "classes": ["tab"]}),
        ("Text", {"fields": ("email_text",), "classes": ["tab"]}),
        ("Data", {"fields": ("pretty_context",), "classes": ["tab"]}),
    )
    readonly_fields = ("email_html", "email_text", "pretty_context")

    acts = {
        "mark_sent": Act(
            label="It was sent",
            done="marked as sent",
            service=sending.mark_sent,
            states=(State.IN_DOUBT,),
            permission="emails.mark_sent_notification",
            question="Say so only on evidence: the customer has it, or SES's own records show it. "
            "Nobody will be sent this email again.",
            colour="default",
        ),
        "send_again": Act(
            label="Send again",
            done="sent again",
            service=sending.send_again,
            states=(State.IN_DOUBT, State.FAILED, State.SUPPRESSED),
            permission="emails.send_again_notification",
            colour="default",
            question="An email in doubt may have arrived: its customer gets it twice then. "
            "A failed one fails again unless its cause is mended, and a suppressed one is suppressed again unless its "
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
            question="Nobody will be sent this email, and that cannot be undone. "
            "What a consumer has begun to send goes all the same.",
        ),
    }
    state_colours = {
        State.PENDING: "info",
        State.SENDING: "info",
        State.SENT: "success",
        State.IN_DOUBT: "warning",
        State.FAILED: "danger",
        State.CANCELLED: "",
        State.SUPPRESSED: "warning",
        State.KEPT: "warning",
    }
    personal = {
        "recipient": masking.addresses,
        "context": masking.values,
        "reason": masking.addresses,
    }
    findable = ("recipient",)
    delivery_colours: Mapping[str, str] = {
        Delivery.DELAYED: "warning",
        Delivery.DELIVERED: "success",
        Delivery.BOUNCED_SOFT: "warning",
        Delivery.BOUNCED_HARD: "danger",
        Delivery.COMPLAINED: "danger",
        Delivery.REJECTED: "danger",
        Delivery.SUPPRESSED: "danger",
    }
    meanings = {
        State.PENDING: "Not sent yet. Its message waits in the queue, or comes back after a failed try.",
        State.SENDING: "A consumer is talking to SES right now. If that process dies, this becomes “in doubt”.",
        State.SENT: "SES accepted it; it is never sent again.",
        State.IN_DOUBT: "SES may or may not have accepted it, so it is not sent again on a guess. Look into the "
        "customer's mailbox or SES's records, then say what happened.",
        State.FAILED: "It was certainly not sent, and trying again as it is would change nothing. Mend the cause, "
        "then send it again.",
        State.SUPPRESSED: "It was not sent: its address is on the suppression list. Lift it there if that is wrong, "
        "then send it again.",
        State.KEPT: "Bulk email is stopped. It goes out when somebody resumes that.",
        State.CANCELLED: "It is not sent any more: somebody cancelled it, or it was a test that SES refused.",
    }
    deliveries = {
        Delivery.NONE: "",
        Delivery.DELAYED: " The recipient's mail server keeps it waiting; SES goes on trying.",
        Delivery.DELIVERED: " The recipient's mail server took it.",
        Delivery.BOUNCED_SOFT: " It bounced for now: a full mailbox, say.",
        Delivery.BOUNCED_HARD: " It bounced: there is no such mailbox.",
        Delivery.COMPLAINED: " The recipient called it spam.",
        Delivery.REJECTED: " SES found a virus in it and did not deliver it.",
        Delivery.SUPPRESSED: " SES did not deliver it: the address is on the suppression list of the account.",
    }

    @column(description="email", ordering="subject")
    def what(self, notification: Notification) -> SafeString:
        return two_lines(notification.subject or "no subject", notification.template)

    @column(description="state", ordering="state", colours=state_colours)
    def state_label(self, notification: Notification) -> tuple[str, str]:
        return notification.state, notification.get_state_display()

    @column(description="delivery", ordering="delivery_status", colours=delivery_colours)
    def delivery_label(self, notification: Notification) -> tuple[str, str]:
        if notification.delivery_status == Delivery.NONE:
            return "", ""
        return notification.delivery_status, notification.get_delivery_status_display()

    @column(description="created", ordering="created_at")
    def created(self, notification: Notification) -> str:
        return moment(notification.created_at)

    @column(description="sent", ordering="sent_at")
    def sent(self, notification: Notification) -> SafeString:
        return two_lines(moment(notification.sent_at), f"attempts: {notification.attempts}")

    @column(description="as the customer got it")
    def email_html(self, notification: Notification) -> SafeString:
        return shown(notification, "html")

    @column(description="text part")
    def email_text(self, notification: Notification) -> SafeString:
        return shown(notification, "text")

    @column(description="data that the template renders")
    def pretty_context(self, notification: Notification) -> SafeString | str:
        return pretty_json(notification.context)

    def explain(self, row: Notification) -> str:
        if row.state == State.PENDING and _open_letters(row).exists():
            return "Not sent: its message failed too often and is a dead letter. Mend the cause, then redrive it."
        return self.meanings[State(row.state)] + self.deliveries[Delivery(row.delivery_status)]

    def reason(self, row: Notification) -> str:
        return f"{row.reason_code}: {row.reason}" if row.reason else ""

    def links(self, request: HttpRequest, row: Notification) -> Iterable[tuple[str, str]]:
        recipient = Notification.objects.values_list("recipient", flat=True).get(pk=row.pk)
        found = Suppression.objects.active().of([recipient]).first()
        may = found and request.user.has_perm("emails.view_suppression")
        suppressed = [("Why its address is suppressed", change_url(found))] if found and may else []
        return [*suppressed, *super().links(request, row)]

    def sections(self, request: HttpRequest, row: Notification) -> Iterable[Section]:
        yield _attempts_section(row)
        yield _delivery_section(row)
        if request.user.has_perm("queues.view_outboxevent"):
            yield outbox_section(
                OutboxEvent.objects.filter(event_id=row.event_id), title="Its event in the outbox"
            )
        if request.user.has_perm("queues.view_deadletter"):
            yield dead_letters_section(DeadLetter.objects.filter(event_id=row.event_id))

    def get_fieldsets(self, request: HttpRequest, obj: Notification | None = None) -> list[Any]:
        """The email itself cannot be masked."""
        if not masking.hides(request):
            return list(self.fieldsets)
        return [part for part in self.fieldsets if not {*part[1]["fields"]} & _WHOLE]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("templates/", view(preview_views.first), name="emails_templates"),
            path("templates/<str:name>/", view(preview_views.preview), name="emails_template"),
            *super().get_urls(),
        ]


@admin.register(Identity)
class IdentityAdmin(ModelAdmin):  # type: ignore[misc]  # Unfold has no types
    """SES keeps the identities, so none of Django's own pages can work: these take their places."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(identity_views.show_all), name="emails_identity_changelist"),
            path("verify/", view(identity_views.verify), name="emails_identity_verify"),
            path("delete/", view(identity_views.delete), name="emails_identity_delete"),
            path("refresh/", view(identity_views.refresh), name="emails_identity_refresh"),
            path("sender/", view(sender_views.choose), name="emails_identity_sender"),
            path("sender/reset/", view(sender_views.reset), name="emails_identity_sender_reset"),
            path("test/", view(trial_views.send), name="emails_identity_test"),
            path("test/<uuid:event_id>/", view(trial_views.follow), name="emails_identity_trial"),
            path(
                "test/<uuid:event_id>/progress/",
                view(trial_views.progress),
                name="emails_identity_trial_progress",
            ),
            path("<str:name>/", view(identity_views.show_one), name="emails_identity_change"),
        ]


@registry.details
def attempts_of_event(request: HttpRequest, event_id: UUID) -> Iterable[Section]:
    """Each email of the event with every call to SES; two queries."""
    if not request.user.has_perm("emails.view_notification"):
        return
    rows = Notification.objects.filter(event_id=event_id).prefetch_related("attempt_rows")
    for notification in rows[:MAX_ROWS]:
        section = _attempts_section(notification)
        yield replace(
            section, title=f"Attempts to send {notification.template} to {notification.recipient}"
        )


def _open_letters(notification: Notification) -> QuerySet[DeadLetter]:
    return DeadLetter.objects.filter(event_id=notification.event_id, state=DeadLetter.State.OPEN)


def shown(notification: Notification, part: str) -> SafeString:
    """The email as its customer got it, or why it cannot be rendered; ``part`` is html or text."""
    try:
        email = rendering.render(notification.template, notification.context)
    except RenderError as exc:
        return format_html('<p class="fact-empty">It cannot be rendered: {}</p>', str(exc))
    return render_to_string(f"emails_admin/email_{part}.html", {"email": email})


def _attempts_section(notification: Notification) -> Section:
    return Section(
        "Attempts",
        ("number", "started", "finished", "outcome", "SES said"),
        [
            (
                attempt.number,
                moment(attempt.started_at),
                moment(attempt.finished_at),
                attempt.get_outcome_display() or "no answer recorded",
                attempt.provider_message_id or f"{attempt.error_code} {attempt.error}".strip(),
            )
            for attempt in notification.attempt_rows.all()
        ],
        "SES was not called yet.",
    )


def _delivery_section(notification: Notification) -> Section:
    message_ids = {attempt.provider_message_id for attempt in notification.attempt_rows.all()}
    message_ids |= {notification.provider_message_id}
    events = DeliveryEvent.objects.filter(provider_message_id__in=message_ids - {""})
    return Section(
        "What SES reported later",
        ("event", "time", "recipient"),
        [(event.type, moment(event.happened_at), event.recipient) for event in events],
        "Nothing yet.",
    )
