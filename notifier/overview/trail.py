"""Name a page of the admin once: the sidebar's own words make its heading, its title and the trail that leads to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model

from queues.console import change_url


@dataclass(frozen=True)
class Place:
    """The heading of a page, and the steps that lead to it: each a title, and its address unless it has no page."""

    heading: str
    steps: list[tuple[str, str]] = field(default_factory=list)


def of(context: Mapping[Any, Any]) -> Place:
    """Find the place of the page that this template context renders."""
    group, item = _active(context.get("sidebar_navigation") or ())
    above = [(group, "")] if group else []
    if item is None:
        return Place(_heading(context), above)
    link, title = str(item["link"]), str(item["title"])
    request = context.get("request")
    if request is not None and request.path == link:
        return Place(title, above)
    row = context.get("object")
    steps = [*above, (title, link)]
    if isinstance(row, Model) and row.pk:
        steps.append((str(row), change_url(row)))
    return Place(f"All {title.lower()}" if context.get("cl") else _heading(context), steps)


def _active(groups: Iterable[Mapping[str, Any]]) -> tuple[str, Mapping[str, Any] | None]:
    """Return the active item that names the page most closely, with the title of its group."""
    found = [
        (str(group.get("title") or ""), item)
        for group in groups
        for item in group["items"]
        if item.get("active")
    ]
    return max(found, key=lambda pair: len(str(pair[1]["link"])), default=("", None))


def _heading(context: Mapping[Any, Any]) -> str:
    original = context.get("original")
    return str(original if isinstance(original, Model) else context.get("title") or "")
