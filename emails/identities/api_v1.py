"""Read and change identities through version 1 of SES's API.

Sources: SES API reference, version 2010-12-01: ListIdentities, GetIdentityVerificationAttributes (100 identities
at most), GetIdentityDkimAttributes, GetIdentityMailFromDomainAttributes, VerifyEmailIdentity, VerifyDomainIdentity,
VerifyDomainDkim, SetIdentityMailFromDomain, DeleteIdentity. SES answers most of these once a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emails.errors import IdentityError, NoSuchIdentity
from emails.identities.facts import PAGE_SIZE, Identity, Page
from emails.ses import fields, ses_api
from emails.ses.questions import ask, reading

_VERIFICATION = "GetIdentityVerificationAttributes"

Attributes = Mapping[str, Any]


class V1:
    """Version 1 of the SES API; see ``emails.identities.facts.Api``."""

    def page(self, token: str) -> Page:
        """List names, then describe them: ListIdentities returns names only, so each attribute takes a call more."""
        start = {"NextToken": token} if token else {}
        with reading("ListIdentities"):
            client: Any = ses_api.api()
            listed = client.list_identities(MaxItems=PAGE_SIZE, **start)
            names, after = fields.items(listed, "Identities"), fields.text(listed, "NextToken", "")
        found, missing = _described(names)
        return Page(found, after, missing)

    def get(self, name: str) -> tuple[Identity, Sequence[str]]:
        """Describe one identity; raises NoSuchIdentity if SES left the name out of its answer."""
        [identity], missing = _described([name])
        if not identity.status and not any(_VERIFICATION in text for text in missing):
            raise NoSuchIdentity(f"SES has no identity {name}.")
        return identity, missing

    @reading(_VERIFICATION)
    def statuses(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return the statuses by one call."""
        answer: Any = ses_api.api().get_identity_verification_attributes(Identities=list(names))
        found = answer["VerificationAttributes"].items()
        return {name.lower(): fields.text(it, "VerificationStatus") for name, it in found}

    def create(self, name: str) -> None:
        """Ask SES to verify; it is safe to ask again."""
        if "@" not in name:
            ask("VerifyDomainIdentity", ses_api.api().verify_domain_identity, Domain=name)
        verify_again(name)

    def set_mail_from(self, name: str, domain: str, failing: str) -> None:
        """Set the MAIL FROM domain; SES removes it if the call leaves the parameter out."""
        named = {"MailFromDomain": domain} if domain else {}
        ask(
            "SetIdentityMailFromDomain",
            ses_api.api().set_identity_mail_from_domain,
            Identity=name,
            BehaviorOnMXFailure=failing,
            **named,
        )

    def delete(self, name: str) -> None:
        """Delete the identity; SES reports no error if it did not exist."""
        ask("DeleteIdentity", ses_api.api().delete_identity, Identity=name)


API = V1()


def verify_again(name: str) -> None:
    """Ask SES to send an address its link again, or to look for a domain's records again. Raises IdentityError."""
    client = ses_api.api()
    if "@" in name:
        ask("VerifyEmailIdentity", client.verify_email_identity, EmailAddress=name)
    else:
        ask("VerifyDomainDkim", client.verify_domain_dkim, Domain=name)


def _described(names: Sequence[str]) -> tuple[list[Identity], list[str]]:
    if not names:
        return [], []
    missing: list[str] = []
    client: Any = ses_api.api()

    def attributes(operation: str, call: Callable[..., Any], key: str) -> Mapping[str, Attributes]:
        try:
            with reading(operation):
                return {name: dict(it) for name, it in call(Identities=list(names))[key].items()}
        except IdentityError as exc:
            missing.append(str(exc))
            return {}

    verification = attributes(
        _VERIFICATION,
        client.get_identity_verification_attributes,
        "VerificationAttributes",
    )
    dkim = attributes(
        "GetIdentityDkimAttributes", client.get_identity_dkim_attributes, "DkimAttributes"
    )
    mail_from = attributes(
        "GetIdentityMailFromDomainAttributes",
        client.get_identity_mail_from_domain_attributes,
        "MailFromDomainAttributes",
    )
    return [
        _identity(name, verification.get(name, {}), dkim.get(name, {}), mail_from.get(name, {}))
        for name in names
    ], missing


@reading(_VERIFICATION)
def _identity(
    name: str, verification: Attributes, dkim: Attributes, mail_from: Attributes
) -> Identity:
    return Identity(
        name=name,
        status=verification.get("VerificationStatus", ""),
        token=verification.get("VerificationToken", ""),
        dkim=dkim.get("DkimVerificationStatus", ""),
        dkim_tokens=tuple(dkim.get("DkimTokens", ())),
        mail_from=mail_from.get("MailFromDomain") or "",
        mail_from_status=mail_from.get("MailFromDomainStatus") or "",
        mail_from_failing=mail_from.get("BehaviorOnMXFailure") or "",
    )
