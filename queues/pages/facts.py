"""Show rows that state facts: nobody edits them, and staff change them through acts only.

An act works on rows in certain states, has its own permission, is a POST, asks first if that is wise, and writes
its log entries, in the transaction that changes the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import model_ngettext
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.functional import cached_property
from unfold.widgets import UnfoldAdminTextInputWidget

from queues import masking, registry
from queues.answers import Section
from queues.audit.staff_log import ActLog
from queues.console import TIMELINE, change_url, list_url
from queues.errors import QueueError
from queues.pages.cells import subject_links, timeline_links
from queues.pages.masked import MaskedAdmin

# Transactions stay short, however many rows somebody selects.
BATCH_SIZE = 500
# Nobody pages further than this: they search or filter.
MOST_LISTED = 10_000

Column = TypeVar("Column", bound=Callable[..., object])


class ReasonForm(forms.Form):
    """Asks why staff do an act; the log keeps the answer. ``count`` is the number of rows that the act changes."""

    reason = forms.CharField(max_length=300, widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, required: bool, count: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.count = count
        self.fields["reason"].required = required
        self.fields["reason"].help_text = (
            "Recorded in the log." if required else "Optional; recorded in the log."
        )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the act's service besides the rows."""
        return {}

    def sentence(self, done: str) -> str:
        """Return the sentence for the log."""
        reason = self.cleaned_data["reason"]
        return done.capitalize() + (f": {reason}" if reason else ".")


@dataclass(frozen=True, kw_only=True)
class Act:
    """An action that staff may do to rows in ``states``; ``service`` does it and returns the number of rows.

    ``done`` is the participle for the log ("redriven"). If there is a ``question``, a page asks it first, together
    with a reason; ``form`` may ask for more. ``condition`` is what else must be true of a row. ``needs_proof`` asks the
    user again who they are. An act with its own ``page`` happens there and needs none of these.
    """

    label: str
    permission: str
    states: Collection[str]
    condition: Q = field(default_factory=Q)
    done: str = ""
    service: Callable[..., int] = lambda rows: 0
    question: str = ""
    form: type[ReasonForm] = ReasonForm
    reason_required: bool = False
    needs_proof: bool = False
    colour: str = "primary"
    # Its colour on the row's own page, if not the same: what is not advised there should not call the eye.
    row_colour: str = ""
    page: Callable[[HttpRequest, QuerySet[Any]], HttpResponse] | None = None

    def able(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Select the rows to which staff may do this."""
        return rows.filter(self.condition, state__in=self.states)


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not subscriptable at run time
    """Counts no further than a person would page: to count a million rows would take seconds."""

    @cached_property
    def count(self) -> int:
        """The number of rows, at most ``MOST_LISTED``."""
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_LISTED].count())

    @property
    def is_cut(self) -> bool:
        """True if there may be more rows: then the page must not show ``count`` as their number."""
        return self.count >= MOST_LISTED


class FactAdmin(MaskedAdmin):
    """The admin of a model with a ``state``: its acts, and a page with the situation, the facts and the history."""

    show_full_result_count = False
    paginator = BoundedPaginator
    # Unfold needs two to three milliseconds for each row, however large the table is.
    list_per_page = 50

    acts: Mapping[str, Act] = {}
    state_colours: Mapping[str, str] = {}
    list_after_template = "admin/facts/list_end.html"
    change_form_outer_before_template = "admin/facts/situation.html"

    def label(self, row: Any) -> tuple[str, str]:
        """Return the state by which the row's label is coloured, and its name."""
        return row.state, row.get_state_display()

    def situation(self, row: Any) -> dict[str, str]:
        """Return what the page says first: the state, what it means, and why."""
        state, label = self.label(row)
        return {
            "label": label,
            "colour": self.state_colours.get(state, ""),
            "text": self.explain(row),
            "reason": self.reason(row),
        }

    def explain(self, row: Any) -> str:
        """Explain the row's state: what it means and what a person should do."""
        raise NotImplementedError

    def reason(self, row: Any) -> str:
        """Return why the row is in that state, in the original words; empty if nothing is wrong."""
        return ""

    def sections(self, request: HttpRequest, row: Any) -> Iterable[Section]:
        """Return the tables above the row's fields."""
        return ()

    def links(self, request: HttpRequest, row: Any) -> Iterable[tuple[str, str]]:
        """Return links to look at next: pairs of a label and a URL."""
        timeline = timeline_links(row.event_id) if request.user.has_perms(TIMELINE) else []
        links = subject_links(row.subject)
        # The page of an order is full of personal data.
        return timeline + (links[1:] if masking.hides(request) else links)

    def advised(self, request: HttpRequest, row: Any) -> tuple[str, str] | None:
        """Return the page where the advised act is, as a label and a URL; the button for it is the primary one."""
        return None

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave out the fields of which this row has nothing to tell."""
        return [
            (title, options | {"fields": fields})
            for title, options in super().get_fieldsets(request, obj)
            if (fields := _told(obj, options["fields"]))
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Allow nobody to add a row."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Allow nobody to edit a row."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Allow nobody to delete a row."""
        return False

    def get_actions(
        self, request: HttpRequest, action_location: Any = None
    ) -> dict[str, tuple[Any, str, str]]:
        """Return the acts that this user may do from the list; Django 6.1 also asks for those of a row's own page."""
        if action_location and action_location.name != "CHANGE_LIST":
            return {}
        return {
            name: (partial(_run, name=name), name, act.label)
            for name, act in self.acts.items()
            if request.user.has_perm(act.permission)
        }

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Refuse forbidden acts with an error, where Django would silently ignore them."""
        act = self.acts.get(request.POST.get("action", ""))
        if act and not request.user.has_perm(act.permission):
            raise PermissionDenied
        return super().changelist_view(request, extra_context)

    def render_change_form(self, request: HttpRequest, context: Any, **kwargs: Any) -> HttpResponse:
        """Add the situation, acts, links and tables that the page shows around the fields."""
        row = kwargs["obj"]
        context |= {
            "situation": self.situation(row),
            "row_acts": [
                (name, self.acts[name])
                for name in self.get_actions(request)
                if self._suits(self.acts[name], row)
            ],
            "advised": self.advised(request, row),
            "row_links": list(self.links(request, row)),
            "sections": [
                section.masked() if masking.hides(request) else section
                for section in self.sections(request, row)
                if section.rows or section.empty
            ],
            "list_url": list_url(self.model),
            "selected_name": ACTION_CHECKBOX_NAME,
        }
        response: HttpResponse = super().render_change_form(request, context, **kwargs)
        return response

    def ask(
        self, request: HttpRequest, name: str, rows: QuerySet[Any], form: ReasonForm
    ) -> HttpResponse:
        """Show the page that asks for a confirmation."""
        able = self.acts[name].able(rows)
        context = self.admin_site.each_context(request) | {
            "title": f"{self.acts[name].label}?",
            "opts": self.opts,
            "act": self.acts[name],
            "name": name,
            "form": form,
            "count": (count := form.count),
            "noun": model_ngettext(self.opts, count),
            "others": rows.count() - count,
            "some": able[:20],
            "selected_name": ACTION_CHECKBOX_NAME,
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "across": request.POST.get("select_across") == "1",
            "from_row": request.POST.get("from_row"),
            "back": self.back(request),
        }
        return TemplateResponse(request, "admin/facts/confirm.html", context)

    def back(self, request: HttpRequest) -> str:
        """Return where a person goes who does not confirm."""
        return request.get_full_path()

    def perform(
        self, request: HttpRequest, name: str, rows: QuerySet[Any], *, form: ReasonForm | None
    ) -> HttpResponse:
        """Do the act to every row whose state allows it, tell the user what was done, and go back."""
        act = self.acts[name]
        chosen = rows.count()
        only = rows.first() if request.POST.get("from_row") and chosen == 1 else None
        keys = list(act.able(rows).order_by("pk").values_list("pk", flat=True))
        log = ActLog(cast(int, request.user.pk), is_bulk=len(keys) > 1)
        count = 0
        try:
            for start in range(0, len(keys), BATCH_SIZE):
                batch = keys[start : start + BATCH_SIZE]
                count += self._perform_batch(request, log, act, batch, form)
        except QueueError as exc:
            self.message_user(request, f"Stopped: {exc}", messages.ERROR)
        else:
            self._say_what_is_left(request, act, chosen=chosen, done=count)
        if count:
            noun = model_ngettext(self.opts, count)
            self.message_user(request, f"{count} {noun} {act.done}.", messages.SUCCESS)
        return HttpResponseRedirect(change_url(only) if only else request.get_full_path())

    def _suits(self, act: Act, row: Any) -> bool:
        if row.state not in act.states:
            return False
        rows = self.model.objects.filter(pk=row.pk)
        return not act.condition or act.able(rows).exists()

    def _say_what_is_left(self, request: HttpRequest, act: Act, *, chosen: int, done: int) -> None:
        if not chosen:
            self.message_user(
                request,
                f"Nothing left to {act.label.lower()}: somebody else was faster.",
                messages.WARNING,
            )
        if chosen > done:
            self.message_user(
                request,
                f"{chosen - done} of {chosen} unchanged: their state does not allow “{act.label}”.",
                messages.WARNING,
            )

    def _perform_batch(
        self,
        request: HttpRequest,
        log: ActLog,
        act: Act,
        keys: Sequence[Any],
        form: ReasonForm | None,
    ) -> int:
        with transaction.atomic():
            able = act.able(self.model.objects.filter(pk__in=keys))
            rows = list(able.select_for_update())
            arguments = form.arguments() if form else {}
            count = act.service(
                self.model.objects.filter(pk__in=[row.pk for row in rows]), **arguments
            )
            sentence = form.sentence(act.done) if form else f"{act.done.capitalize()}."
            log.write(rows, sentence)
            self.note_batch(request, rows)
        return count

    def note_batch(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        """Remember what the log should say of many rows at once; called in the transaction of the act."""


def _told(row: Any, fields: Iterable[Any]) -> list[Any]:
    """Drop fields that are empty in the row; fields that share a line are a tuple."""
    kept: list[Any] = []
    for name in fields:
        if isinstance(name, tuple):
            kept += [tuple(line)] if (line := _told(row, name)) else []
        # "none" is a status that nothing has set yet.
        elif getattr(row, name, name) not in (None, "", "none"):
            kept.append(name)
    return kept


def _run(
    model_admin: FactAdmin, request: HttpRequest, rows: QuerySet[Any], *, name: str
) -> HttpResponse:
    act = model_admin.acts[name]
    if act.needs_proof and (question := registry.ask_for_proof(request)):
        return question
    if act.page:
        return act.page(request, rows)
    if not act.question:
        return model_admin.perform(request, name, rows, form=None)
    count = act.able(rows).count()
    if not count:
        return model_admin.perform(request, name, rows, form=None)
    form = act.form(
        request.POST if "confirmed" in request.POST else None,
        required=act.reason_required,
        count=count,
    )
    if form.is_valid():
        return model_admin.perform(request, name, rows, form=form)
    return model_admin.ask(request, name, rows, form)


def column(
    *, description: str, ordering: str | None = None, colours: Mapping[Any, str] | None = None
) -> Callable[[Column], Column]:
    """Declare a computed column; with ``colours`` it returns (key, text) and shows a label in the key's colour."""

    def decorate(function: Column) -> Column:
        shown: Any = admin.display(function, description=description, ordering=ordering)
        if colours is not None:
            shown.label = colours
        return function

    return decorate
