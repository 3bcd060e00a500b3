from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from notifier.staff import factors
from notifier.staff import lockout_page as lockout_page  # Django looks for admins here.
from notifier.staff import log_page as log_page
from notifier.staff.pages import reset
from queues import masking, registry
from queues.pages.lists import ListAdmin
from queues.pages.masked import MaskedAdmin

admin.site.unregister(User)
admin.site.unregister(Group)
# django-otp's page shows the keys of everybody's app; people manage their own devices under Security.
admin.site.unregister(TOTPDevice)


class ProvenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """Asks again who somebody is before they change users, groups or rights."""

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Ask before a change is saved; before a new user is typed, as passwords are not brought along."""
        is_change = request.method == "POST" or object_id is None
        return _question(request, is_change) or super().changeform_view(
            request, object_id, *args, **kwargs
        )

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Ask before an action on many rows."""
        question = _question(request, request.method == "POST")
        return question or super().changelist_view(request, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Ask before a group goes, and its rights with it."""
        return _question(request, True) or super().delete_view(request, *args, **kwargs)


@admin.register(User)
class StaffAdmin(ProvenAdmin, UserAdmin, MaskedAdmin):  # type: ignore[misc, type-arg]  # Unfold has no types; User is the only argument
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    # Labels beside the fields would leave too little room for the lists of rights.
    compressed_fields = False
    # Their names stay readable: an audit is about who did what.
    personal = {"email": masking.addresses}
    findable = ("email",)
    list_display = ("username", "email", "first_name", "last_name", "is_staff", "second_factor")
    actions_detail = ("reset_second_factor",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Tell of each user whether they have a second factor, without a query for each."""
        users: QuerySet[User] = super().get_queryset(request)
        return users.annotate(has_factor=factors.has_any())

    @admin.display(description="second factor", boolean=True)
    def second_factor(self, user: Any) -> bool:
        return bool(user.has_factor)

    def user_change_password(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Ask before somebody's password is set, and before it is typed."""
        return _question(request, True) or super().user_change_password(request, *args, **kwargs)

    @action(  # type: ignore[untyped-decorator]  # Unfold has no types
        description="Reset second factor", permissions=["reset_second_factor"]
    )
    def reset_second_factor(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let somebody in who has lost their phone."""
        user = self._user(request, object_id)
        if user is None:
            raise Http404("no such user")
        return reset.ask(self, request, user)

    def has_reset_second_factor_permission(
        self, request: HttpRequest, object_id: str | None = None
    ) -> bool:
        """Allow it to whoever may set this user's password, which opens as much."""
        user = self._user(request, object_id) if object_id else None
        return self.has_change_permission(request, user)

    def _user(self, request: HttpRequest, object_id: str) -> User | None:
        """Return the row as it is, which may be changed."""
        user: User | None = super(MaskedAdmin, self).get_object(request, object_id)
        return user

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
class StaffGroupAdmin(ProvenAdmin, GroupAdmin, ListAdmin):
    compressed_fields = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Allow only superusers, as for a user's rights: a group gives rights to all its members."""
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser


def _question(request: HttpRequest, is_change: bool) -> HttpResponse | None:
    return registry.ask_for_proof(request) if is_change else None


def _covers(actor: User | AnonymousUser, user: User) -> bool:
    """Return True if the actor has every right that the user has, or would have if active."""
    if actor.is_superuser or user.is_superuser:
        return actor.is_superuser
    return _rights(user) <= _rights(actor)


def _rights(user: User | AnonymousUser) -> set[int]:
    rights = Permission.objects.filter(Q(user=user.pk) | Q(group__user=user.pk))
    return set(rights.values_list("pk", flat=True))
