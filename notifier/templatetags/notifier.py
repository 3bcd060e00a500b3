"""Provide template tags that pages of any app use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import template
from django.conf import settings
from django.db import DatabaseError
from django.template import Context
from django.utils import timezone

from emails.ses import default_sender
from notifier.journey import email_timeline as timeline
from notifier.overview import trail
from notifier.overview.charts import Series, draw

register = template.Library()


@register.inclusion_tag("notifier/order_email.html", takes_context=True)
def email_timeline(context: Context, subject: str) -> dict[str, Any]:
    """Show the status of the email about a subject."""
    return {
        "timeline": timeline.of(subject),
        "subject": subject,
        "contact": support_contact(),
        **{name: context.get(name) for name in ("order", "key", "is_holder")},
        "user": context.get("user"),
    }


@register.simple_tag
def support_contact() -> str:
    """Return the address to which the shop's customers may write; empty while the database does not answer."""
    try:
        return default_sender.contact()
    except DatabaseError:
        return ""


@register.simple_tag
def is_sandbox() -> bool:
    """Return True while the local AWS runs, whose SES has rules that a visitor must know."""
    return bool(settings.SANDBOX)


@register.simple_tag(takes_context=True)
def place(context: Context) -> trail.Place:
    """Return the heading of an admin page and the trail that leads to it."""
    return trail.of(context.flatten())


@register.inclusion_tag("notifier/chart.html")
def line_chart(title: str, lines: Sequence[Any], span: Any) -> dict[str, Any]:
    """Draw a chart of emails; each line has label, values, summary and tone, the span has a clock for each value."""
    series = [Series(line.label, line.values, line.summary, line.tone) for line in lines]
    return {"chart": draw(title, series, clocks=span.clocks)}


@register.filter
def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """Say how long ago something was, to the unit that matters: ``42 s ago``, ``5 min ago``, ``3 days ago``."""
    if moment is None:
        return "—"
    seconds = max(0, int(((now or timezone.now()) - moment).total_seconds()))
    for most, each, unit in ((60, 1, "s"), (3600, 60, "min"), (2 * 86_400, 3600, "h")):
        if seconds < most:
            return f"{seconds // each} {unit} ago"
    return f"{seconds // 86_400} days ago"


@register.inclusion_tag("notifier/sandbox_banner.html")
def sandbox_banner() -> dict[str, Any]:
    """Show where to find the local mailbox while the local AWS runs; show nothing in production."""
    return {"is_shown": settings.SANDBOX}


@register.inclusion_tag("notifier/language_switch.html", takes_context=True)
def language_switch(context: Context) -> dict[str, Any]:
    """Let a customer choose the language of the pages; show nothing on a page that knows no request."""
    known = {name: context.get(name) for name in ("request", "csrf_token")}
    return {**known, "languages": settings.LANGUAGES}


@register.filter
def unlocalized(number: float) -> str:
    """Write a number as SVG and JavaScript read it, whatever the site's language."""
    return f"{number:g}"


@register.filter
def as_json(value: object) -> str:
    """Write a value for an attribute that a script reads; the template escapes it."""
    return json.dumps(value, ensure_ascii=False)
