from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from emails import guard_views
from emails.models.reputation import Guard
from emails.own_pages import OwnPagesAdmin


@admin.register(Guard)
class GuardAdmin(OwnPagesAdmin):
    """One row, changed by acts alone."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(guard_views.show), name="emails_guard_changelist"),
            path("stop/", view(guard_views.stop), name="emails_guard_stop"),
            path("resume/", view(guard_views.resume), name="emails_guard_resume"),
        ]
