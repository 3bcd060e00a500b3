"""Filter the lists of emails and of SES events; each filter uses an index."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from emails.models import DeliveryEvent, Notification
from emails.reports import standings
from emails.reports.standings import Standing

Delivery = Notification.Delivery

_TROUBLE = Q(delivery_code__gt="")
_DELIVERIES: dict[str, tuple[str, Q]] = {
    "waiting": ("Sent, no report yet", Q(state="sent", delivery_status=Delivery.NONE)),
    "delivered": ("Delivered", Q(delivery_status=Delivery.DELIVERED)),
    "opened": ("Opened", Q(opened_at__isnull=False)),
    "clicked": ("Clicked", Q(clicked_at__isnull=False)),
    "trouble": ("Any problem", _TROUBLE),
    "delayed": ("Delayed", _TROUBLE & Q(delivery_status=Delivery.DELAYED)),
    "bounced": (
        "Bounced",
        _TROUBLE & Q(delivery_status__in=[Delivery.BOUNCED_SOFT, Delivery.BOUNCED_HARD]),
    ),
    "bounced_soft": ("Soft bounce", _TROUBLE & Q(delivery_status=Delivery.BOUNCED_SOFT)),
    "bounced_hard": ("Hard bounce", _TROUBLE & Q(delivery_status=Delivery.BOUNCED_HARD)),
    "complained": ("Marked as spam", _TROUBLE & Q(delivery_status=Delivery.COMPLAINED)),
    "rejected": ("Rejected by SES", _TROUBLE & Q(delivery_status=Delivery.REJECTED)),
    "suppressed": ("Not tried by SES", _TROUBLE & Q(delivery_status=Delivery.SUPPRESSED)),
}


class StandingFilter(admin.SimpleListFilter):
    """Filter emails by where they stand."""

    title = "state"
    # The name that links and bookmarks have from Django's own filter by state.
    parameter_name = "state__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """List every standing."""
        return [(standing.value, str(standing.label)) for standing in Standing]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by the choice; ignore an unknown one."""
        value = self.value()
        return standings.select(queryset, Standing(value)) if value in Standing.values else queryset


class DeliveryFilter(admin.SimpleListFilter):
    """Filter emails by their delivery status."""

    title = "delivery"
    parameter_name = "fate"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """List the choices, from common to rare."""
        return [(name, label) for name, (label, _) in _DELIVERIES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by the choice; ignore an unknown one."""
        chosen = _DELIVERIES.get(self.value() or "")
        return queryset.filter(chosen[1]) if chosen else queryset


class KindFilter(admin.SimpleListFilter):
    """Filter SES events by type, for types rare enough to look for."""

    title = "event"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """List the rare types. Send and Delivery are the mass, and are shown on their emails."""
        return [(kind, kind) for kind in DeliveryEvent.NOTABLE]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by the choice; ignore an unknown one."""
        return (
            queryset.filter(type=self.value())
            if self.value() in DeliveryEvent.NOTABLE
            else queryset
        )


class OrphanFilter(admin.SimpleListFilter):
    """Filter SES events whose email is unknown."""

    title = "email"
    parameter_name = "orphan"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """List the one choice besides “all”."""
        return [("yes", "Unknown email")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Filter by the index of orphans."""
        return queryset.filter(is_orphan=True) if self.value() == "yes" else queryset
