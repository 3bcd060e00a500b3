"""Read and change identities through version 2 of SES's API.

Sources: SES API reference, version 2019-09-27: ListEmailIdentities, GetEmailIdentity, CreateEmailIdentity (a domain
gets Easy DKIM at once), PutEmailIdentityMailFromAttributes, DeleteEmailIdentity.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from emails.errors import NoSuchIdentity
from emails.identities import api_v1
from emails.identities.facts import PAGE_SIZE, Identity, Page
from emails.ses import fields, ses_api
from emails.ses.questions import ask, reading

MOST_ON_A_PAGE = 1000

_FAILURES = {
    "DNS_SERVER_ERROR": "the domain's DNS server answered with an error",
    "HOST_NOT_FOUND": "the domain was not found in DNS",
    "INVALID_VALUE": "the records in DNS have other values",
    "TYPE_NOT_FOUND": "the records are not in DNS",
    "SERVICE_ERROR": "SES could not look",
}


class V2:
    """Version 2 of the SES API; see ``emails.identities.facts.Api``."""

    def page(self, token: str) -> Page:
        """List names and statuses by one call; DKIM and MAIL FROM would take a call for each identity."""
        start = {"NextToken": token} if token else {}
        listed, after = _listed(PageSize=PAGE_SIZE, **start)
        return Page([Identity(name=name, status=status) for name, status in listed], after, [])

    def get(self, name: str) -> tuple[Identity, Sequence[str]]:
        """Read everything about one identity by one call."""
        try:
            with reading("GetEmailIdentity"):
                answer: Any = ses_api.api_v2().get_email_identity(EmailIdentity=name)
                found = _identity(name, answer)
        except NoSuchIdentity:
            raise NoSuchIdentity(f"SES has no identity {name}.") from None
        return found, []

    def statuses(self, names: Sequence[str]) -> Mapping[str, str]:
        """List all identities, a thousand a call, and pick these: SES would throttle one call for each name."""
        wanted, found = set(map(str.lower, names)), {}
        token: dict[str, str] = {}
        while True:
            listed, after = _listed(PageSize=MOST_ON_A_PAGE, **token)
            for name, status in listed:
                if name.lower() in wanted:
                    found[name.lower()] = status
            if not after or len(found) == len(wanted):
                return found
            token = {"NextToken": after}

    def create(self, name: str) -> None:
        """Create the identity; if it exists, ask through version 1, as version 2 has no call to verify again."""
        try:
            self.get(name)
        except NoSuchIdentity:
            ask("CreateEmailIdentity", ses_api.api_v2().create_email_identity, EmailIdentity=name)
        else:
            api_v1.verify_again(name)

    def set_mail_from(self, name: str, domain: str, failing: str) -> None:
        """Set the MAIL FROM domain; SES removes it if the call leaves the parameter out."""
        named = {"MailFromDomain": domain} if domain else {}
        ask(
            "PutEmailIdentityMailFromAttributes",
            ses_api.api_v2().put_email_identity_mail_from_attributes,
            EmailIdentity=name,
            BehaviorOnMxFailure=_upper(failing),
            **named,
        )

    def delete(self, name: str) -> None:
        """Delete the identity; raises NoSuchIdentity if it does not exist."""
        ask("DeleteEmailIdentity", ses_api.api_v2().delete_email_identity, EmailIdentity=name)


API = V2()


@reading("ListEmailIdentities")
def _listed(**options: Any) -> tuple[list[tuple[str, str]], str]:
    """Return names with their statuses, and the token of the next page, empty at the last."""
    answer: Any = ses_api.api_v2().list_email_identities(**options)
    found = [
        (fields.text(it, "IdentityName"), _camel(fields.text(it, "VerificationStatus", "")))
        for it in fields.items(answer, "EmailIdentities")
    ]
    return found, fields.text(answer, "NextToken", "")


def _identity(name: str, found: Mapping[str, Any]) -> Identity:
    dkim, mail_from = found.get("DkimAttributes", {}), found.get("MailFromAttributes", {})
    info = found.get("VerificationInfo", {})
    # With keys of one's own (BYODKIM) there are no tokens to publish.
    tokens = dkim.get("Tokens", ()) if dkim.get("SigningAttributesOrigin") != "EXTERNAL" else ()
    return Identity(
        name=name,
        status=_camel(found.get("VerificationStatus", ""))
        or ("Success" if found.get("VerifiedForSendingStatus") else "Pending"),
        dkim=_camel(dkim.get("Status", "")),
        dkim_tokens=tuple(tokens),
        dkim_zone=dkim.get("SigningHostedZone") or Identity.dkim_zone,
        mail_from=mail_from.get("MailFromDomain") or "",
        mail_from_status=_camel(mail_from.get("MailFromDomainStatus") or ""),
        mail_from_failing=_camel(mail_from.get("BehaviorOnMxFailure") or ""),
        configuration_set=found.get("ConfigurationSetName") or "",
        checked_at=_iso(info.get("LastCheckedTimestamp")),
        problem=_FAILURES.get(info.get("ErrorType", ""), ""),
    )


def _camel(word: str) -> str:
    """Spell a status as version 1 does: ``TEMPORARY_FAILURE`` becomes ``TemporaryFailure``."""
    return "".join(part.title() for part in word.split("_"))


def _upper(word: str) -> str:
    """Spell a value as version 2 does: ``RejectMessage`` becomes ``REJECT_MESSAGE``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).upper()


def _iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""
