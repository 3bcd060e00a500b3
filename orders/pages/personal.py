"""Hold what the admin's pages of people and facts have in common."""

from __future__ import annotations

from urllib.parse import urlencode

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from queues import masking
from queues.pages.lists import ListAdmin


class PersonalAdmin(ListAdmin):
    """Hide rows about people from users who may not see personal data: masked, nothing would be left to see."""

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(super().has_view_permission(request, obj)) and not masking.hides(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and not masking.hides(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and not masking.hides(request)


class FactAdmin(PersonalAdmin):
    """Show facts, which are saved once: staff may add one, nobody changes or deletes it."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def emails_link(subject: str) -> SafeString:
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">Emails about {}</a>'
        ' · <a class="text-primary-600 dark:text-primary-500" href="{}">Timeline</a>',
        reverse("subject-emails", args=[subject]),
        subject,
        f"{reverse('search')}?{urlencode({'q': subject})}",
    )
