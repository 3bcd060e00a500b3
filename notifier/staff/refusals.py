"""Answer 403 and 404 inside the console with pages of the console, which say what is missing and lead back."""

from __future__ import annotations

import traceback
from collections.abc import Iterable

from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import defaults


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403. Staff read which right they lack, and which roles have it."""
    if not _is_console(request):
        return defaults.permission_denied(request, exception)
    rights = [_described(name) for name in _missing(exception) if not request.user.has_perm(name)]
    return _console(request, 403, {"title": "You don't have permission", "rights": rights})


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404. Staff are led to the search."""
    if not _is_console(request):
        return defaults.page_not_found(request, exception)
    return _console(request, 404, {"title": "Page not found"})


def _is_console(request: HttpRequest) -> bool:
    """Return True for staff in the console; what comes before the log-in knows no user."""
    user = getattr(request, "user", None)
    return request.path_info.startswith("/admin/") and bool(user and user.is_staff)


def _console(request: HttpRequest, status: int, context: dict[str, object]) -> HttpResponse:
    before = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(before, {request.get_host()})
    context |= {"back": before if is_ours and before != request.build_absolute_uri() else ""}
    context |= admin.site.each_context(request)
    return render(request, f"admin/{status}.html", context, status=status)


def _missing(exception: Exception) -> Iterable[str]:
    """Name the rights that were asked for: ours are in the exception, Django's in the frame that raised it."""
    if exception.args:
        return [str(exception)]
    for frame, _ in reversed(list(traceback.walk_tb(exception.__traceback__))):
        known, asked = frame.f_locals, frame.f_code.co_name
        if "perms" in known:
            return list(known["perms"])
        if "act" in known:
            return [known["act"].permission]
        if isinstance(pages := known.get("self"), admin.ModelAdmin):
            action = "add" if known.get("add") else "delete" if asked == "_delete_view" else "view"
            return [f"{pages.opts.app_label}.{action}_{pages.opts.model_name}"]
    return []


def _described(name: str) -> dict[str, object]:
    """Return the right's name in words, and the roles that have it."""
    app, _, codename = name.partition(".")
    right = Permission.objects.filter(content_type__app_label=app, codename=codename).first()
    groups = Group.objects.filter(permissions=right) if right else Group.objects.none()
    roles = groups.order_by("name").values_list("name", flat=True)
    return {"words": right.name if right else name, "name": name, "roles": ", ".join(roles)}
