"""Write an alert: its subject, its text, which also goes to SNS, and the HTML of its email."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from django.conf import settings
from django.db import DatabaseError
from django.urls import reverse

from emails.errors import RenderError
from emails.versions import in_force
from notifier.alerts.notices import Alert
from notifier.alerts.resolved import Healed

logger = logging.getLogger(__name__)

TEMPLATE = "admin_alert"


class Notice(Protocol):
    """What alerts and announced ends have in common."""

    @property
    def headline(self) -> str:
        """What happened, in a line without personal data."""
        ...

    @property
    def facts(self) -> Sequence[str]:
        """What is known of it, a sentence each."""
        ...

    @property
    def advice(self) -> str:
        """What to do, if anything."""
        ...

    @property
    def link(self) -> str:
        """The page that shows it."""
        ...


def subject_of(notices: Sequence[Alert | Healed]) -> str:
    """Return the headline of the most urgent notice, and how many more there are."""
    more = f", and {len(notices) - 1} more" if len(notices) > 1 else ""
    return f"{notices[0].headline}{more}"


def text_of(notices: Sequence[Alert | Healed]) -> str:
    """Return the whole alert as text."""
    return "\n\n".join(_paragraph(notice) for notice in notices)


def html_of(notices: Sequence[Alert | Healed]) -> str:
    """Return the whole alert as HTML, empty if the template fails: the text must go out all the same."""
    urgent = [_as_data(notice) for notice in notices if isinstance(notice, Alert)]
    over = [_as_data(notice) for notice in notices if isinstance(notice, Healed)]
    context = {
        "title": subject_of(notices),
        "is_urgent": bool(urgent),
        "urgent": urgent,
        "over": over,
        "overview_url": f"{settings.BASE_URL}{reverse('admin:index')}",
    }
    try:
        return in_force.render(TEMPLATE, context).html
    except (RenderError, DatabaseError) as exc:
        logger.error("alert has no HTML: %s", exc)
        return ""


def _paragraph(notice: Notice) -> str:
    lines = [notice.headline, *notice.facts, notice.advice, notice.link]
    return "\n".join(line for line in lines if line)


def _as_data(notice: Notice) -> dict[str, object]:
    return {
        "headline": notice.headline,
        "facts": list(notice.facts),
        "advice": notice.advice,
        "link": notice.link,
    }
