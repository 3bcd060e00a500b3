"""Build the admin's sidebar: what a person on duty needs every hour comes first, what is set up once comes last."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from emails.models import Notification
from queues.console import TIMELINE, list_url
from queues.models import DeadLetter

MOST_COUNTED = 1000

# One link of the sidebar; None where the user may not see its page.
Item = dict[str, Any] | None


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the groups of links that this user may follow: daily work first, what is set up once last."""
    groups = [
        _group("", *_daily(request)),
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
        _group("Sending", *_sending(request)),
        _group(
            "System",
            _list(request, "queues.OutboxEvent", "outbox"),
            _page(
                "Doctor",
                "stethoscope",
                "doctor-runs",
                request.user.has_perm("queues.view_doctorrun"),
            ),
            _local_mailbox(),
        ),
        _group(
            "Staff",
            _list(request, "auth.User", "person"),
            _list(request, "auth.Group", "groups"),
            _list(request, "admin.LogEntry", "history"),
            _list(request, "notifier.LoginFailure", "lock", title="Failed logins"),
            is_folded=True,
        ),
    ]
    return [group for group in groups if group["items"]]


def count_waiting() -> int:
    """Count the dead letters that wait for a person, up to MOST_COUNTED: every page pays for it."""
    return DeadLetter.objects.waiting()[:MOST_COUNTED].count()


def shown(count: int) -> str:
    """Return the number for display; nobody needs a larger one than MOST_COUNTED."""
    return f"{count:,}" if count < MOST_COUNTED else f"{MOST_COUNTED:,}+"


def account(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the links of the user menu."""
    return [
        {"title": "Change password", "link": reverse("admin:password_change")},
        {"title": "Security", "link": reverse("security")},
    ]


def stylesheet(request: HttpRequest) -> str:
    """Return the address of our stylesheet, which adds what Unfold's precompiled CSS lacks."""
    return static("notifier/admin.css")


def lists_stylesheet(request: HttpRequest) -> str:
    """Return the address of the stylesheet of what stands around a list: saved filters, export, time ranges."""
    return static("notifier/lists.css")


def script(request: HttpRequest) -> str:
    """Return the address of the script that makes Unfold's markup usable by keyboard and screen reader."""
    return static("notifier/accessible.js")


def favicon(request: HttpRequest) -> str:
    """Return the address of the site's icon."""
    return static("notifier/icon.svg")


def environment(request: HttpRequest) -> tuple[str, str] | None:
    """Return the label that marks an installation on the local AWS; None in production."""
    return ("local AWS", "info") if settings.SANDBOX else None


def _daily(request: HttpRequest) -> list[Item]:
    may_search = request.user.has_perms(TIMELINE)
    return [
        _page("Overview", "home", "admin:index"),
        _page("Search", "search", "search", may_search),
        _dead_letters(request),
        _list(request, "queues.Redrive", "replay"),
        _notifications(request),
        _page("Reconciliation", "pending_actions", "reconciliation", may_search),
    ]


def _sending(request: HttpRequest) -> list[Item]:
    return [
        _list(request, "emails.EmailTemplate", "draft", title="Templates"),
        _list(request, "emails.Identity", "verified_user"),
        _list(request, "emails.Suppression", "block"),
        _list(request, "emails.Guard", "shield"),
        _list(request, "emails.DeliveryEvent", "mark_email_unread", title="SES events"),
    ]


def _group(title: str, *items: Item, is_folded: bool = False) -> dict[str, Any]:
    """Return a group without the links that this user may not see; ``is_folded`` says how it is at first."""
    return {
        "title": title,
        "items": [item for item in items if item],
        "is_folded": is_folded,
    }


def _page(title: str, icon: str, name: str, is_allowed: bool = True) -> Item:
    return {"title": title, "icon": icon, "link": reverse(name)} if is_allowed else None


def _list(request: HttpRequest, label: str, icon: str, *, title: str = "") -> Item:
    model = apps.get_model(label)
    if not admin.site.get_model_admin(model).has_view_or_change_permission(request):
        return None
    plural = str(model._meta.verbose_name_plural)
    return {
        "title": title or plural[0].upper() + plural[1:],
        "icon": icon,
        "link": list_url(model),
    }


def _notifications(request: HttpRequest) -> Item:
    item = _list(request, "emails.Notification", "mail")
    return item and item | {"active": request.path.startswith(list_url(Notification))}


def _dead_letters(request: HttpRequest) -> Item:
    """Link dead letters to the page of their causes, with the number of those that wait for a person."""
    item = _list(request, "queues.DeadLetter", "report")
    if not item:
        return None
    count = count_waiting()
    return item | {
        "link": reverse("admin:queues_deadletter_groups"),
        "active": request.path.startswith(list_url(DeadLetter)),
        "waiting": count,
        "badge": shown(count),
    }


def _local_mailbox() -> Item:
    if not settings.SANDBOX:
        return None
    return {"title": "Local mailbox", "icon": "inbox", "link": "/sandbox/"}
