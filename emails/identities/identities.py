"""Ask SES about its identities: the addresses and domains it may send from (in the SES sandbox: also to).

SES keeps them. ``USE_SES_V2`` chooses the version of its API; questions and answers are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from emails.errors import IdentityError, NoSuchIdentity
from emails.identities import api_v1, api_v2
from emails.identities.facts import VERIFIED, Api, Identity, Page
from emails.ses import fields, ses_api
from emails.ses.questions import reading
from queues import addresses


def page(token: str = "") -> Page:  # noqa: S107 - not a password: where the page begins
    """Return one page of identities. Raises IdentityError if SES does not list them; the rest fills ``missing``."""
    return _api().page(token)


def get(name: str) -> tuple[Identity, Sequence[str]]:
    """Return one identity and a line for each fact SES did not tell. Raises NoSuchIdentity or IdentityError."""
    return _api().get(_ascii(name))


def verify(name: str) -> None:
    """Ask SES to verify: SES emails a link to an address, or names records to publish for a domain.

    Asked again, SES sends the link again, or looks for the domain's records again. Raises IdentityError.
    """
    _api().create(_ascii(name))


def delete(name: str) -> None:
    """Delete the identity: SES sends nothing from it any more. Raises IdentityError."""
    _api().delete(_ascii(name))


def set_mail_from(name: str, domain: str, *, failing: str) -> None:
    """Send bounces of this identity to a domain below it, or to Amazon's if ``domain`` is empty.

    ``failing`` is what SES does while that domain has no MX record: UseDefaultValue or RejectMessage. Raises
    IdentityError.
    """
    _api().set_mail_from(_ascii(name), domain and _ascii(domain), failing)


def statuses(names: Sequence[str]) -> Mapping[str, str]:
    """Return statuses by lower-case name, for those SES has of at most 100 names. Raises IdentityError."""
    return _api().statuses([_ascii(name) for name in names])


def sends_from(address: str) -> str:
    """Return the verified identity that lets SES send from this address, or ''. Raises IdentityError."""
    names = ses_api.covering(address)
    found = statuses(names)
    return next((name for name in names if found.get(name.lower()) == VERIFIED), "")


@dataclass(frozen=True)
class Verified:
    """The verified identities of the account, in lower case."""

    names: frozenset[str]

    def covers(self, address: str) -> bool:
        """Return True if the address, its domain or a domain above that is verified."""
        return not self.names.isdisjoint(map(str.lower, ses_api.covering(address)))


@reading("GetAccount")
def is_sandbox() -> bool:
    """Return True if SES sends to verified recipients only. Raises IdentityError.

    SES API reference, version 2: GetAccount. Version 1 has no such call.
    """
    found: Any = ses_api.api_v2().get_account()
    return not fields.flag(found, "ProductionAccessEnabled")


def verified() -> Verified:
    """Return all verified identities, a call for each hundred. Raises IdentityError if there are over a thousand."""
    with reading("ListIdentities"):
        listed = ses_api.api().list_identities(MaxItems=1000)
        names = fields.items(listed, "Identities")
    if listed.get("NextToken"):
        raise IdentityError("SES has more than 1,000 identities.")
    found: set[str] = set()
    for start in range(0, len(names), 100):
        statuses = api_v1.API.statuses(names[start : start + 100])
        found |= {name for name, status in statuses.items() if status == VERIFIED}
    return Verified(frozenset(found))


def _ascii(name: str) -> str:
    """Return an address or a domain as SES takes it. Raises NoSuchIdentity."""
    try:
        return name if name.isascii() else addresses.identity(name)
    except addresses.Undeliverable as exc:
        raise NoSuchIdentity(f"SES has no identity {name}.") from exc


def _api() -> Api:
    return api_v2.API if settings.USE_SES_V2 else api_v1.API
