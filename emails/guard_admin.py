from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import URLPattern, path
from unfold.admin import ModelAdmin

from emails import guard_views
from emails.reputation_models import Guard


@admin.register(Guard)
class GuardAdmin(ModelAdmin):  # type: ignore[misc]  # Unfold has no types
    """One row that nobody edits: its own pages take the places of Django's."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(guard_views.show), name="emails_guard_changelist"),
            path("stop/", view(guard_views.stop), name="emails_guard_stop"),
            path("resume/", view(guard_views.resume), name="emails_guard_resume"),
        ]
