"""Tell an open page of the admin what has changed since it was rendered, for the price of a few indexed queries.

A page asks every few seconds, and fetches itself again only when ``version`` has changed. Asking neither renews a
session nor hides its end: the answer is then the redirect to the login page, as everywhere in the admin.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db.models import Model
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from notifier.overview import navigation

# The lists that renew themselves, each with the fields that its rows show and that change.
LISTS = {
    "queues.deadletter": ("state", "parked_until"),
    "queues.outboxevent": ("state", "published_at"),
    "queues.redrive": ("state", "stage", "next_at", "ended_at"),
    "emails.notification": ("state", "delivery_status", "sent_at"),
}
# As many as a page of a list has.
MOST_ROWS = 100


@never_cache
@require_safe
def changes(request: HttpRequest) -> JsonResponse:
    """Answer with the time, the number of waiting dead letters, and the version of the list that is shown, if any."""
    answer: dict[str, Any] = {"now": f"{timezone.localtime():%H:%M:%S %Z}"}
    if request.user.has_perm("queues.view_deadletter"):
        count = navigation.count_waiting()
        answer |= {"waiting": count, "shown": navigation.shown(count)}
    if label := request.GET.get("list"):
        answer["version"] = _version(request, label, request.GET.getlist("row")[:MOST_ROWS])
    return JsonResponse(answer)


def _version(request: HttpRequest, label: str, keys: list[str]) -> str:
    """Return a digest that changes when one of these rows changes or a new one comes."""
    if label not in LISTS:
        raise BadRequest("no such list")
    model: type[Model] = apps.get_model(label)
    if not admin.site.get_model_admin(model).has_view_or_change_permission(request):
        raise PermissionDenied
    rows = model._default_manager.order_by()
    try:
        shown = sorted(rows.filter(pk__in=keys).values_list("pk", *LISTS[label]))
    except (ValidationError, ValueError, OverflowError) as exc:
        raise BadRequest("not a key of these rows") from exc
    newest = rows.order_by("-pk").values_list("pk", flat=True).first()
    return hashlib.sha256(repr((newest, shown)).encode()).hexdigest()[:16]
