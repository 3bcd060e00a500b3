"""The admin of rows that state facts: nobody edits them; what staff may do to them is an act.

An act belongs to some states of its rows, has a permission of its own, is posted, asks before it is done where
that is wise, and leaves one entry in the log for each row, in the transaction that changes the row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import model_ngettext
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.functional import cached_property
from unfold.widgets import UnfoldAdminTextInputWidget

from queues import masking
from queues.answers import Section
from queues.console import TIMELINE, change_url, list_url
from queues.errors import QueueError
from queues.pages.cells import subject_links, timeline_links
from queues.pages.masked import MaskedAdmin

# Short transactions, whatever the number of rows that somebody selects.
BATCH_SIZE = 500
# Who looks for a row further down searches or filters.
MOST_LISTED = 10_000

Column = TypeVar("Column", bound=Callable[..., object])


class ReasonForm(forms.Form):
    """Why an act is done; the log keeps it. ``count`` is to how many rows."""

    reason = forms.CharField(max_length=300, widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, required: bool, count: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.count = count
        self.fields["reason"].required = required
        self.fields["reason"].help_text = (
            "The log keeps it." if required else "Optional; the log keeps it."
        )

    def arguments(self) -> dict[str, Any]:
        """What the act's service is told besides the rows."""
        return {}

    def sentence(self, done: str) -> str:
        """For the log."""
        reason = self.cleaned_data["reason"]
        return done.capitalize() + (f": {reason}" if reason else ".")


@dataclass(frozen=True, kw_only=True)
class Act:
    """What staff may do to rows in ``states``; ``service`` does it and returns to how many.

    ``done`` is the participle for the log ("redriven"). With a ``question`` a page asks it first, and for a reason;
    ``form`` may ask for more. ``condition`` is what else must be true of a row. An act with a ``page`` of its own is
    done there and has none of these.
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
    colour: str = "primary"
    page: Callable[[HttpRequest, QuerySet[Any]], HttpResponse] | None = None

    def able(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Those that it may be done to."""
        return rows.filter(self.condition, state__in=self.states)


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not subscriptable at run time
    """Counts no further than a person would leaf: of a million rows only the count would take seconds."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, as far as it goes."""
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_LISTED].count())

    @property
    def is_cut(self) -> bool:
        """Whether there may be more: the page must not pass this for the number of rows."""
        return self.count >= MOST_LISTED


class FactAdmin(MaskedAdmin):
    """A model with a ``state``, its acts, and its page: the situation, the facts, the history."""

    show_full_result_count = False
    paginator = BoundedPaginator
    # A row takes Unfold two to three milliseconds, whatever the tables' size.
    list_per_page = 50

    acts: Mapping[str, Act] = {}
    state_colours: Mapping[str, str] = {}
    list_after_template = "admin/facts/list_end.html"
    change_form_outer_before_template = "admin/facts/situation.html"

    def explain(self, row: Any) -> str:
        """The row's state in words: what it means and what a person should do."""
        raise NotImplementedError

    def reason(self, row: Any) -> str:
        """Why it is in that state, in the words of whoever said so; empty if nothing is wrong."""
        return ""

    def sections(self, request: HttpRequest, row: Any) -> Iterable[Section]:
        """The tables above the row's fields."""
        return ()

    def links(self, request: HttpRequest, row: Any) -> Iterable[tuple[str, str]]:
        """Where to look next: pairs of a label and an address."""
        timeline = timeline_links(row.event_id) if request.user.has_perms(TIMELINE) else []
        links = subject_links(row.subject)
        # The page of an order is personal data through and through.
        return timeline + (links[1:] if masking.hides(request) else links)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody."""
        return False

    def get_actions(
        self, request: HttpRequest, action_location: Any = None
    ) -> dict[str, tuple[Any, str, str]]:
        """The acts that this user may do, in the list: Django 6.1 asks for those of a row's own page as well."""
        if action_location and action_location.name != "CHANGE_LIST":
            return {}
        return {
            name: (partial(_run, name=name), name, act.label)
            for name, act in self.acts.items()
            if request.user.has_perm(act.permission)
        }

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Refuse plainly what Django would pass over in silence."""
        act = self.acts.get(request.POST.get("action", ""))
        if act and not request.user.has_perm(act.permission):
            raise PermissionDenied
        self._refuse_bad_keys(request.POST.getlist(ACTION_CHECKBOX_NAME))
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

    def render_change_form(self, request: HttpRequest, context: Any, **kwargs: Any) -> HttpResponse:
        """Add what the page shows around the fields."""
        row = kwargs["obj"]
        context |= {
            "situation": {
                "label": row.get_state_display(),
                "colour": self.state_colours.get(row.state, ""),
                "text": self.explain(row),
                "reason": self.reason(row),
            },
            "row_acts": [
                (name, self.acts[name])
                for name in self.get_actions(request)
                if self._suits(self.acts[name], row)
            ],
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
        """The page that asks before the act."""
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
        }
        return TemplateResponse(request, "admin/facts/confirm.html", context)

    def perform(
        self, request: HttpRequest, name: str, rows: QuerySet[Any], *, form: ReasonForm | None
    ) -> HttpResponse:
        """Do it to every row that is in a state for it, say what was done, and go back."""
        act = self.acts[name]
        chosen = rows.count()
        only = rows.first() if request.POST.get("from_row") and chosen == 1 else None
        keys = list(act.able(rows).order_by("pk").values_list("pk", flat=True))
        count = 0
        try:
            for start in range(0, len(keys), BATCH_SIZE):
                count += self._perform_batch(request, act, keys[start : start + BATCH_SIZE], form)
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
                f"There was nothing left to {act.label.lower()}: somebody else was faster.",
                messages.WARNING,
            )
        if chosen > done:
            self.message_user(
                request,
                f"{chosen - done} of {chosen} left as found: not in a state for “{act.label}”.",
                messages.WARNING,
            )

    def _refuse_bad_keys(self, keys: Iterable[str]) -> None:
        try:
            for key in keys:
                self.opts.pk.to_python(key)
        except ValidationError as exc:
            raise BadRequest("not a key of these rows") from exc

    def _perform_batch(
        self, request: HttpRequest, act: Act, keys: Sequence[Any], form: ReasonForm | None
    ) -> int:
        with transaction.atomic():
            able = act.able(self.model.objects.filter(pk__in=keys))
            rows = list(able.select_for_update())
            arguments = form.arguments() if form else {}
            count = act.service(
                self.model.objects.filter(pk__in=[row.pk for row in rows]), **arguments
            )
            sentence = form.sentence(act.done) if form else f"{act.done.capitalize()}."
            for row in rows:
                self.log_change(request, row, sentence)
        return count


def _run(
    model_admin: FactAdmin, request: HttpRequest, rows: QuerySet[Any], *, name: str
) -> HttpResponse:
    act = model_admin.acts[name]
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
    """A computed column; with ``colours`` it returns (key, text) and shows a label in the key's colour."""

    def decorate(function: Column) -> Column:
        shown: Any = admin.display(function, description=description, ordering=ordering)
        if colours is not None:
            shown.label = colours
        return function

    return decorate
