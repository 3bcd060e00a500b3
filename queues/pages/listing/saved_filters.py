"""Let each person save the filter of a list under a name, and rename or delete what they saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from queues.models import SavedFilter

MOST_CHARACTERS = 60
# What the URL of a list has besides its filter.
_REST = {"p", "e", "all", "_popup", "_to_field", "_facets"}
# What it has besides the choices of its filters: the search and the order, too.
NO_FILTER = _REST | {"q", "o"}


class NameForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Checks the name, and that the filter is not too long to keep."""

    class Meta:
        model = SavedFilter
        fields = ("name", "query")


def query_of(params: Mapping[str, Sequence[str]]) -> str:
    """Write the filter of a list's URL in one order, so that two spellings of a filter are equal."""
    kept = {name: values for name, values in params.items() if name not in _REST}
    return urlencode(sorted(kept.items()), doseq=True)


def of(request: HttpRequest, list_label: str) -> list[SavedFilter]:
    """Return what this person has saved for the list."""
    rows = SavedFilter.objects.filter(user_id=cast(int, request.user.pk), list=list_label)
    return list(rows[: SavedFilter.MOST])


def save(request: HttpRequest, list_label: str, query: str) -> None:
    """Save the filter, or replace the one of that name. The caller has checked that this person may ask it."""
    form = NameForm({"name": request.POST.get("name", ""), "query": query})
    if not form.is_valid():
        messages.warning(request, _wrong(form, query))
        return
    name = form.cleaned_data["name"]
    own = SavedFilter.objects.filter(user_id=cast(int, request.user.pk), list=list_label)
    if own.filter(name=name).update(query=query):
        messages.success(request, f"“{name}” now has this filter.")
    elif own.count() >= SavedFilter.MOST:
        messages.warning(
            request, f"You have {SavedFilter.MOST} saved filters for this list. Delete one first."
        )
    else:
        SavedFilter.objects.create(
            user_id=cast(int, request.user.pk), list=list_label, name=name, query=query
        )
        messages.success(request, f"Saved as “{name}”. Only you see it.")


def change(request: HttpRequest, list_label: str, pk: int) -> None:
    """Rename or delete one of this person's own; answer 404 for any other."""
    row = get_object_or_404(SavedFilter, pk=pk, user_id=cast(int, request.user.pk), list=list_label)
    if "delete" in request.POST:
        row.delete()
        messages.success(request, f"The saved filter “{row.name}” is deleted.")
        return
    form = NameForm({"name": request.POST.get("name", ""), "query": row.query})
    if not form.is_valid():
        messages.warning(request, _wrong(form, row.query))
        return
    _rename(request, row, form.cleaned_data["name"])


def _rename(request: HttpRequest, row: SavedFilter, name: str) -> None:
    row.name = name
    try:
        with transaction.atomic():
            row.save(update_fields=["name"])
    except IntegrityError:
        messages.warning(request, f"You already have a filter “{name}” here.")
    else:
        messages.success(request, f"It is now called “{name}”.")


def _wrong(form: forms.Form | Any, query: str) -> str:
    if not query:
        return "This list is not filtered. Filter or search it first, then save that."
    if "query" in form.errors:
        return "This filter is too long to save."
    return f"The name has 1 to {MOST_CHARACTERS} characters."
