"""Serve pages that combine several apps: an order's email, links from a subject to its rows, and errors."""

from __future__ import annotations

import logging
import sys
from urllib.parse import urlencode

from django.contrib.admin.views.decorators import staff_member_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views import defaults
from django.views.decorators.cache import never_cache

from emails.dead_letters import new_addresses
from emails.dead_letters.new_addresses import Undelivered
from emails.models import Notification
from emails.ses import default_sender
from notifier.journey import email_timeline
from notifier.journey.subjects import of_subject
from notifier.web import middleware, request_context
from orders import access, services
from orders.errors import TooFast
from orders.events import OrderPlaced
from orders.forms import CorrectionForm
from orders.limits import form_limits
from orders.models import Order
from orders.views import show_form
from queues import addresses
from queues.errors import Uncorrectable
from queues.models import OutboxEvent

logger = logging.getLogger(__name__)


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
            "contact": default_sender.contact(),
            "order": order,
            "key": request.GET.get("key", ""),
            "is_holder": access.is_holder(request, order),
        },
    )


@never_cache
def order_address(request: HttpRequest, number: str) -> HttpResponse:
    """Let whoever holds an order send its undelivered confirmation to another address, or say whom to ask."""
    order = access.visible_order(request, number)
    found = _undelivered(order) if access.is_holder(request, order) else None
    back = order.get_absolute_url()
    if key := request.GET.get("key", ""):
        back += f"?{urlencode({'key': key})}"
    posted = request.POST if request.method == "POST" else None
    form = CorrectionForm(posted, initial={"email": found.old if found else ""})
    if found and form_limits.admits(request, form) and form.is_valid():
        _correct(order, found, form)
        if form.is_valid():
            return redirect(back)
    context = {"order": order, "address": found and found.old, "back": back}
    return show_form(request, "orders/order_address.html", form, **context)


def _undelivered(order: Order) -> Undelivered | None:
    """Return the order's own event if its address may be corrected; others may write any subject."""
    own = OutboxEvent.objects.filter(subject=order.number, type=OrderPlaced.event_type)
    event_id = own.order_by("id").values_list("event_id", flat=True).first()
    try:
        return new_addresses.of(event_id) if event_id else None
    except Uncorrectable:
        return None


def _correct(order: Order, found: Undelivered, form: CorrectionForm) -> None:
    """Send the confirmation to the form's address; what forbids it becomes an error of the form."""
    email = form.cleaned_data["email"]
    if addresses.key(email) == addresses.key(found.old):
        form.add_error("email", _("We already tried this address. Please enter another one."))
    elif new_addresses.problem(found, email):
        form.add_error("email", _("We can't send to this address. Please enter another one."))
    else:
        try:
            with transaction.atomic():
                services.count_correction(order, email)
                new_addresses.correct(found, email)
        except TooFast as exc:
            form.put_off(_("The address was changed too often."), seconds=exc.seconds)
        except Uncorrectable:
            form.add_error(None, _("This email has changed meanwhile. Please open the page again."))
        else:
            logger.info("customer corrected an address event=%s", found.event.id)


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
    if request.path_info.startswith("/admin/"):
        # It needs no database and no console around it: the error may come from there.
        page = render_to_string("admin/500.html", {"request_id": request_context.request_id()})
        return HttpResponse(page, status=500)
    return defaults.server_error(request)
