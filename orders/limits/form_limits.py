"""Limit how many forms one caller may post: each makes us send an email, so nobody can flood mailboxes."""

from __future__ import annotations

import logging

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _

from orders.errors import TooFast
from orders.forms import PublicForm
from orders.limits import allowances, client_address

logger = logging.getLogger(__name__)


def admits(request: HttpRequest, form: PublicForm) -> bool:
    """Count a posted form, valid or not; if it comes too early, return False and let the form say when to try again."""
    if not form.is_bound:
        return False
    origin = client_address.origin(request)
    try:
        _count_post(origin)
    except TooFast as exc:
        logger.info("refused a form from=%s", client_address.masked(origin))
        form.put_off(
            _("Too many forms were sent from your network, so we did not accept this one."),
            seconds=exc.seconds,
        )
        return False
    return True


def _count_post(origin: str) -> None:
    if allowed := settings.FORM_POSTS_PER_MINUTE:
        caller = allowances.row_of("caller", origin)
        allowances.take(caller, allowed=allowed, seconds=60, burst_seconds=60)
