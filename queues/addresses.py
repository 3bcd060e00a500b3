"""Read email addresses in one way everywhere: where the email goes, and which spellings mean the same mailbox.

What a person typed is kept to be shown. Two other forms are made from it:

- the *deliverable* form is what we send to: the part before the @ as typed, the domain in lower-case ASCII;
- the *key* is what we compare, search, limit and suppress by: the deliverable form in lower case. In theory a mail
  server may tell ``Ada@`` from ``ada@``; in practice none does.

Sources: RFC 5321, 2.3.5 and 4.5.3.1; RFC 5891 with the mapping of UTS 46, not transitional: with IDNA 2003 ``straße``
becomes ``strasse``, the domain of somebody else. SES API reference, Destination: the domain in Punycode, the name in
encoded words (RFC 2047), and only ASCII before the @.
"""

from __future__ import annotations

import re
import unicodedata
from email.header import Header
from email.utils import formataddr, parseaddr

import idna
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from queues import characters

MAX_LENGTH = 254
MAX_LOCAL = 64

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_TOP = r"(?:[a-z]{2,63}|xn--[a-z0-9-]{0,58}[a-z0-9])"
# A domain that receives email has a dot, and no number at its end: RFC 1123, 2.1, and RFC 3696, 2.
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+{_TOP}")
# UTS 46 leaves these out of a domain, and people paste them: invisible, but neither joiners, which can make another
# domain (RFC 5892, A.1 and A.2), nor marks of direction, which can make an address look like another one.
_PASTED = re.compile(
    "[\u00ad\u034f\u180b-\u180f\u200b\u2060-\u2064\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]"
)


class Undeliverable(ValueError):
    """No email can be sent to this address; the text says why, for the person who typed it."""


def deliverable(text: str) -> str:
    """Return the address that an email is sent to, all ASCII; raises Undeliverable."""
    local, at, domain = _without_pasted(text).rpartition("@")
    if not local.isascii() or "=?" in local or '"' in local:
        # A quoted local part may contain a comma or a line end. An encoded word (RFC 2047) becomes another address for
        # software that decodes it.
        raise Undeliverable(
            _(
                "Enter a plain email address, such as ada@example.com: before the @ only letters from a to z, digits"
                " and signs such as . - _ +."
            )
        )
    if not at or not _LOCAL.fullmatch(local):
        raise Undeliverable(_("Enter a valid email address."))
    found = f"{local}@{ascii_domain(domain)}"
    if len(local) > MAX_LOCAL or len(found) > MAX_LENGTH:
        raise Undeliverable(
            _(
                "The address is too long: at most %(local)d characters before the @, and %(all)d in all."
            )
            % {"local": MAX_LOCAL, "all": MAX_LENGTH}
        )
    return found


def ascii_domain(text: str) -> str:
    """Return a domain in lower-case ASCII, as DNS knows it; raises Undeliverable."""
    domain = text.lower() if text.isascii() else _without_pasted(text)
    if not domain.isascii() or "xn--" in domain:
        try:
            domain = idna.encode(domain, uts46=True, std3_rules=True, transitional=False).decode()
        except ValueError as exc:
            raise Undeliverable(_(_NO_DOMAIN)) from exc
    if len(domain) > 253 or not _DOMAIN.fullmatch(domain):
        raise Undeliverable(_(_NO_DOMAIN))
    return domain


def key(text: str) -> str:
    """Return the text by which addresses are compared; it is the same for all spellings of one mailbox. Never fails.

    An address that no email can be sent to has a key as well, so that it can be searched and listed.
    """
    text = text.strip()
    try:
        return deliverable(text).lower()
    except Undeliverable:
        local, at, domain = text.rpartition("@")
        # A letter may become several, and columns are as long as an address may be.
        return f"{_folded(local)}{at}{_domain_key(domain)}".strip()[:MAX_LENGTH].strip()


def kept(text: str) -> str:
    """Return the form in which a table keeps an address that it compares: in lower case it is the key. Never fails."""
    try:
        return deliverable(text.strip())
    except Undeliverable:
        return key(text)


def foreign_key(text: str) -> str | None:
    """Return the key of an address that has letters outside ASCII; None if lower case alone makes the key."""
    return None if text.isascii() else key(text)


def identity(name: str) -> str:
    """Return an address or a domain as SES names its identities: all ASCII; raises Undeliverable."""
    return deliverable(name) if "@" in name else ascii_domain(name)


def in_ascii(word: str) -> str:
    """Return a searched word in ASCII if it is an address or a domain, else as it is. Never fails."""
    try:
        return word if word.isascii() else identity(word)
    except Undeliverable:
        return word


def as_typed(text: str) -> str:
    """Return the address to show again: as typed, without space around it and without what a paste brought unseen."""
    return _without_pasted(text).strip()


def readable(address: str) -> str:
    """Return the address with its domain in the letters of its language, to show to people."""
    local, at, domain = address.rpartition("@")
    if "xn--" not in domain:
        return address
    try:
        return f"{local}{at}{idna.decode(domain)}"
    except ValueError:
        return address


def mailbox(text: str) -> str:
    """Return a From, To or Reply-To in ASCII, with its name in encoded words and its domain in Punycode.

    ASCII stays as it is. Raises Undeliverable.
    """
    if text.isascii():
        return text
    if "<" not in text:
        return deliverable(text)
    name, address = parseaddr(text)
    return named(name, deliverable(address))


def named(name: str, address: str) -> str:
    """Return a mailbox with a display name, which becomes encoded words (RFC 2047) if it is not ASCII."""
    if name.isascii():
        return formataddr((name, address))
    # Header breaks the line between two encoded words, and each has at most 75 characters.
    words = Header(name, "utf-8", maxlinelen=75).encode(linesep="")
    return f"{words} <{address}>"


def validate(value: str) -> None:
    """Raise Django's ValidationError, with a sentence for people, unless an email can be sent to this address."""
    try:
        deliverable(value)
    except Undeliverable as exc:
        raise ValidationError(str(exc), code="invalid") from exc


class AddressField(forms.EmailField):
    """A form's field for one address; its value is the address as typed, without what a paste brought unseen."""

    # Django's own check knows neither IDNA 2008 nor what SES takes.
    default_validators = [validate]

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**({"max_length": MAX_LENGTH} | kwargs))  # type: ignore[arg-type]  # Django's own

    def to_python(self, value: str | None) -> str | None:
        """Return the address as typed; an empty text stays empty."""
        return as_typed(super().to_python(value) or "")


_NO_DOMAIN = gettext_noop(
    "No email can be sent to this domain. Check the part after the @, such as example.com."
)


def _without_pasted(text: str) -> str:
    return text if text.isascii() else _PASTED.sub("", text)


def _folded(text: str) -> str:
    visible = unicodedata.normalize("NFKC", characters.without_invisible(text))
    return unicodedata.normalize("NFKC", visible.lower())


def _domain_key(domain: str) -> str:
    try:
        return ascii_domain(domain)
    except Undeliverable:
        return _folded(domain)
