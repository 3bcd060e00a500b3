"""Advise on causes of dead letters that concern emails: what they mean, and the page that fixes them."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

from emails.errors import Refused, Unavailable
from emails.identities import status_history
from emails.identities.facts import VERIFIED
from emails.rendering import templates
from emails.sending import breakers
from emails.ses import default_sender, error_codes, ses_api, smtp
from queues import registry
from queues.answers import Advice, Cause, DomainAct
from queues.aws.failures.meanings import Meaning

_BREAKERS = {
    "quota": Advice(
        "SES: the daily sending quota was used up",
        "Wait until the Overview shows no breaker, or ask AWS for a higher quota. Then redrive.",
    ),
    "account": Advice(
        "SES: sending was paused",
        "Read AWS's email and the SES console, of the account and of the configuration set. When the Overview shows no "
        "breaker, redrive.",
    ),
    "configuration": Advice(
        "SES: our sender, permissions or setup are wrong",
        "Fix what the reason names: verify the sender, grant the permission, or run “manage.py provision”. When the "
        "Overview shows no breaker, redrive.",
    ),
}
# Trouble with the set-up whose code alone says what to do.
_BY_MEANING = {
    Meaning.CREDENTIALS: Advice(
        "SES: AWS does not take our credentials, or there are none",
        "Renew the credentials of the consumers' role, profile, login or keys; “manage.py doctor” says where they come "
        "from. They are read again within half a minute. When the Overview shows no breaker, redrive.",
    ),
    Meaning.CLOCK: Advice(
        "SES: the clock of a consumer's machine is wrong",
        "Start time synchronisation there. When the Overview shows no breaker, redrive.",
    ),
    Meaning.SUBSCRIPTION: Advice(
        "SES: the AWS account has not got the service",
        "Open the SES console in this region with the account's root user, and see that the account is active and paid "
        "for. When the Overview shows no breaker, redrive.",
    ),
    Meaning.DENIED: Advice(
        "SES: a permission of the consumers is missing",
        "Grant what the reason names to the consumers' role. When the Overview shows no breaker, redrive.",
    ),
}
_REFUSED = Advice(
    "SES rejected the email for good",
    "Fix what SES names: edit and redrive a dead letter whose data is wrong, or discard one that nobody needs.",
    act="edit",
)
_NO_VERSION_2 = Advice(
    "SES at this endpoint has no version 2 of its API",
    "Set USE_SES_V2=off for all processes and restart them. Then redrive.",
)
_TABLE = {
    "UnknownSesEvent": Advice(
        "SES reported something that this release does not know",
        "Upgrade the consumers, then redrive.",
    ),
    "NotDue": Advice(
        "Its email was not due yet",
        "SES did not accept it, and its next try was due after its message had used up its receives. Redrive.",
        is_specific=True,
    ),
    "InOtherHands": Advice(
        "Another consumer was sending the same email at each try",
        "Nothing is wrong with the email. Redrive.",
        is_specific=True,
    ),
    "LeaseLost": Advice(
        "A consumer was too slow to send it",
        "The machine or the database stalled. Fix that, then redrive.",
        is_specific=True,
    ),
}


@registry.advisers
def advise(cause: Cause) -> Advice | None:
    """Return advice on a cause that concerns emails; None for any other."""
    if cause.code == "RenderError":
        return _unrendered(cause)
    if _is_unverified_recipient(cause):
        return _unverified(cause)
    if cause.code in error_codes.NEVER_LEFT | smtp.NEVER_LEFT:
        return Advice(
            "This machine cannot reach SES",
            "Fix the network, or the endpoint in settings. Then redrive.",
        )
    if settings.USE_SES_V2 and error_codes.meaning(cause.code) is Meaning.LACKING:
        return _NO_VERSION_2
    match error_codes.answered(cause.code, cause.reason, 400, sender=_sender(cause)):
        case Unavailable(breaker=breaker):
            found = _BREAKERS[breaker]
            if breaker == "configuration":
                found = _BY_MEANING.get(error_codes.meaning(cause.code), found)
            return replace(
                found,
                label="Open the Overview",
                address=reverse("admin:index"),
                act="fix" if breakers.is_any_open() else "redrive",
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
    """Return the sender of ours that SES says is not verified, if any; it is not looked up for other causes."""
    if not error_codes.names_unverified(cause.reason):
        return ""
    senders = default_sender.addresses_in_force()
    return next((each for each in senders if error_codes.names_sender(cause.reason, each)), "")


def _unrendered(cause: Cause) -> Advice:
    name = cause.reason.partition("/")[0]
    words = "The template and the data do not match"
    todo = (
        "The reason names the template and the variable. Fix the template: its rehearsal says which dead letters that "
        "helps, and sends them back. Or edit the dead letter's data, then redrive."
    )
    if name not in templates.names():
        return Advice(words, todo, act="edit")
    return Advice(
        words,
        todo,
        act="fix",
        label=f"Fix the template {name}",
        address=reverse("admin:emails_emailtemplate_edit", args=[name]),
        permission="emails.edit_template",
    )


def _unverified(cause: Cause) -> Advice:
    found = set(re.findall(r"[^\s,:;<>]+@[^\s,:;<>]+", cause.reason))
    address = reverse("admin:emails_identity_changelist")
    is_one = cause.is_of_one and len(found) == 1
    query = f"?{urlencode({'name': found.pop()})}" if is_one else ""
    return Advice(
        "SES sandbox: the recipient is not verified",
        "Verify the address or its domain, or ask AWS for production access. Then redrive.",
        act="fix",
        is_specific=True,
        label="Verify this address" if is_one else "Open Identities",
        address=address + query,
        permission="emails.view_identity",
        by_domain=DomainAct(
            "Verify", reverse("admin:emails_identity_verify"), "emails.verify_identity"
        ),
    )


@registry.domain_checkers
def verified(domains: Collection[str]) -> set[str]:
    """Return the domains that SES has verified, themselves or one above, as far as it told us."""
    covering = {domain: ses_api.covering(f"anybody@{domain}")[1:] for domain in domains}
    known = status_history.of({name for names in covering.values() for name in names})
    return {
        domain
        for domain, names in covering.items()
        if any(name in known and known[name].status == VERIFIED for name in names)
    }
