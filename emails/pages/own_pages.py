"""Register our own admin pages for models that have no rows to edit: the guard and the identities."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import URLPattern, path
from unfold.admin import ModelAdmin

from emails.models import Identity
from emails.models.reputation import Guard
from emails.pages import guard, identities, mail_from, sender, trials


class OwnPagesAdmin(ModelAdmin):  # type: ignore[misc]  # Unfold has no types
    """An admin without Django's pages: ``get_urls`` returns ours, and one must be named ``…_changelist``."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Guard)
class GuardAdmin(OwnPagesAdmin):
    """The pages of the guard: its one row changes through actions only."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(guard.show), name="emails_guard_changelist"),
            path("stop/", view(guard.stop), name="emails_guard_stop"),
            path("resume/", view(guard.resume), name="emails_guard_resume"),
        ]


@admin.register(Identity)
class IdentityAdmin(OwnPagesAdmin):
    """The pages of identities: SES keeps them, so Django's own pages cannot work."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(identities.show_all), name="emails_identity_changelist"),
            path("add/", view(identities.add), name="emails_identity_add"),
            path("verify/", view(identities.verify), name="emails_identity_verify"),
            path("delete/", view(identities.delete), name="emails_identity_delete"),
            path("mail-from/", view(mail_from.choose), name="emails_identity_mail_from"),
            path("refresh/", view(identities.refresh), name="emails_identity_refresh"),
            path("brand/<slug:key>/", view(sender.show), name="emails_identity_brand"),
            path("brand/<slug:key>/save/", view(sender.choose), name="emails_identity_sender"),
            path(
                "brand/<slug:key>/reset/", view(sender.reset), name="emails_identity_sender_reset"
            ),
            path("test/", view(trials.send), name="emails_identity_test"),
            path("test/<uuid:event_id>/", view(trials.follow), name="emails_identity_trial"),
            path(
                "test/<uuid:event_id>/progress/",
                view(trials.progress),
                name="emails_identity_trial_progress",
            ),
            path(
                "<str:name>/progress/", view(identities.progress), name="emails_identity_progress"
            ),
            path("<str:name>/", view(identities.show_one), name="emails_identity_change"),
        ]
