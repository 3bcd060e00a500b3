from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from emails.models import Notification, Suppression, SuppressionSync
from emails.pages import suppression_lists
from emails.pages.suppression_forms import LiftForm
from emails.reputation import suppressions
from queues import addresses, masking
from queues.answers import Section
from queues.console import moment, short
from queues.pages.cells import link, two_lines
from queues.pages.facts import Act, FactAdmin, column
from queues.pages.listing.time_range import TimeFilter
from queues.pages.sections import MAX_ROWS

State = Suppression.State
Source = Suppression.Source


@admin.register(Suppression)
class SuppressionAdmin(FactAdmin):
    list_display = ("who", "state_label", "source_label", "why", "since_when", "on_ses")
    list_filter = (("since", TimeFilter), "state", "source")
    search_fields = ("address",)
    search_help_text = "Address"
    ordering = ("-since", "-id")
    nothing_yet = (
        "An address is listed here after a hard bounce or a spam complaint, or when staff add it."
    )
    list_select_related = ("notification",)
    list_before_template = "emails_admin/suppressions_intro.html"
    fieldsets = (
        (
            "Address",
            {
                "fields": (
                    ("address", "source"),
                    "reason",
                    ("since", "lifted_at"),
                    ("added_by", "ses_seen_at"),
                    ("ses_task", "ses_error"),
                )
            },
        ),
    )
    acts = {
        "ask_ses": Act(
            label="Ask SES",
            states=tuple(State),
            permission="emails.view_suppression",
            colour="default",
            page=suppression_lists.ask_ses,
        ),
        "lift": Act(
            label="Lift",
            done="lifted",
            service=suppressions.lift,
            states=(State.ACTIVE,),
            permission="emails.lift_suppression",
            form=LiftForm,
            reason_required=True,
            needs_proof=True,
            colour="danger",
            question="These addresses get email again, and SES is told. Lift an address only if you know that it works "
            "again, or if its owner asked for it: another bounce or complaint harms the sender's reputation.",
        ),
    }
    state_colours = {State.ACTIVE: "warning", State.LIFTED: ""}
    source_colours = {
        Source.BOUNCE: "danger",
        Source.COMPLAINT: "danger",
        Source.STAFF: "info",
        Source.IMPORT: "info",
        Source.SES: "primary",
    }
    personal = {
        "address": masking.addresses,
        # A mail server's answer may quote anything.
        "reason": lambda text: masking.MASK if text else "",
        "ses_error": masking.addresses,
    }
    findable = ("address",)
    meanings = {
        Source.BOUNCE: "An email to it hard-bounced. It gets no email until somebody lifts it.",
        Source.COMPLAINT: "Its owner marked an email of ours as spam. It gets no email until somebody lifts it. "
        "Lift it only if the owner asks for it.",
        Source.STAFF: "Staff added it. It gets no email until somebody lifts it.",
        Source.IMPORT: "It was imported from a file. It gets no email until somebody lifts it.",
        Source.SES: "It is on the SES account's suppression list. It gets no email until somebody lifts it here, "
        "which removes it there too, or until it is no longer on SES's list.",
    }

    @column(description="address", ordering="address")
    def who(self, row: Suppression) -> SafeString:
        readable = addresses.readable(row.address)
        return two_lines(row.address, readable if readable != row.address else "")

    @column(description="state", ordering="state", colours=state_colours)
    def state_label(self, row: Suppression) -> tuple[str, str]:
        return row.state, row.get_state_display()

    @column(description="source", ordering="source", colours=source_colours)
    def source_label(self, row: Suppression) -> tuple[str, str]:
        return row.source, row.get_source_display()

    @column(description="reason")
    def why(self, row: Suppression) -> SafeString:
        return two_lines(short(row.reason) or "—", f"by {row.added_by}" if row.added_by else "")

    @column(description="since", ordering="since")
    def since_when(self, row: Suppression) -> SafeString:
        return two_lines(
            moment(row.since), f"lifted {moment(row.lifted_at)}" if row.lifted_at else ""
        )

    @column(description="SES's list")
    def on_ses(self, row: Suppression) -> str:
        if row.ses_task:
            return "to be told"
        return short(row.ses_error) if row.ses_error else ""

    def explain(self, row: Suppression) -> str:
        if row.state == State.ACTIVE:
            return self.meanings[Source(row.source)]
        sent = (
            " Its suppressed emails are sent as soon as SES has been told."
            if row.sends_again
            else ""
        )
        return f"Lifted: it gets email again. The history shows who lifted it, and why.{sent}"

    def reason(self, row: Suppression) -> str:
        return " ".join(filter(None, [row.reason, row.ses_error]))

    def links(self, request: HttpRequest, row: Suppression) -> Iterable[tuple[str, str]]:
        return ()

    def sections(self, request: HttpRequest, row: Suppression) -> Iterable[Section]:
        if not request.user.has_perm("emails.view_notification"):
            return
        # The row on the page may be masked, so the address is read again.
        address = Suppression.objects.values_list("address", flat=True).get(pk=row.pk)
        if row.notification:
            yield _emails("The email that caused this", [row.notification])
        kept = suppressions.suppressed_lately(address).order_by("-id")[:MAX_ROWS]
        yield _emails(
            f"Suppressed in the last {suppressions.SEND_AGAIN_DAYS} days: lifting can send these",
            kept,
        )

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        may = {
            act: request.user.has_perm(f"emails.{act}_suppression")
            for act in ("add", "import", "export")
        }
        may["export"] = may["export"] and not masking.hides(request)
        context = {
            "may": may,
            "sync": SuppressionSync.objects.filter(pk=1).first(),
            "sync_setting": settings.SUPPRESSION_SYNC,
            "suppress_on": " or ".join(settings.SUPPRESS_ON),
        }
        return super().changelist_view(request, (extra_context or {}) | context)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("add/", view(suppression_lists.add), name="emails_suppression_add"),
            path("import/", view(suppression_lists.import_csv), name="emails_suppression_import"),
            path(
                "import/<uuid:pk>/",
                view(suppression_lists.preview_import),
                name="emails_suppression_import_preview",
            ),
            path("export/", view(suppression_lists.export_csv), name="emails_suppression_export"),
            *super().get_urls(),
        ]


def _emails(title: str, rows: Iterable[Notification]) -> Section:
    return Section(
        title,
        ("email", "template", "state", "recorded"),
        [
            (link(row), row.template, row.get_state_display(), moment(row.created_at))
            for row in rows
        ],
    )
