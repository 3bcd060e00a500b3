"""Pages that bring the apps together: an order's email, the way from a subject to its rows, what went wrong."""

from __future__ import annotations

import sys
from urllib.parse import urlencode

from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views import defaults
from django.views.decorators.cache import never_cache

from emails.models import Notification
from notifier import middleware, timeline
from orders import access
from orders.models import Customer, Order, Transaction


@never_cache
def order_email(request: HttpRequest, number: str) -> HttpResponse:
    """What became of an order's email, as a piece of the order's page, for those who may see the order."""
    order = access.visible_order(request, number)
    return render(
        request,
        "notifier/order_email.html",
        {"timeline": timeline.of(order.number), "subject": order.number},
    )


@staff_member_required
def subject(request: HttpRequest, subject: str) -> HttpResponse:
    """The admin page of the order, transaction or customer that events name so."""
    prefix, _, number = subject.partition("-")
    match prefix:
        case "ORD":
            return _change_page(get_object_or_404(Order, number=subject))
        case "TXN":
            return _change_page(get_object_or_404(Transaction, reference=subject))
        case "customer" if number.isdecimal() and len(number) < 19:
            return _change_page(get_object_or_404(Customer, pk=int(number)))
    raise Http404("no such subject")


@staff_member_required
def subject_emails(request: HttpRequest, subject: str) -> HttpResponse:
    """The notifications about a subject, in the admin; the one there is without a detour by the list."""
    found = list(Notification.objects.filter(subject=subject).values_list("pk", flat=True)[:2])
    if len(found) == 1:
        return redirect("admin:emails_notification_change", found[0])
    query = urlencode({"q": subject})
    return redirect(f"{reverse('admin:emails_notification_changelist')}?{query}")


def server_error(request: HttpRequest) -> HttpResponse:
    """What failed outside of a view, where no middleware is asked: the session saved after it, say."""
    exc = sys.exc_info()[1]
    if exc and middleware.is_outage(exc):
        return middleware.unavailable(request, exc)
    return defaults.server_error(request)


def _change_page(row: Order | Transaction | Customer) -> HttpResponseRedirect:
    return redirect(f"admin:orders_{row._meta.model_name}_change", row.pk)
