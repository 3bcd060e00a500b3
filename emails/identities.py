"""Identities: what SES may send from (in the SES sandbox also: to). SES keeps them; this asks it.

Sources: SES API reference, version 2010-12-01: ListIdentities, GetIdentityVerificationAttributes (100 identities
at most), GetIdentityDkimAttributes, VerifyEmailIdentity, VerifyDomainIdentity, VerifyDomainDkim, DeleteIdentity.
SES answers most of these once a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from xml.etree.ElementTree import ParseError

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from emails import ses
from emails.errors import IdentityError

PAGE_SIZE = 50

_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
_THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException"}
# What an endpoint says that has not got the operation.
_LACKING = {"InvalidAction", "NotImplemented", "UnknownOperationException", "500", "501"}

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Record:
    """A DNS record that a domain's owner publishes."""

    type: str
    name: str
    value: str


@dataclass(frozen=True)
class Identity:
    """``status`` and ``dkim`` are SES's words (Pending, Success, Failed, TemporaryFailure, NotStarted) or empty."""

    name: str
    status: str = ""
    token: str = ""
    dkim: str = ""
    dkim_tokens: Sequence[str] = ()

    @property
    def is_domain(self) -> bool:
        """Otherwise it is an address."""
        return "@" not in self.name

    @property
    def records(self) -> list[Record]:
        """What to publish for this domain: who owns it, and who signs for it."""
        records = []
        if self.is_domain and self.token:
            records.append(Record("TXT", f"_amazonses.{self.name}", self.token))
        return records + [
            Record("CNAME", f"{token}._domainkey.{self.name}", f"{token}.dkim.amazonses.com")
            for token in self.dkim_tokens
            if self.is_domain
        ]


@dataclass(frozen=True)
class Page:
    """Some identities, where the next ones begin, and what SES would not say of them."""

    identities: Sequence[Identity]
    next_token: str
    missing: Sequence[str]


def page(token: str = "") -> Page:  # noqa: S107 - not a password: where the page begins
    """One page of identities. Raises IdentityError if SES does not list them; the rest fails soft."""
    start = {"NextToken": token} if token else {}
    listed = _ask("ListIdentities", ses.api().list_identities, MaxItems=PAGE_SIZE, **start)
    names = listed["Identities"]
    identities, missing = _described(names)
    return Page(identities, listed.get("NextToken", ""), missing)


def get(name: str) -> tuple[Identity, Sequence[str]]:
    """One identity, and what SES would not say of it. Raises IdentityError if SES has no such identity."""
    identities, missing = _described([name])
    if not missing and not identities[0].status:
        raise IdentityError(f"SES has no identity {name}.")
    return identities[0], missing


@dataclass(frozen=True)
class Verified:
    """The verified identities of the account, in lower case."""

    names: frozenset[str]

    def covers(self, address: str) -> bool:
        """By itself, by its domain, or by a domain above that."""
        address = address.lower()
        labels = address.rpartition("@")[2].split(".")
        domains = {".".join(labels[start:]) for start in range(len(labels))}
        return not self.names.isdisjoint({address} | domains)


def is_sandbox() -> bool:
    """Whether SES sends to verified recipients only. Raises IdentityError.

    SES API reference, version 2: GetAccount. Version 1 does not tell.
    """
    answer = _ask("GetAccount", ses.api_v2().get_account)
    return not answer["ProductionAccessEnabled"]


def verified() -> Verified:
    """All verified identities, by one call for each hundred. Raises IdentityError where there are over a thousand."""
    listed = _ask("ListIdentities", ses.api().list_identities, MaxItems=1000)
    if listed.get("NextToken"):
        raise IdentityError("There are over a thousand identities.")
    names = listed["Identities"]
    found: set[str] = set()
    for start in range(0, len(names), 100):
        answer = _ask(
            "GetIdentityVerificationAttributes",
            ses.api().get_identity_verification_attributes,
            Identities=names[start : start + 100],
        )["VerificationAttributes"]
        found |= {name for name, it in answer.items() if it["VerificationStatus"] == "Success"}
    return Verified(frozenset(name.lower() for name in found))


def verify(name: str) -> None:
    """Ask SES to verify: an address gets an email with a link, a domain gets records to publish.

    Asking again sends the link again. Raises IdentityError.
    """
    if "@" in name:
        _ask("VerifyEmailIdentity", ses.api().verify_email_identity, EmailAddress=name)
        return
    _ask("VerifyDomainIdentity", ses.api().verify_domain_identity, Domain=name)
    _ask("VerifyDomainDkim", ses.api().verify_domain_dkim, Domain=name)


def delete(name: str) -> None:
    """SES forgets it and sends nothing from it any more. Raises IdentityError."""
    _ask("DeleteIdentity", ses.api().delete_identity, Identity=name)


def _described(names: Sequence[str]) -> tuple[list[Identity], list[str]]:
    if not names:
        return [], []
    missing: list[str] = []
    client = ses.api()
    verification = _or_nothing(
        missing,
        "GetIdentityVerificationAttributes",
        client.get_identity_verification_attributes,
        "VerificationAttributes",
        names,
    )
    dkim = _or_nothing(
        missing,
        "GetIdentityDkimAttributes",
        client.get_identity_dkim_attributes,
        "DkimAttributes",
        names,
    )
    return [
        _identity(name, verification.get(name, {}), dkim.get(name, {})) for name in names
    ], missing


def _or_nothing(
    missing: list[str], operation: str, call: Callable[..., Any], key: str, names: Sequence[str]
) -> Mapping[str, Any]:
    try:
        answer: Mapping[str, Any] = _ask(operation, call, Identities=list(names))[key]
    except IdentityError as exc:
        missing.append(str(exc))
        return {}
    return answer


def _identity(name: str, verification: Mapping[str, Any], dkim: Mapping[str, Any]) -> Identity:
    return Identity(
        name=name,
        status=verification.get("VerificationStatus", ""),
        token=verification.get("VerificationToken", ""),
        dkim=dkim.get("DkimVerificationStatus", ""),
        dkim_tokens=tuple(dkim.get("DkimTokens", ())),
    )


def _ask(operation: str, call: Callable[..., Answer], **parameters: Any) -> Answer:
    try:
        return call(**parameters)
    except (ClientError, BotoCoreError, ResponseParserError, ParseError, OSError) as exc:
        raise IdentityError(_words(operation, exc)) from exc


def _words(operation: str, exc: Exception) -> str:
    code, text = ses.describe(exc)
    if code in _DENIED:
        return f"Not available here: the right ses:{operation} is missing. SES says: {text}"
    if code in _THROTTLED:
        return f"SES takes {operation} about once a second. Wait a moment, then try again."
    if code in _LACKING or isinstance(exc, ResponseParserError | ParseError):
        return f"Not available here: this endpoint does not answer {operation}."
    return f"{operation}: {text} ({code})"
