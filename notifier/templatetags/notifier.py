"""Provide template tags that pages of any app use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import template
from django.conf import settings
from django.template import Context

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
        "contact": default_sender.address(),
        "user": context.get("user"),
    }


@register.simple_tag(takes_context=True)
def place(context: Context) -> trail.Place:
    """Return the heading of an admin page and the trail that leads to it."""
    return trail.of(context.flatten())


@register.inclusion_tag("notifier/chart.html")
def line_chart(title: str, lines: Sequence[Any], span: Any) -> dict[str, Any]:
    """Draw a chart of emails; each line has label, values, summary and tone, the span has begin and end."""
    series = [Series(line.label, line.values, line.summary, line.tone) for line in lines]
    is_of_one = all(value <= 1 for line in lines for value in line.values)
    unit = "email" if is_of_one else "emails"
    return {"chart": draw(title, series, unit=unit, begin=span.begin, end=span.end)}


@register.inclusion_tag("notifier/sandbox_banner.html")
def sandbox_banner() -> dict[str, Any]:
    """Show where to find the local mailbox while the local AWS runs; show nothing in production."""
    return {"is_shown": settings.SANDBOX}
