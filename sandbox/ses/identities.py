"""Keep the identities: addresses and domains that may send and, in the SES sandbox, receive."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_SPF = "v=spf1 include:amazonses.com ~all"


@dataclass
class Identity:
    """An email address or a domain. ``token`` is in the link of the verification mail."""

    name: str
    verified: bool = False
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    mail_from: str = ""
    mail_from_failing: str = "UseDefaultValue"
    mail_from_verified: bool = False

    @property
    def is_domain(self) -> bool:
        """True for ``example.com``, False for ``a@example.com``."""
        return "@" not in self.name

    @property
    def dkim_tokens(self) -> list[str]:
        """Three tokens, the same ones each time, for the CNAME records of a domain."""
        if not self.is_domain:
            return []
        return [
            hashlib.sha256(f"{number} {self.name.lower()}".encode()).hexdigest()[:32]
            for number in range(3)
        ]

    @property
    def is_waiting(self) -> bool:
        """True while the link has not been opened or the records have not been published."""
        return not self.verified or bool(self.mail_from and not self.mail_from_verified)

    def set_mail_from(self, domain: str, *, failing: str) -> None:
        """Set the MAIL FROM domain; its records must be published each time. An empty domain removes it."""
        self.mail_from, self.mail_from_failing = domain, failing
        self.mail_from_verified = False

    def publish(self) -> None:
        """SES finds all that it waits for."""
        self.verified = True
        self.mail_from_verified = bool(self.mail_from)

    def published(self, *, region: str) -> dict[tuple[str, str], list[str]]:
        """Return those of the identity's records that DNS has."""
        if not self.verified:
            return {}
        awaited = self.mail_from.lower() if self.is_waiting else ""
        found = self.records(region=region)
        return {key: values for key, values in found.items() if not awaited or key[1] != awaited}

    def records(self, *, region: str) -> dict[tuple[str, str], list[str]]:
        """Return the records that the owner of a domain publishes, by type and name in lower case."""
        domain = self.name.lower()
        found = {
            ("TXT", f"_amazonses.{domain}"): [self.token],
            ("TXT", domain): [_SPF],
            ("TXT", f"_dmarc.{domain}"): ["v=DMARC1; p=none;"],
        }
        for token in self.dkim_tokens:
            found["CNAME", f"{token}._domainkey.{domain}"] = [f"{token}.dkim.amazonses.com."]
        if self.mail_from:
            mail_from = self.mail_from.lower()
            found["MX", mail_from] = [f"10 feedback-smtp.{region}.amazonses.com."]
            found["TXT", mail_from] = [_SPF]
        return found


class Identities:
    """The identities of one account, looked up without regard to case."""

    def __init__(self, verified: Iterable[str] = ()) -> None:
        self._identities = {name.lower(): Identity(name, verified=True) for name in verified}

    def __iter__(self) -> Iterator[Identity]:
        return iter(list(self._identities.values()))

    def get(self, name: str) -> Identity | None:
        """The identity of exactly this address or domain."""
        return self._identities.get(name.strip().lower())

    def add(self, name: str) -> Identity:
        """The identity of this name; a new one is pending."""
        name = name.strip()
        return self._identities.setdefault(name.lower(), Identity(name))

    def remove(self, name: str) -> None:
        """Forget the identity; nothing happens if there is none."""
        self._identities.pop(name.strip().lower(), None)

    def with_token(self, token: str) -> Identity | None:
        """The identity whose verification mail has this token."""
        return next((each for each in self if secrets.compare_digest(each.token, token)), None)

    def covers(self, address: str) -> bool:
        """True if the address itself or its domain is verified."""
        return any(
            identity is not None and identity.verified
            for identity in (self.get(address), self.get(address.rpartition("@")[2]))
        )

    def pending(self) -> list[Identity]:
        """Return the identities that wait for their link to be opened or their DNS records to be found."""
        return [identity for identity in self if identity.is_waiting]
