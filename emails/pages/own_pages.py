"""Register our own admin pages for models whose rows nobody edits by a form: guard, identities, email templates."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import URLPattern, path, register_converter
from unfold.admin import ModelAdmin

from emails.models import EmailTemplate, Identity
from emails.models.reputation import Guard
from emails.pages import guard, identities, mail_from, sender, trials
from emails.pages.templates import (
    canaries,
    editor,
    frame,
    overview,
    own_sender,
    preview,
    publishing,
    rehearsal,
    versions,
)

register_converter(frame.TemplateName, "template")


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


@admin.register(EmailTemplate)
class EmailTemplateAdmin(OwnPagesAdmin):
    """The pages of email templates and partials; most of them have no row, as the deployed code is in force."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm(frame.MAY_LOOK)

    def get_urls(self) -> list[URLPattern]:
        pages = {
            "change": ("<template:name>/", preview.show),
            "edit": ("<template:name>/edit/", editor.edit),
            "seen": ("<template:name>/edit/preview/", editor.preview),
            "discard": ("<template:name>/edit/discard/", editor.discard),
            "publish": ("<template:name>/publish/", publishing.publish),
            "rehearsal": ("<template:name>/rehearsal/", rehearsal.show),
            "rehearsal_progress": ("<template:name>/rehearsal/progress/", rehearsal.progress),
            "rehearsal_start": ("<template:name>/rehearsal/start/", rehearsal.start),
            "rehearsal_publish": ("<template:name>/rehearsal/publish/", rehearsal.publish),
            "rehearsal_cases": ("<template:name>/rehearsal/<slug:outcome>/", rehearsal.cases),
            "canary": ("<template:name>/canary/", canaries.show),
            "canary_start": ("<template:name>/canary/start/", canaries.start),
            "canary_go_on": ("<template:name>/canary/go-on/", canaries.go_on),
            "canary_go_back": ("<template:name>/canary/go-back/", canaries.go_back),
            "sender": ("<template:name>/sender/", own_sender.edit),
            "versions": ("<template:name>/versions/", versions.show_all),
            "compare": ("<template:name>/versions/compare/", versions.compare),
            "version": ("<template:name>/versions/<int:number>/", versions.show_one),
            "roll_back": ("<template:name>/versions/<int:number>/roll-back/", publishing.roll_back),
            "changelist": ("", overview.show),
        }
        return [
            path(route, self.admin_site.admin_view(view), name=f"emails_emailtemplate_{page}")
            for page, (route, view) in pages.items()
        ]
