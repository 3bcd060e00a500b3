"""What causes of dead letters mean that have to do with emails, and the page that mends them."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urlencode

from django.urls import reverse

from emails.errors import Refused, Unavailable
from emails.rendering import templates
from emails.ses import default_sender, error_codes, smtp
from queues import registry
from queues.answers import Advice, Cause

_BREAKERS = {
    "quota": Advice(
        "SES: the quota of 24 hours was used up",
        "Wait until the first page shows no breaker, or ask AWS for more. Then redrive.",
    ),
    "account": Advice(
        "SES: sending was paused",
        "See AWS's letter and the SES console. When the first page shows no breaker, redrive.",
    ),
    "configuration": Advice(
        "SES: our sender, our rights or our set-up were not in order",
        "Mend what the reason names: verify the sender, give the right, or run “manage.py provision”. When the first "
        "page shows no breaker, redrive.",
    ),
}
_REFUSED = Advice(
    "SES refused the email for good",
    "Mend what SES names: edit and redrive a letter whose data is wrong, discard what nobody needs.",
)
_TABLE = {
    "UnknownSesEvent": Advice(
        "SES reported something that this release does not know",
        "Upgrade the consumers, then redrive.",
    ),
    "NotDue": Advice(
        "Its email was not due yet",
        "SES had refused it, and its next try was later than its message lived. Redrive.",
    ),
    "InOtherHands": Advice(
        "Another consumer was sending the same email each time",
        "Nothing is wrong with it. Redrive.",
    ),
    "LeaseLost": Advice(
        "A consumer was too slow to send it",
        "The machine or the database stalled. Mend that, then redrive.",
    ),
}


@registry.advisers
def advise(cause: Cause) -> Advice | None:
    """None for causes that are not about emails."""
    if cause.code == "RenderError":
        return _unrendered(cause)
    if _is_unverified_recipient(cause):
        return _unverified(cause)
    if cause.code in error_codes.NEVER_LEFT | smtp.NEVER_LEFT:
        return Advice(
            "This machine does not reach SES",
            "Mend the network or the endpoint in settings, then redrive.",
        )
    match error_codes.answered(cause.code, cause.reason, 400, sender=_sender(cause)):
        case Unavailable(breaker=breaker):
            return replace(
                _BREAKERS[breaker], label="Open the first page", address=reverse("admin:index")
            )
        case Refused():
            return _REFUSED
    if cause.code.startswith(smtp.REFUSED):
        return _REFUSED
    return _TABLE.get(cause.code)


def _is_unverified_recipient(cause: Cause) -> bool:
    return (
        cause.code.startswith("MessageRejected")
        and error_codes.names_unverified(cause.reason)
        and not error_codes.names_sender(cause.reason, _sender(cause))
    )


def _sender(cause: Cause) -> str:
    """Whom we send as; it matters only where SES says that somebody is not verified."""
    return default_sender.in_force() if error_codes.names_unverified(cause.reason) else ""


def _unrendered(cause: Cause) -> Advice:
    name = cause.reason.partition("/")[0]
    words = "The template and the data do not fit"
    todo = (
        "The reason names the template and the variable. Mend the template and restart the consumers, or edit the "
        "letter's data; then redrive."
    )
    if name not in templates.names():
        return Advice(words, todo)
    return Advice(
        words,
        todo,
        label=f"Open the template {name}",
        address=reverse("admin:emails_template", args=[name]),
        permission="emails.preview_email",
    )


def _unverified(cause: Cause) -> Advice:
    found = set(re.findall(r"[^\s,:;<>]+@[^\s,:;<>]+", cause.reason))
    address = reverse("admin:emails_identity_changelist")
    is_one = cause.is_of_one and len(found) == 1
    query = f"?{urlencode({'name': found.pop()})}" if is_one else ""
    return Advice(
        "SES sandbox: the recipient is not verified",
        "Verify the address or its domain, or ask AWS for production access. Then redrive.",
        label="Verify this address" if is_one else "Open Identities",
        address=address + query,
        permission="emails.view_identity",
    )
