"""Describe an identity, and the calls that both versions of the SES API answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

PAGE_SIZE = 50

VERIFIED = "Success"


@dataclass(frozen=True)
class Identity:
    """An address or domain as SES describes it.

    Each status is in the words of version 1 (Pending, Success, Failed, TemporaryFailure, NotStarted), or empty if
    SES was not asked or did not say. ``mail_from_failing`` is what SES does while the MAIL FROM domain has no MX
    record. ``checked_at`` is an ISO time.
    """

    name: str
    status: str = ""
    token: str = ""
    dkim: str = ""
    dkim_tokens: Sequence[str] = ()
    dkim_zone: str = "dkim.amazonses.com"
    mail_from: str = ""
    mail_from_status: str = ""
    mail_from_failing: str = ""
    configuration_set: str = ""
    checked_at: str = ""
    problem: str = ""

    @property
    def is_domain(self) -> bool:
        """True for a domain, False for an address."""
        return "@" not in self.name

    @property
    def is_mail_from_known(self) -> bool:
        """True if SES was asked about MAIL FROM and answered."""
        return bool(self.mail_from_failing)

    @property
    def is_verified(self) -> bool:
        """True if SES sends from this identity."""
        return self.status == VERIFIED

    @property
    def is_pending(self) -> bool:
        """True while SES waits for something: for the owner's click, or for DNS records."""
        return "Pending" in (self.status, self.mail_from_status)

    @property
    def domain(self) -> str:
        """The domain itself, or the domain of the address."""
        return self.name.rpartition("@")[2]


@dataclass(frozen=True)
class Page:
    """One page of identities, the token of the next page, and a line for each fact that SES did not tell."""

    identities: Sequence[Identity]
    next_token: str
    missing: Sequence[str]


class Api(Protocol):
    """The calls that both versions of the SES API answer; each raises IdentityError."""

    def page(self, token: str) -> Page:
        """Return the page that begins at the token; an empty token is the first page."""
        ...

    def get(self, name: str) -> tuple[Identity, Sequence[str]]:
        """Return one identity and a line for each fact that SES did not tell; raises NoSuchIdentity."""
        ...

    def statuses(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return statuses by lower-case name, for those SES has of at most 100 names, in as few calls as possible."""
        ...

    def create(self, name: str) -> None:
        """Create an identity: SES emails a link to an address, or makes DNS tokens for a domain, DKIM included."""
        ...

    def set_mail_from(self, name: str, domain: str, failing: str) -> None:
        """Set the MAIL FROM domain, or remove it if ``domain`` is empty; ``failing`` is in the words of version 1."""
        ...

    def delete(self, name: str) -> None:
        """Delete the identity from SES."""
        ...
