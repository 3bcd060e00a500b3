"""Identities: what SES may send from (in the SES sandbox: also to). SES keeps them; this asks it.

``USE_SES_V2`` says by which version of its API; what is asked and answered is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings

from emails.errors import IdentityError
from emails.identities import api_v1, api_v2
from emails.identities.facts import VERIFIED, Api, Identity, Page
from emails.ses import ses_api
from emails.ses.questions import ask


def page(token: str = "") -> Page:  # noqa: S107 - not a password: where the page begins
    """One page of identities. Raises IdentityError if SES does not list them; the rest fails soft."""
    return _api().page(token)


def get(name: str) -> tuple[Identity, Sequence[str]]:
    """One identity, and what SES would not say of it. Raises NoSuchIdentity, or another IdentityError."""
    return _api().get(name)


def verify(name: str) -> None:
    """Ask SES to verify: an address gets an email with a link, a domain gets records to publish.

    Asking again sends the link again; for a domain SES looks for its records anew. Raises IdentityError.
    """
    _api().create(name)


def delete(name: str) -> None:
    """SES forgets it and sends nothing from it any more. Raises IdentityError."""
    _api().delete(name)


def set_mail_from(name: str, domain: str, *, failing: str) -> None:
    """Let bounces of this identity go to a domain below it, or with an empty one to Amazon's.

    ``failing`` says what SES does without that domain's MX record: UseDefaultValue or RejectMessage. Raises
    IdentityError.
    """
    _api().set_mail_from(name, domain, failing)


def statuses(names: Sequence[str]) -> Mapping[str, str]:
    """Of those among these hundred at most that SES has, by name in lower case. Raises IdentityError."""
    return _api().statuses(names)


def sends_from(address: str) -> str:
    """The verified identity by which SES sends from this address; empty if there is none. Raises IdentityError."""
    names = ses_api.covering(address)
    found = statuses(names)
    return next((name for name in names if found.get(name.lower()) == VERIFIED), "")


@dataclass(frozen=True)
class Verified:
    """The verified identities of the account, in lower case."""

    names: frozenset[str]

    def covers(self, address: str) -> bool:
        """By itself, by its domain, or by a domain above that."""
        return not self.names.isdisjoint(map(str.lower, ses_api.covering(address)))


def is_sandbox() -> bool:
    """Whether SES sends to verified recipients only. Raises IdentityError.

    SES API reference, version 2: GetAccount. Version 1 does not tell.
    """
    answer = ask("GetAccount", ses_api.api_v2().get_account)
    return not answer["ProductionAccessEnabled"]


def verified() -> Verified:
    """All verified identities, by one call for each hundred. Raises IdentityError where there are over a thousand."""
    listed = ask("ListIdentities", ses_api.api().list_identities, MaxItems=1000)
    if listed.get("NextToken"):
        raise IdentityError("There are over a thousand identities.")
    names = listed["Identities"]
    found: set[str] = set()
    for start in range(0, len(names), 100):
        answer = ask(
            "GetIdentityVerificationAttributes",
            ses_api.api().get_identity_verification_attributes,
            Identities=names[start : start + 100],
        )["VerificationAttributes"]
        found |= {name for name, it in answer.items() if it["VerificationStatus"] == VERIFIED}
    return Verified(frozenset(name.lower() for name in found))


def _api() -> Api:
    return api_v2.API if settings.USE_SES_V2 else api_v1.API
