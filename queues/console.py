"""Addresses and times as staff read them in the admin, for pages and for what alerts tell alike."""

from __future__ import annotations

from datetime import datetime

from django.contrib.admin.utils import quote
from django.db.models import Model
from django.urls import reverse
from django.utils.formats import localize
from django.utils.text import Truncator
from django.utils.timezone import localtime

# A timeline tells of all three.
TIMELINE = ("queues.view_outboxevent", "queues.view_deadletter", "emails.view_notification")


def change_url(row: Model) -> str:
    """Return the address of a row's page in the admin."""
    return reverse(
        f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[quote(row.pk)]
    )


def list_url(model: type[Model]) -> str:
    """Return the address of a model's list in the admin."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def short(text: str) -> str:
    """Shorten a text to what a column takes: 80 characters on one line."""
    return Truncator(" ".join(text.split())).chars(80)


def moment(time: datetime | None) -> str:
    """Write a time to the second, in the reader's time zone, which it names."""
    return localize(localtime(time)) if time else "—"
