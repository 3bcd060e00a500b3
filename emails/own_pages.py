"""What the admin shows of a model whose rows nobody edits: pages of our own take the places of Django's."""

from __future__ import annotations

from django.db.models import Model
from django.http import HttpRequest
from unfold.admin import ModelAdmin


class OwnPagesAdmin(ModelAdmin):  # type: ignore[misc]  # Unfold has no types
    """``get_urls`` gives the pages; one of them is named ``…_changelist``."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
