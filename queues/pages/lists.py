"""The base of every list in the admin: it bounds what a search, a filter or a selection may ask of the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import BadRequest, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

# Each word is looked for in every row. An address has at most 254 characters, but hardly ever more than 100.
MOST_WORDS = 8
MOST_CHARACTERS = 200
TOO_LONG = f"Search for at most {MOST_WORDS} words and {MOST_CHARACTERS} characters."

# What Django's own filters ask of a field; anything else, a regular expression above all, would let a URL ask
# the database for work or for errors without end.
_QUESTIONS = {"", "exact", "isnull", "isempty", "id__exact"}
_DATES = {"year", "month", "day"}


class BoundedChangeList(ChangeList):  # type: ignore[misc]  # Unfold has no types
    """Sorts only by the columns that offer it; Django would take any column's number from the URL."""

    def get_ordering_field(self, field_name: Any) -> Any:
        """Return the field to sort by; None for a column that may not be sorted."""
        if self.sortable_by is not None and field_name not in self.sortable_by:
            return None
        return super().get_ordering_field(field_name)


class ListAdmin(ModelAdmin):  # type: ignore[misc]  # Unfold has no types
    """Derive every admin with a list from this one."""

    # The fields, besides those of ``list_filter``, by which links of ours filter the list.
    linked_by: Collection[str] = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the class of the list."""
        return BoundedChangeList

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list. An impossible date in the URL is a filter that does not exist, and no error."""
        try:
            changelist = super().get_changelist_instance(request)
        except (ValueError, OverflowError) as exc:
            # Django adds a year to 9999 (ticket 21995), and a time zone takes the year 1 below its first day.
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
        """Allow only what the list's own filters, its dates and our links ask; Django would allow any field."""
        if len(value) > MOST_CHARACTERS or not value.isprintable():
            return False
        name, _, question = lookup.partition("__")
        if name == self.date_hierarchy:
            return question in _DATES
        return name in self._filtered(request) and question in _QUESTIONS

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Refuse invalid keys with an error, where Django would ignore them or fail."""
        self.refuse_bad_keys(request.POST.getlist(ACTION_CHECKBOX_NAME))
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

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
            else:
                names.add(chosen[0] if isinstance(chosen, (tuple, list)) else str(chosen))
        return names


def _is_too_long(text: str) -> bool:
    return len(text) > MOST_CHARACTERS or len(text.split()) > MOST_WORDS
