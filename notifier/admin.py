from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.db.models import Model, Q
from django.http import HttpRequest
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from notifier.staff import lockout_page as lockout_page  # Django looks for admins here.
from notifier.staff import log_page as log_page
from queues import masking
from queues.pages.lists import ListAdmin
from queues.pages.masked import MaskedAdmin

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class StaffAdmin(UserAdmin, MaskedAdmin):  # type: ignore[misc, type-arg]  # Unfold has no types; User is the only argument
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    # Labels beside the fields would leave too little room for the lists of rights.
    compressed_fields = False
    # Their names stay readable: an audit is about who did what.
    personal = {"email": masking.addresses}
    findable = ("email",)

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the user, unmasked for whoever may change them: a masked row must never be saved."""
        row = super(MaskedAdmin, self).get_object(request, *args, **kwargs)
        if (
            row is not None
            and masking.hides(request)
            and not self.has_change_permission(request, row)
        ):
            self.mask(row)
        return row

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse to change a user with rights that the actor lacks: a password reset would give them these rights."""
        if isinstance(obj, User) and not _covers(request.user, obj):
            return False
        return bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse always: deleting a user deletes their log entries too. Make the user inactive instead."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Let only superusers give rights, so that nobody else can extend their own. Times are facts."""
        fields = [*super().get_readonly_fields(request, obj), "last_login", "date_joined"]
        if request.user.is_superuser:
            return fields
        return [*fields, "is_staff", "is_superuser", "groups", "user_permissions"]


@admin.register(Group)
class StaffGroupAdmin(GroupAdmin, ListAdmin):
    compressed_fields = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Allow only superusers, as for a user's rights: a group gives rights to all its members."""
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser


def _covers(actor: User | AnonymousUser, user: User) -> bool:
    """Return True if the actor has every right that the user has, or would have if active."""
    if actor.is_superuser or user.is_superuser:
        return actor.is_superuser
    return _rights(user) <= _rights(actor)


def _rights(user: User | AnonymousUser) -> set[int]:
    rights = Permission.objects.filter(Q(user=user.pk) | Q(group__user=user.pk))
    return set(rights.values_list("pk", flat=True))
