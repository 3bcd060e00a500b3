"""Show dead letters in the admin: the list, the page of each, and the actions for staff."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from queues import masking, registry
from queues.answers import Advice, Cause, Section
from queues.audit.staff_log import PART
from queues.console import moment
from queues.dead_letters import causes, collecting, decisions, triage
from queues.dead_letters.advice import advise
from queues.errors import QueueUnavailable
from queues.events import envelope
from queues.models import IS_PARKED, OPEN_FIRST, DeadLetter, HandlingFailure
from queues.pages import (
    cells,
    dead_letter_causes,
    dead_letter_edit,
    dead_letter_undo,
    redrive_start,
)
from queues.pages.cells import pretty, pretty_json, two_lines
from queues.pages.facts import Act, FactAdmin, ReasonForm, column
from queues.pages.filters import (
    DomainFilter,
    FingerprintFilter,
    ParkedFilter,
    QueueFilter,
    TypeFilter,
)
from queues.pages.forms import DiscardForm, ParkForm
from queues.pages.listing.exports import Export
from queues.pages.listing.time_range import CreatedFilter
from queues.pages.redrives import redrives_section
from queues.pages.sections import DEAD_LETTER_COLOURS, failures_section, outbox_section

State = DeadLetter.State
# An act on dead letters of more causes than this is logged for the first of them; each dead letter has its own entry.
MOST_LOGGED = 10


@admin.register(DeadLetter)
class DeadLetterAdmin(FactAdmin):
    list_display = ("what", "recipient", "amount", "state_label", "cause", "times")
    list_filter = (
        ("collected_at", CreatedFilter),
        "state",
        ParkedFilter,
        FingerprintFilter,
        DomainFilter,
        QueueFilter,
        "code",
        TypeFilter,
    )
    search_fields = ("event_id", "subject", "sqs_message_id", "reason", "body")
    search_help_text = "Event id, subject, SQS message id, or words in the reason or the body"
    export = Export(
        "queues.export_deadletter",
        (
            *("id", "event_id", "type", "subject", "queue", "group", "state", "code", "reason"),
            *("receive_count", "sent_at", "collected_at", "redriven_at", "discarded_at"),
            *("parked_until", "note", "amount_cents", "currency", "sqs_message_id"),
        ),
    )
    nothing_yet = (
        "A message that fails every receive is listed here, with its cause. Nothing failed so far."
    )
    # Open ones first.
    ordering = (OPEN_FIRST, "-collected_at")
    list_before_template = "admin/queues/collect_now.html"
    fieldsets = (
        (
            "Message",
            {
                "fields": (
                    ("type", "subject"),
                    "event_id",
                    ("queue", "group"),
                    "sqs_message_id",
                    ("receive_count", "sent_at"),
                    ("collected_at", "redriven_at"),
                    ("parked_until", "note"),
                    ("recipient", "at_stake"),
                    "group_link",
                    "fingerprint",
                )
            },
        ),
        ("Body", {"fields": ("pretty_body",)}),
        ("Body before it was edited", {"fields": ("pretty_original_body",)}),
        ("SQS attributes", {"fields": ("pretty_attributes",)}),
        ("Message attributes", {"fields": ("pretty_message_attributes",)}),
    )
    readonly_fields = (
        "pretty_body",
        "pretty_original_body",
        "pretty_attributes",
        "pretty_message_attributes",
        "at_stake",
        "group_link",
        "recipient",
    )

    acts = {
        "redrive": Act(
            label="Redrive",
            states=(State.OPEN,),
            permission="queues.redrive_deadletter",
            page=redrive_start.choose,
        ),
        "park": Act(
            label="Park",
            done="parked",
            service=decisions.park,
            states=(State.OPEN,),
            permission="queues.park_deadletter",
            question="Parked dead letters leave the list of causes and come back by themselves. Until then nobody "
            "gets their emails.",
            form=ParkForm,
            reason_required=True,
            colour="default",
        ),
        "unpark": Act(
            label="Unpark",
            done="no longer parked",
            service=decisions.unpark,
            states=(State.OPEN,),
            condition=IS_PARKED,
            permission="queues.park_deadletter",
            colour="default",
        ),
        "discard": Act(
            label="Discard",
            done="discarded",
            service=decisions.discard,
            states=(State.OPEN,),
            permission="queues.discard_deadletter",
            question="Discarded dead letters are never handled, and nobody gets their emails. They stay here for a "
            "while; until they are deleted, “Reopen” undoes this.",
            form=DiscardForm,
            reason_required=True,
            colour="danger",
        ),
        "reopen": Act(
            label="Reopen",
            done="open again",
            service=decisions.reopen,
            states=(State.DISCARDED,),
            permission="queues.discard_deadletter",
            question="They wait for a person again. If a dead letter holds its FIFO group, later messages of the "
            "group wait too; those already sent stay sent.",
        ),
    }
    # The button that undoes an act selects what the act did to a whole cause.
    linked_by = ("discarded_at", "parked_until")
    state_colours = DEAD_LETTER_COLOURS
    personal = {
        "subject": masking.addresses,
        "body": masking.body,
        "original_body": lambda body: masking.body(body) if body else body,
        "reason": masking.addresses,
        "note": masking.addresses,
        "amount_cents": masking.values,
        "domain": masking.domain,
        "message_attributes": masking.values,
    }
    findable = ("subject",)
    meanings = {
        State.OPEN: "This message failed too often and waits for a person.",
        State.REDRIVEN: "It went back through the outbox. If it failed again, it is listed as another dead letter.",
        State.DISCARDED: "Somebody discarded it, so it will not be handled. The history says who, and why. “Reopen” "
        "undoes that.",
    }

    @column(description="message", ordering="subject")
    def what(self, letter: DeadLetter) -> SafeString:
        return two_lines(letter.subject or "no subject", letter.type or "no envelope")

    def mask(self, row: DeadLetter) -> None:
        """Mask the row, and its recipient, who is not to be read from a masked body."""
        row.masked_recipient = masking.addresses(cells.recipient(row))  # type: ignore[attr-defined]
        super().mask(row)

    @column(description="recipient")
    def recipient(self, letter: Any) -> str:
        return getattr(letter, "masked_recipient", "") or cells.recipient(letter) or "—"

    @column(description="amount")
    def amount(self, letter: DeadLetter) -> str:
        # The amount is a masked text for some users.
        hides = not isinstance(letter.amount_cents, int)
        return cells.amount(letter, hides=hides) or "—"

    @column(description="state", ordering="state", colours=DEAD_LETTER_COLOURS)
    def state_label(self, letter: DeadLetter) -> tuple[str, str]:
        if letter.is_parked:
            return "parked", "Parked"
        return letter.state, letter.get_state_display()

    @column(description="cause", ordering="code")
    def cause(self, letter: DeadLetter) -> SafeString:
        return two_lines(letter.code, cells.both_ends(letter.reason))

    @column(description="collected", ordering="collected_at")
    def times(self, letter: DeadLetter) -> SafeString:
        return two_lines(moment(letter.collected_at), f"sent {moment(letter.sent_at)}")

    @column(description="body")
    def pretty_body(self, letter: DeadLetter) -> SafeString:
        return pretty(letter.body)

    @column(description="body before it was edited")
    def pretty_original_body(self, letter: DeadLetter) -> SafeString:
        return pretty(letter.original_body)

    @column(description="at stake")
    def at_stake(self, letter: DeadLetter) -> str:
        # The amount is a masked text for some users.
        cents: Any = letter.amount_cents
        if isinstance(cents, int):
            return cells.amount(letter)
        if cents or (letter.customer and not envelope.names_money(letter.type)):
            return cents or "none"
        return "unknown"

    @column(description="same cause")
    def group_link(self, letter: DeadLetter) -> SafeString:
        key = causes.key_of(letter.fingerprint)
        address = reverse("admin:queues_deadletter_group", args=[key])
        return format_html(
            '<a class="text-link" href="{}">All dead letters of this cause</a>', address
        )

    @column(description="attributes")
    def pretty_attributes(self, letter: DeadLetter) -> SafeString | str:
        return pretty_json(letter.attributes)

    @column(description="message attributes")
    def pretty_message_attributes(self, letter: DeadLetter) -> SafeString | str:
        return pretty_json(letter.message_attributes)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [
            fieldset
            for fieldset in self.fieldsets
            if "pretty_original_body" not in fieldset[1]["fields"] or obj and obj.original_body
        ]

    def explain(self, row: DeadLetter) -> str:
        if row.state != State.OPEN:
            return self.meanings[State(row.state)]
        if row.is_parked:
            return f"Somebody parked it until {moment(row.parked_until)}: {row.note}"
        advice = _advice(row)
        return f"{self.meanings[State.OPEN]} {advice.words}. {advice.todo}"

    def reason(self, row: DeadLetter) -> str:
        return f"{row.code}: {row.reason}"

    def links(self, request: HttpRequest, row: DeadLetter) -> Iterable[tuple[str, str]]:
        if row.state == State.OPEN:
            advice = _advice(row)
            if advice.label and _may(request, advice.permission):
                yield advice.label, advice.address
            if _may(request, "queues.edit_deadletter"):
                yield "Edit and redrive", reverse("admin:queues_deadletter_edit", args=[row.pk])
        yield from super().links(request, row)

    def sections(self, request: HttpRequest, row: DeadLetter) -> Iterable[Section]:
        yield failures_section(
            HandlingFailure.objects.filter(queue=row.queue, sqs_message_id=row.sqs_message_id),
            empty="No failure was recorded: the consumer died with it, or somebody sent it to the "
            "dead-letter queue by hand.",
        )
        if request.user.has_perm("queues.view_outboxevent"):
            yield outbox_section(row.redrives.all(), title="Redriven as")
        if request.user.has_perm("queues.view_redrive"):
            yield redrives_section(row)
        if row.event_id:
            for details in registry.detailers:
                yield from details(request, row.event_id)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        show_all, show_one = dead_letter_causes.show_all, dead_letter_causes.show_one
        edit = dead_letter_edit.edit
        return [
            path("collect/", view(self.collect_view), name="queues_deadletter_collect"),
            path("redrive/", view(self.redrive_view), name="queues_redrive_start"),
            path("groups/", view(show_all), name="queues_deadletter_groups"),
            path("groups/<str:key>/", view(show_one), name="queues_deadletter_group"),
            path(
                "groups/<str:key>/note/",
                view(dead_letter_causes.note),
                name="queues_deadletter_group_note",
            ),
            path("<uuid:key>/edit/", view(edit), name="queues_deadletter_edit"),
            *super().get_urls(),
        ]

    def redrive_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return redrive_start.start(request, self._chosen(request))

    def _chosen(self, request: HttpRequest) -> QuerySet[DeadLetter]:
        """Return the dead letters that the form names, or else all that the URL's filters select.

        Parked ones are left out, unless the filters ask for them.
        """
        keys = request.POST.getlist(redrive_start.KEYS_NAME)
        if keys:
            self.refuse_bad_keys(keys)
            return DeadLetter.objects.filter(pk__in=keys)
        try:
            letters: QuerySet[DeadLetter] = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters as exc:
            raise BadRequest("no such filter for dead letters") from exc
        return letters if "parked" in request.GET else letters.exclude(IS_PARKED)

    def perform(
        self, request: HttpRequest, name: str, rows: QuerySet[Any], *, form: ReasonForm | None
    ) -> HttpResponse:
        """Do the act, log it once for each cause, offer to undo it, and go back: from a cause to the list of causes."""
        done = dead_letter_undo.Done()
        request.done = done  # type: ignore[attr-defined]
        response = super().perform(request, name, rows, form=form)
        sentence = (
            form.sentence(self.acts[name].done) if form else f"{self.acts[name].done.capitalize()}."
        )
        # The log has one entry for the act; this is for the history of each cause.
        is_bulk = done.counts.total() > 1
        for key, count in done.counts.most_common(MOST_LOGGED if is_bulk else 0):
            words = f"{sentence} ({count} dead letter{'' if count == 1 else 's'})"
            triage.log(key, by=cast(User, request.user), words=words, flag=PART)
        dead_letter_undo.offer(request, name, done, form)
        if request.POST.get("select_across") == "1" and "fingerprint" in request.GET:
            return redirect("admin:queues_deadletter_groups")
        return response

    def back(self, request: HttpRequest) -> str:
        """Return the cause's page for an act on a whole cause."""
        key = request.GET.get("fingerprint")
        if key and request.POST.get("select_across") == "1":
            return reverse("admin:queues_deadletter_group", args=[key])
        return super().back(request)

    def note_batch(self, request: HttpRequest, rows: Sequence[DeadLetter]) -> None:
        """Remember the causes of these dead letters."""
        request.done.add(rows)  # type: ignore[attr-defined]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        may_collect = request.user.has_perm("queues.collect_deadletter")
        return super().changelist_view(
            request,
            {"may_collect": may_collect and settings.DEAD_LETTER_COLLECT} | (extra_context or {}),
        )

    def collect_view(self, request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm("queues.collect_deadletter"):
            raise PermissionDenied("queues.collect_deadletter")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if settings.DEAD_LETTER_COLLECT:
            self._collect(request)
        else:
            messages.error(request, "DEAD_LETTER_COLLECT is off, so dead letters stay in SQS.")
        return redirect("admin:queues_deadletter_groups")

    def _collect(self, request: HttpRequest) -> None:
        count = 0
        for alias in settings.QUEUES:
            try:
                count += collecting.collect(alias)
            except QueueUnavailable as exc:
                messages.error(request, f"SQS did not answer for {alias}: {exc}")
        noun = "dead letter" if count == 1 else "dead letters"
        messages.info(request, f"{count or 'No'} new {noun} collected.")
        LogEntry.objects.create(
            user_id=cast(int, request.user.pk),
            content_type=ContentType.objects.get_for_model(DeadLetter),
            object_repr="dead-letter queues",
            action_flag=CHANGE,
            change_message=f"Collected {count} new {noun}.",
        )


def _advice(letter: DeadLetter) -> Advice:
    return advise(Cause(letter.code, letter.reason, is_of_one=True))


def _may(request: HttpRequest, permission: str) -> bool:
    return not permission or request.user.has_perm(permission)
