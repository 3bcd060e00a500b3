"""Serve pages that combine several apps: an order's email, links from a subject to its rows, and errors."""

from __future__ import annotations

import sys
from urllib.parse import urlencode

from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views import defaults
from django.views.decorators.cache import never_cache

from emails.models import Notification
from emails.ses import default_sender
from notifier.journey import email_timeline
from notifier.journey.subjects import of_subject
from notifier.web import middleware
from orders import access


@never_cache
def order_email(request: HttpRequest, number: str) -> HttpResponse:
    """Return the status of an order's email as a piece of HTML for the order's page; 404 for strangers."""
    order = access.visible_order(request, number)
    return render(
        request,
        "notifier/order_email.html",
        {
            "timeline": email_timeline.of(order.number),
            "subject": order.number,
            "contact": default_sender.address(),
        },
    )


@staff_member_required
def subject(request: HttpRequest, subject: str) -> HttpResponse:
    """Redirect to the admin page of the order, transaction or customer with this subject."""
    if found := of_subject(subject):
        return redirect(found.address)
    raise Http404("no such subject")


@staff_member_required
def subject_emails(request: HttpRequest, subject: str) -> HttpResponse:
    """Redirect to the notifications about a subject in the admin; a single one opens without the list."""
    found = list(Notification.objects.filter(subject=subject).values_list("pk", flat=True)[:2])
    if len(found) == 1:
        return redirect("admin:emails_notification_change", found[0])
    query = urlencode({"q": subject})
    return redirect(f"{reverse('admin:emails_notification_changelist')}?{query}")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer errors outside of a view, which reach no middleware: for example when the session is saved."""
    exc = sys.exc_info()[1]
    if exc and middleware.is_outage(exc):
        return middleware.unavailable(request, exc)
    return defaults.server_error(request)
