"""The admin of rows that may tell of a person: masked for users who may see the rows and not know the person."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin

from queues import masking


class MaskedAdmin(ModelAdmin):  # type: ignore[misc]  # Unfold has no types
    """Masks rows as its pages read them. Do not save such a row: what changes one reads it itself."""

    # The fields that may tell of a person, and how each is masked.
    personal: Mapping[str, Callable[[Any], Any]] = {}
    # Of these, what may be looked for all the same.
    findable: Collection[str] = ()

    def mask(self, row: Any) -> None:
        """Take what is personal from a row that is only to be shown."""
        for name, masked in self.personal.items():
            if (value := getattr(row, name)) is not None:
                setattr(row, name, masked(value))

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """For the page of one row."""
        row = super().get_object(request, *args, **kwargs)
        if row is not None and masking.hides(request):
            self.mask(row)
        return row

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """For the list."""
        changelist = super().get_changelist_instance(request)
        if masking.hides(request):
            changelist.result_list = list(changelist.result_list)
            for row in changelist.result_list:
                self.mask(row)
        return changelist

    def get_search_fields(self, request: HttpRequest) -> Sequence[str]:
        """Who finds a row by a word in it is told the word."""
        names: Sequence[str] = super().get_search_fields(request)
        if not masking.hides(request):
            return names
        return [name for name in names if name not in self.personal or name in self.findable]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """The same for conditions that somebody writes into the page's address."""
        if lookup.partition("__")[0] in self.personal and masking.hides(request):
            return False
        return bool(super().lookup_allowed(lookup, value, request))

    def history_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Reasons are shown to everybody; an address in one is masked."""
        response: Any = super().history_view(request, *args, **kwargs)
        if masking.hides(request):
            for entry in getattr(response, "context_data", {}).get("action_list", ()):
                entry.change_message = masking.addresses(entry.change_message)
        return cast(HttpResponse, response)
