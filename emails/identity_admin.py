from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from emails import identity_views, mail_from_views, sender_views, trial_views
from emails.models import Identity
from emails.own_pages import OwnPagesAdmin


@admin.register(Identity)
class IdentityAdmin(OwnPagesAdmin):
    """SES keeps the identities, so none of Django's own pages can work."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(identity_views.show_all), name="emails_identity_changelist"),
            path("verify/", view(identity_views.verify), name="emails_identity_verify"),
            path("delete/", view(identity_views.delete), name="emails_identity_delete"),
            path("mail-from/", view(mail_from_views.choose), name="emails_identity_mail_from"),
            path("refresh/", view(identity_views.refresh), name="emails_identity_refresh"),
            path("sender/", view(sender_views.choose), name="emails_identity_sender"),
            path("sender/reset/", view(sender_views.reset), name="emails_identity_sender_reset"),
            path("test/", view(trial_views.send), name="emails_identity_test"),
            path("test/<uuid:event_id>/", view(trial_views.follow), name="emails_identity_trial"),
            path(
                "test/<uuid:event_id>/progress/",
                view(trial_views.progress),
                name="emails_identity_trial_progress",
            ),
            path("<str:name>/", view(identity_views.show_one), name="emails_identity_change"),
        ]
