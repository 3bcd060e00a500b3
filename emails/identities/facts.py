"""What SES says of an identity, and what either version of its API is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

PAGE_SIZE = 50

VERIFIED = "Success"


@dataclass(frozen=True)
class Identity:
    """What SES says of an identity.

    Each status is in the words of version 1 (Pending, Success, Failed, TemporaryFailure, NotStarted), or empty where
    SES was not asked or would not say. ``mail_from_failing``: what SES does while the MAIL FROM domain is not in
    order. ``checked_at`` is an ISO time.
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
        """Otherwise it is an address."""
        return "@" not in self.name

    @property
    def is_mail_from_known(self) -> bool:
        """Whether SES was asked and has said."""
        return bool(self.mail_from_failing)

    @property
    def is_verified(self) -> bool:
        """Whether SES sends from it."""
        return self.status == VERIFIED

    @property
    def domain(self) -> str:
        """Its own, or that of the address."""
        return self.name.rpartition("@")[2]


@dataclass(frozen=True)
class Page:
    """Some identities, where the next ones begin, and what SES would not say of them."""

    identities: Sequence[Identity]
    next_token: str
    missing: Sequence[str]


class Api(Protocol):
    """What either version of the API is asked; each function raises IdentityError."""

    def page(self, token: str) -> Page:
        """Some identities, from where the token says."""
        ...

    def get(self, name: str) -> tuple[Identity, Sequence[str]]:
        """One, and what SES would not say of it; raises NoSuchIdentity."""
        ...

    def statuses(self, names: Sequence[str]) -> Mapping[str, str]:
        """Of those among these hundred at most that SES has, by name in lower case: in as few calls as there can be."""
        ...

    def create(self, name: str) -> None:
        """A new one: an address gets an email with a link, a domain tokens for its DNS, DKIM included."""
        ...

    def set_mail_from(self, name: str, domain: str, failing: str) -> None:
        """An empty domain: none; ``failing`` in the words of version 1."""
        ...

    def delete(self, name: str) -> None:
        """SES forgets it."""
        ...
