"""The base of every list in the admin: it bounds what a search, a filter or a selection may ask of the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from queues import registry
from queues.console import list_url
from queues.pages.listing import exports, saved_filters
from queues.pages.listing.time_range import TimeFilter

# Each word is looked for in every row. An address has at most 254 characters, but hardly ever more than 100.
MOST_WORDS = 8
MOST_CHARACTERS = 200
TOO_LONG = f"Search for at most {MOST_WORDS} words and {MOST_CHARACTERS} characters."

# What Django's own filters ask of a field; anything else, a regular expression above all, would let a URL ask
# the database for work or for errors without end.
_QUESTIONS = {"", "exact", "isnull", "isempty", "id__exact"}


class BoundedChangeList(ChangeList):  # type: ignore[misc]  # Unfold has no types
    """Sorts only by the columns that offer it; Django would take any column's number from the URL."""

    def get_ordering_field(self, field_name: Any) -> Any:
        """Return the field to sort by; None for a column that may not be sorted."""
        if self.sortable_by is not None and field_name not in self.sortable_by:
            return None
        return super().get_ordering_field(field_name)

    @property
    def filter_query(self) -> str:
        """The filter, search and order as the query of a URL; empty if there is none."""
        return saved_filters.query_of(self.filter_params)

    @property
    def filter_words(self) -> list[str]:
        """What the list is filtered by, in words: one text for each filter, and one for the search."""
        used = [spec for spec in self.filter_specs if spec.used_parameters]
        words = [f"{spec.title}: {_chosen(spec, self)}" for spec in used]
        known = {name for spec in used for name in spec.expected_parameters()}
        # What a link of ours asks, beside the filters that the list offers.
        for name in sorted(self.filter_params.keys() - known - saved_filters.NO_FILTER):
            words.append(f"{name.partition('__')[0]}: {', '.join(self.filter_params[name])}")
        return [*words, *([f"search “{self.query.replace('”', '')}”"] if self.query else [])]


class ListAdmin(ModelAdmin):  # type: ignore[misc]  # Unfold has no types
    """Derive every admin with a list from this one."""

    # The fields, besides those of ``list_filter``, by which links of ours filter the list.
    linked_by: Collection[str] = ()
    # What an export of the list holds; None if there is none.
    export: exports.Export | None = None
    # What the list says while it has no row at all: what will be here, and what a person can do.
    nothing_yet = ""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the class of the list."""
        return BoundedChangeList

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list. An impossible date in the URL is a filter that does not exist, and no error."""
        try:
            changelist = super().get_changelist_instance(request)
        except (ValueError, OverflowError) as exc:
            # A time zone leads out of the calendar, below the year 1 and beyond 9999.
            raise IncorrectLookupParameters(exc) from exc
        changelist.search_help_text = self.get_search_help_text(request)
        if _is_too_long(changelist.query):
            messages.warning(request, TOO_LONG)
        return changelist

    def get_search_help_text(self, request: HttpRequest) -> str:
        """Return what the empty search box says."""
        return self.search_help_text or ""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find nothing for too long a text, in lists and in autocompletion."""
        if _is_too_long(search_term):
            return queryset.none(), False
        found: tuple[QuerySet[Any], bool] = super().get_search_results(
            request, queryset, search_term
        )
        return found

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow only what the list's own filters and our links ask; Django would allow any field."""
        if len(value) > MOST_CHARACTERS or not value.isprintable():
            return False
        name, _, question = lookup.partition("__")
        return name in self._filtered(request) and question in _QUESTIONS

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Refuse invalid keys with an error, where Django would ignore them or fail."""
        self.refuse_bad_keys(request.POST.getlist(ACTION_CHECKBOX_NAME))
        response: HttpResponse = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None) or {}
        if (changelist := context.get("cl")) and not changelist.is_popup:
            context["saved_filters"] = saved_filters.of(request, self.opts.label_lower)
            context["most_saved_name"] = saved_filters.MOST_CHARACTERS
            context["may_export"] = self.may_export(request)
        return response

    def get_urls(self) -> list[URLPattern]:
        """Add what stands above each list: the export and the saved filters."""
        own: list[tuple[str, Any, str]] = [
            ("export/", self.export_view, "export"),
            ("filters/", self.save_filter_view, "save_filter"),
            ("filters/<int:pk>/", self.change_filter_view, "change_filter"),
        ]
        info = f"{self.opts.app_label}_{self.opts.model_name}"
        view = self.admin_site.admin_view
        return [
            *(
                path(route, view(require_POST(to)), name=f"{info}_{name}")
                for route, to, name in own
            ),
            *super().get_urls(),
        ]

    def may_export(self, request: HttpRequest) -> bool:
        """Return True if this user may export the list."""
        return bool(
            self.export
            and request.user.has_perm(self.export.permission)
            and self.has_view_permission(request)
        )

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Export the rows that the URL's filter selects, as CSV."""
        if not self.export or not self.may_export(request):
            raise PermissionDenied
        if question := registry.ask_for_proof(request):
            return question
        changelist = self._filtered_list(request)
        return exports.respond(
            request,
            changelist.queryset,
            self.export,
            filter_words="; ".join(changelist.filter_words) or "all",
            cells=self.export_cells(request),
        )

    def export_cells(self, request: HttpRequest) -> Callable[[exports.Values], Sequence[object]]:
        """Return the function that makes a row's cells from the values of the export's columns."""
        return list

    def save_filter_view(self, request: HttpRequest) -> HttpResponse:
        """Save the URL's filter under a name; one that this user may not ask is refused, as by the list."""
        self._require_view(request)
        query = self._filtered_list(request).filter_query
        saved_filters.save(request, self.opts.label_lower, query)
        return redirect(f"{list_url(self.model)}?{query}")

    def change_filter_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Rename or delete a saved filter."""
        self._require_view(request)
        saved_filters.change(request, self.opts.label_lower, pk)
        return redirect(f"{list_url(self.model)}?{request.GET.urlencode()}")

    def _require_view(self, request: HttpRequest) -> None:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied

    def _filtered_list(self, request: HttpRequest) -> Any:
        try:
            return self.get_changelist_instance(request)
        except IncorrectLookupParameters as exc:
            raise BadRequest("this list has no such filter") from exc

    def refuse_bad_keys(self, keys: Iterable[str]) -> None:
        """Raise BadRequest if one cannot be a key of these rows, or is a number too large for the database."""
        try:
            for key in keys:
                self.opts.pk.run_validators(self.opts.pk.to_python(key))
        except ValidationError as exc:
            raise BadRequest("not a key of these rows") from exc

    def _filtered(self, request: HttpRequest) -> set[str]:
        names = set(self.linked_by)
        for chosen in self.get_list_filter(request):
            if isinstance(chosen, type) and issubclass(chosen, admin.SimpleListFilter):
                names.add(str(chosen.parameter_name))
            elif isinstance(chosen, (tuple, list)):
                names.add(chosen[0])
                if issubclass(chosen[1], TimeFilter):
                    names.update(f"{chosen[0]}{ending}" for ending in TimeFilter.endings)
            else:
                names.add(str(chosen))
        return names


def _chosen(spec: Any, changelist: ChangeList) -> str:
    """Return the words of a filter's choice."""
    if isinstance(spec, TimeFilter):
        return spec.words
    return ", ".join(
        str(choice["display"]) for choice in spec.choices(changelist) if choice.get("selected")
    )


def _is_too_long(text: str) -> bool:
    return len(text) > MOST_CHARACTERS or len(text.split()) > MOST_WORDS
