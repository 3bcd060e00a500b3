"""Build the admin's sidebar: the pages a person on duty needs, grouped by the part of the product."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from queues.console import TIMELINE, list_url
from queues.models import DeadLetter

MOST_COUNTED = 1000


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the groups; Unfold hides items that ``permission`` refuses, and groups that are then empty."""
    overview = {"title": "Overview", "icon": "home", "link": reverse("admin:index")}
    return [
        {"items": [overview, *_look_ups(), _doctor(), *_local_mailbox()]},
        _group(
            "Shop",
            _list(request, "orders.Order", "shopping_cart"),
            _list(request, "orders.Customer", "group"),
            _list(request, "orders.Product", "sell"),
        ),
        _group(
            "Bank",
            _list(request, "orders.BankAccount", "account_balance"),
            _list(request, "orders.Transaction", "payments"),
        ),
        _emails(request),
        _group(
            "Queues",
            _list(request, "queues.DeadLetter", "report") | _open_dead_letters(request),
            _list(request, "queues.Redrive", "replay"),
            _list(request, "queues.OutboxEvent", "outbox"),
        ),
        _group(
            "Staff",
            _list(request, "auth.User", "person"),
            _list(request, "auth.Group", "groups"),
            _list(request, "admin.LogEntry", "history"),
            _list(request, "notifier.LoginFailure", "lock"),
        ),
    ]


def account(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the links of the user menu."""
    return [
        {"title": "Change password", "link": reverse("admin:password_change")},
        {"title": "Security", "link": reverse("security")},
    ]


def stylesheet(request: HttpRequest) -> str:
    """Return the address of our stylesheet, which adds what Unfold's precompiled CSS lacks."""
    return static("notifier/admin.css")


def script(request: HttpRequest) -> str:
    """Return the address of the script that makes Unfold's markup usable by keyboard and screen reader."""
    return static("notifier/accessible.js")


def favicon(request: HttpRequest) -> str:
    """Return the address of the site's icon."""
    return static("notifier/icon.svg")


def environment(request: HttpRequest) -> tuple[str, str] | None:
    """Return the label that marks an installation on the local AWS; None in production."""
    return ("local AWS", "info") if settings.SANDBOX else None


def _group(title: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "items": list(items)}


def _emails(request: HttpRequest) -> dict[str, Any]:
    templates = reverse("admin:emails_templates")
    emails = reverse("admin:emails_notification_changelist")
    # The address of a template begins like the address of emails, so Unfold would mark both as active.
    on_emails = request.path.startswith(emails) and not request.path.startswith(templates)
    return _group(
        "Emails",
        _list(request, "emails.Notification", "mail") | {"active": on_emails},
        _list(request, "emails.Suppression", "block"),
        _list(request, "emails.Guard", "shield"),
        _list(request, "emails.DeliveryEvent", "mark_email_unread") | {"title": "Events of SES"},
        _list(request, "emails.Identity", "verified_user"),
        {
            "title": "Templates",
            "icon": "draft",
            "link": templates,
            "permission": lambda request: request.user.has_perm("emails.preview_email"),
        },
    )


def _list(request: HttpRequest, label: str, icon: str) -> dict[str, Any]:
    model = apps.get_model(label)
    allowed = admin.site.get_model_admin(model).has_view_or_change_permission(request)
    return {
        "title": str(model._meta.verbose_name_plural).capitalize(),
        "icon": icon,
        "link": list_url(model),
        "permission": lambda request: allowed,
    }


def _open_dead_letters(request: HttpRequest) -> dict[str, Any]:
    """Link dead letters to the page of their causes, with the number of those that wait for a person."""
    item: dict[str, Any] = {
        "link": reverse("admin:queues_deadletter_groups"),
        "active": request.path.startswith(list_url(DeadLetter)),
    }
    # Nobody needs a larger number, and every page of the admin pays for the count.
    count = DeadLetter.objects.waiting()[:MOST_COUNTED].count()
    shown = count if count < MOST_COUNTED else f"{MOST_COUNTED}+"
    badge = {"badge": shown, "badge_variant": "danger", "badge_style": "solid"}
    return item | (badge if count else {})


def _look_ups() -> list[dict[str, Any]]:
    pages = (
        ("Search", "search", "search"),
        ("Reconciliation", "pending_actions", "reconciliation"),
    )
    return [
        {
            "title": title,
            "icon": icon,
            "link": reverse(name),
            "permission": lambda request: request.user.has_perms(TIMELINE),
        }
        for title, icon, name in pages
    ]


def _doctor() -> dict[str, Any]:
    return {
        "title": "Doctor",
        "icon": "stethoscope",
        "link": reverse("doctor-runs"),
        "permission": lambda request: request.user.has_perm("queues.view_doctorrun"),
    }


def _local_mailbox() -> list[dict[str, Any]]:
    if not settings.SANDBOX:
        return []
    return [{"title": "Local mailbox", "icon": "inbox", "link": "/sandbox/"}]
