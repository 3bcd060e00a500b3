"""Filters of the outbox's list that look at settings instead of the whole table."""

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
    """Only what is late."""

    title = "lateness"
    parameter_name = "late"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """One choice besides all."""
        return [("yes", "Not published after a minute")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """See ``late``."""
        return late(queryset) if self.value() else queryset


class QueueFilter(admin.SimpleListFilter):
    """By the aliases in settings."""

    title = "queue"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Each alias."""
        return [(alias, alias) for alias in settings.QUEUES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Rows of this queue."""
        return queryset.filter(queue=self.value()) if self.value() else queryset


class TypeFilter(admin.SimpleListFilter):
    """By the registered types of events."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Each type."""
        return [(name, name) for name in sorted(envelope.data_types())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Rows of this type."""
        return queryset.filter(type=self.value()) if self.value() else queryset


class FingerprintFilter(admin.SimpleListFilter):
    """By one cause, to which links of its group lead; the list does not offer the others."""

    title = "group"
    parameter_name = "fingerprint"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The one that is asked for."""
        return [(self.value() or "", "This group")] if self.value() else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Letters of this fingerprint."""
        key = self.value()
        return queryset.filter(fingerprint=causes.fingerprint_of(key)) if key else queryset


class ParkedFilter(admin.SimpleListFilter):
    """Whether somebody has put it off."""

    title = "parked"
    parameter_name = "parked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Either."""
        return [("yes", "Parked"), ("no", "Not parked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """See ``DeadLetter.parked_until``."""
        match self.value():
            case "yes":
                return queryset.filter(IS_PARKED)
            case "no":
                return queryset.exclude(IS_PARKED)
        return queryset
