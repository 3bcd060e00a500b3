"""Name what an entry of the log is about as staff call it, and find its page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse

from queues import masking
from queues.console import change_url, list_url

# The kinds whose names are nobody's personal data, but for an address in them; every other kind is masked.
PUBLIC = {
    *("queues.deadletter", "queues.outboxevent", "queues.redrive", "queues.pausedqueue"),
    *("queues.liveconsumer", "queues.doctorrun", "emails.notification", "emails.deliveryevent"),
    *("emails.guard", "emails.identity", "emails.suppression", "orders.order"),
    *("orders.transaction", "orders.product", "auth.user", "auth.group", "admin.logentry"),
}
# Of these, the ones that may quote an address or a mail server: not to be searched by parts.
QUOTING = {"queues.redrive", "emails.identity", "emails.suppression"}
_NAMES = {
    "queues.redrive": "Redrive of {}",
    "queues.pausedqueue": "Queue {}",
    "queues.liveconsumer": "{}",
    "queues.doctorrun": "{}",
    "emails.guard": "{}",
    "emails.notification": "Email {}",
}


def kind(entry: LogEntry) -> str:
    """Return the label of the model that an entry is about; empty for one that has left."""
    return (
        f"{entry.content_type.app_label}.{entry.content_type.model}" if entry.content_type else ""
    )


def name(entry: LogEntry) -> str:
    """Name the row, or the rows of an act on many, in words: “Queue orders”, “62 dead letters”."""
    words = entry.object_repr
    if entry.object_id and entry.content_type:
        words = _NAMES.get(kind(entry), f"{entry.content_type.name} {{}}").format(words)
    return words[:1].upper() + words[1:]


def links(request: HttpRequest, entries: Iterable[LogEntry]) -> dict[int, str]:
    """Return the address of what each entry is about, if it is still there and this user may see it.

    It takes one query for each kind of row.
    """
    by_kind: dict[ContentType, list[LogEntry]] = defaultdict(list)
    for entry in entries:
        if entry.content_type:
            by_kind[entry.content_type].append(entry)
    return {
        entry.pk: address
        for content_type, some in by_kind.items()
        for entry, address in _links_of(request, content_type.model_class(), some)
    }


def _links_of(
    request: HttpRequest, model: Any, entries: list[LogEntry]
) -> Iterable[tuple[LogEntry, str]]:
    if model is None:
        return
    label = model._meta.label_lower
    if label in ("queues.pausedqueue", "queues.liveconsumer"):
        yield from ((entry, reverse("admin:index")) for entry in entries)
        return
    if not _may_see(request, model):
        return
    there = _there(model, entries)
    for entry in entries:
        if not entry.object_id:
            yield entry, _of_many(model, entry)
        elif entry.object_id in there:
            yield entry, _page(there[entry.object_id])


def _may_see(request: HttpRequest, model: Any) -> bool:
    pages = admin.site._registry.get(model)
    if pages:
        return bool(pages.has_view_or_change_permission(request))
    return bool(request.user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}"))


def _there(model: Any, entries: list[LogEntry]) -> Mapping[str, Any]:
    """Return the rows that are still there by the key that the log has; identities are SES's, and have no rows."""
    ids = [entry.object_id for entry in entries if entry.object_id]
    keys = [key for key in ids if masking.MASK not in key]
    if model._meta.label_lower == "emails.identity":
        return {key: model(name=key) for key in keys}
    found = {}
    for key in keys:
        try:
            found[model._meta.pk.to_python(key)] = key
        except ValidationError:
            continue
    rows = model._base_manager.filter(pk__in=found).only("pk")
    return {found[row.pk]: row for row in rows}


def _page(row: Any) -> str:
    match row._meta.label_lower:
        case "queues.doctorrun":
            return reverse("doctor-run", args=[row.pk])
        case "emails.guard":
            return list_url(type(row))
    return change_url(row)


def _of_many(model: Any, entry: LogEntry) -> str:
    """Return where the rows of an act on many are listed."""
    if entry.object_repr[:1].isdigit():
        return change_url(entry)
    return list_url(model)
