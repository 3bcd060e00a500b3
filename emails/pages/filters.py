"""Filters of the lists of emails and of what SES tells of them; each looks at an index."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from emails.models import DeliveryEvent, Notification

Delivery = Notification.Delivery

_TROUBLE = Q(delivery_code__gt="")
_DELIVERIES: dict[str, tuple[str, Q]] = {
    "waiting": ("Sent, nothing reported yet", Q(state="sent", delivery_status=Delivery.NONE)),
    "delivered": ("Delivered", Q(delivery_status=Delivery.DELIVERED)),
    "opened": ("Opened", Q(opened_at__isnull=False)),
    "clicked": ("Link followed", Q(clicked_at__isnull=False)),
    "trouble": ("Anything but delivered", _TROUBLE),
    "delayed": ("Delayed", _TROUBLE & Q(delivery_status=Delivery.DELAYED)),
    "bounced": (
        "Bounced",
        _TROUBLE & Q(delivery_status__in=[Delivery.BOUNCED_SOFT, Delivery.BOUNCED_HARD]),
    ),
    "bounced_soft": ("Bounced for now", _TROUBLE & Q(delivery_status=Delivery.BOUNCED_SOFT)),
    "bounced_hard": ("Bounced for good", _TROUBLE & Q(delivery_status=Delivery.BOUNCED_HARD)),
    "complained": ("Called spam", _TROUBLE & Q(delivery_status=Delivery.COMPLAINED)),
    "rejected": ("Rejected by SES", _TROUBLE & Q(delivery_status=Delivery.REJECTED)),
}


class DeliveryFilter(admin.SimpleListFilter):
    """What became of an email after SES took it."""

    title = "what became of it"
    parameter_name = "fate"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """From the mass to the rare."""
        return [(name, label) for name, (label, _) in _DELIVERIES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """An unknown choice is none."""
        chosen = _DELIVERIES.get(self.value() or "")
        return queryset.filter(chosen[1]) if chosen else queryset


class KindFilter(admin.SimpleListFilter):
    """Kinds of events that are few enough to be looked for."""

    title = "event"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Send and Delivery are most of all: their emails tell of them."""
        return [(kind, kind) for kind in DeliveryEvent.NOTABLE]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """An unknown choice is none."""
        return (
            queryset.filter(type=self.value())
            if self.value() in DeliveryEvent.NOTABLE
            else queryset
        )


class OrphanFilter(admin.SimpleListFilter):
    """Events whose email is not known."""

    title = "email"
    parameter_name = "orphan"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """One choice besides all."""
        return [("yes", "Of an unknown email")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """By the index of orphans."""
        return queryset.filter(is_orphan=True) if self.value() == "yes" else queryset
