"""SES's side of the counter: which mails are accepted, and how an identity comes to be verified."""

from __future__ import annotations

import re
from email.message import EmailMessage
from html import escape

from sandbox.errors import InvalidMail, MessageRejected
from sandbox.ses.identities import Identities, Identity
from sandbox.ses.mailbox import Mail, Mailbox
from sandbox.ses.suppressed import AccountList

MAX_BYTES = 40 * 1024 * 1024
MAX_RECIPIENTS = 50
SIMULATOR_DOMAIN = "simulator.amazonses.com"
_SPACE = re.compile(r"[\s\x00-\x1f\x7f]")
_DOMAIN = re.compile(r"[A-Za-z0-9.\[\]:_-]+")


class PostOffice:
    """Identities, mailbox and the rules of the SES sandbox, shared by all regions and both API versions."""

    def __init__(self, *, verified: list[str], sandbox_rules: bool, url: str = "") -> None:
        self.identities = Identities(verified)
        self.mailbox = Mailbox()
        self.suppressed = AccountList()
        self.sandbox_rules = sandbox_rules
        self.url = url

    def accept(self, mail: Mail, *, region: str) -> None:
        """Put the mail into the mailbox, or raise InvalidMail or MessageRejected with AWS's own words."""
        _check_form(mail)
        unverified = [mail.sender, *mail.recipients] if self.sandbox_rules else [mail.sender]
        unverified = [
            address
            for address in dict.fromkeys(unverified)
            if not self.identities.covers(address)
            and (address == mail.sender or not is_simulator(address))
        ]
        if unverified:
            raise MessageRejected(
                "Email address is not verified. The following identities failed the check in region "
                f"{region.upper()}: {', '.join(unverified)}"
            )
        # SES takes a mail to these as well, and delivers it to nobody.
        if not all(address in self.suppressed for address in mail.recipients):
            self.mailbox.add(mail)

    def request_verification(self, name: str, *, region: str) -> Identity:
        """Register an identity; a pending address gets a mail with its link, each time it is asked.

        Raises InvalidMail if the name is not ASCII.
        """
        if not name.isascii():
            check_address(name if "@" in name else f"postmaster@{name}")
        identity = self.identities.add(name)
        if not identity.verified and not identity.is_domain:
            self.mailbox.add(_verification_mail(identity, link=self.link(identity), region=region))
        return identity

    def link(self, identity: Identity) -> str:
        """The address that verifies the identity when it is opened; a domain has none."""
        return "" if identity.is_domain else f"{self.url}/_sandbox/verify?token={identity.token}"


def is_simulator(address: str) -> bool:
    """True for Amazon's mailbox simulator, which needs no verification."""
    return address.lower().endswith(f"@{SIMULATOR_DOMAIN}")


def _check_form(mail: Mail) -> None:
    if len(mail.raw) > MAX_BYTES:
        raise InvalidMail(f"Message length is more than {MAX_BYTES} bytes long: '{len(mail.raw)}'.")
    if not mail.sender:
        raise InvalidMail("Missing required header 'From'.")
    if not mail.recipients:
        raise InvalidMail("Missing required header 'To'.")
    if len(mail.recipients) > MAX_RECIPIENTS:
        raise InvalidMail(f"Recipient count exceeds {MAX_RECIPIENTS}.")
    for address in (mail.sender, *mail.recipients):
        check_address(address)
    if not mail.given_source.isascii():
        # SES API reference, Destination: the name must be encoded words.
        # These words are ours.
        raise InvalidMail("The friendly name of the source is not ASCII.")


def check_address(address: str) -> None:
    """Raise InvalidMail with SES's words: an address is ASCII, its domain in Punycode."""
    local, at, domain = address.rpartition("@")
    if not at or not domain:
        raise InvalidMail("Missing final '@domain'")
    if not local:
        raise InvalidMail("Missing local name")
    if not local.isascii() or _SPACE.search(local):
        raise InvalidMail("Local address contains control or whitespace")
    if _SPACE.search(domain):
        raise InvalidMail("Domain contains control or whitespace")
    if not _DOMAIN.fullmatch(domain):
        raise InvalidMail("Domain contains illegal character")


def _verification_mail(identity: Identity, *, link: str, region: str) -> Mail:
    message = EmailMessage()
    message["From"] = "Amazon Web Services <no-reply-aws@amazon.com>"
    message["To"] = identity.name
    message["Subject"] = f"Email Address Verification Request in region {region}"
    message.set_content(
        "Somebody asked that this address may be used with SES. If that was you, open this link:\n\n"
        f"{link}\n\nIf not, do nothing."
    )
    message.add_alternative(
        '<div style="font-family:system-ui,sans-serif;max-width:32rem;margin:2rem auto;padding:0 1rem">'
        f"<p>Somebody asked that <b>{escape(identity.name)}</b> may be used with SES. "
        "If that was you, confirm it:</p>"
        f'<p><a href="{escape(link)}">Verify this address</a></p><p>If not, do nothing.</p></div>',
        subtype="html",
    )
    return Mail(message.as_bytes())
