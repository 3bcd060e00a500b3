"""Filter the lists of the outbox and of dead letters by settings, without reading the whole table."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from queues.dead_letters import causes
from queues.events import envelope
from queues.models import IS_PARKED
from queues.outbox.relay import late


class LateFilter(admin.SimpleListFilter):
    """Filters events that the relay publishes too late."""

    title = "lateness"
    parameter_name = "late"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the one choice besides “all”."""
        return [("yes", "Not published after a minute")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Select late events, as ``relay.late`` defines them."""
        return late(queryset) if self.value() else queryset


class QueueFilter(admin.SimpleListFilter):
    """Filters by queue, with a choice for each alias in settings."""

    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return every alias."""
        return [(alias, alias) for alias in settings.QUEUES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Select the rows of this queue."""
        return queryset.filter(queue=self.value()) if self.value() else queryset


class TypeFilter(admin.SimpleListFilter):
    """Filters by event type, with a choice for each registered type."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return every type."""
        return [(name, name) for name in sorted(envelope.data_types())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Select the rows of this type."""
        return queryset.filter(type=self.value()) if self.value() else queryset


class FingerprintFilter(admin.SimpleListFilter):
    """Filters by the one cause that a link named; the list does not offer the others."""

    title = "cause"
    parameter_name = "fingerprint"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the cause in the URL; nothing without one."""
        return [(self.value() or "", "This cause")] if self.value() else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Select the dead letters with this fingerprint."""
        key = self.value()
        return queryset.filter(fingerprint=causes.fingerprint_of(key)) if key else queryset


class DomainFilter(admin.SimpleListFilter):
    """Filters by the recipients' domains that a link or a form named; the list does not offer the others."""

    title = "recipient's domain"
    parameter_name = "domain"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the domains in the URL; nothing without one."""
        self.names = request.GET.getlist("domain")
        return [(self.value() or "", ", ".join(self.names))] if self.value() else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Select the dead letters to recipients at these domains."""
        return queryset.filter(domain__in=self.names) if self.value() else queryset


class ParkedFilter(admin.SimpleListFilter):
    """Filters dead letters that are parked, or those that are not."""

    title = "parked"
    parameter_name = "parked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return both choices."""
        return [("yes", "Parked"), ("no", "Not parked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Select by ``DeadLetter.parked_until``."""
        match self.value():
            case "yes":
                return queryset.filter(IS_PARKED)
            case "no":
                return queryset.exclude(IS_PARKED)
        return queryset
