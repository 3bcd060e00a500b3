"""Choose the From address of emails: the sender of their template or brand, else the default sender.

The default sender is that of the shop: the one that staff chose, else ``SES_FROM_EMAIL``.
"""

from __future__ import annotations

from email.header import decode_header, make_header
from email.utils import parseaddr
from functools import lru_cache

from django.conf import settings

from emails.ses import brands
from queues import addresses


def in_force(brand: str = brands.DEFAULT) -> str:
    """Return the From of a brand's emails in ASCII, with its display name; empty if there is none at all.

    While the database does not answer, the last known sender stays in force. Raises DatabaseError if none is known.
    """
    known = brands.in_force(brand)
    if known.address:
        name = known.display_name or ("" if brand == brands.DEFAULT else known.name)
        return _named(name, known.address)
    if brand == brands.DEFAULT:
        return _ascii(settings.SES_FROM_EMAIL)
    default = address()
    return default and _named(known.display_name or known.name, default)


def of(template: str) -> str:
    """Return the From of a template's emails in ASCII: its own sender, else that of its brand; see ``in_force``."""
    chosen = brands.own(template)
    if not chosen or not chosen.sender:
        return in_force(brands.of(template))
    name, address = parseaddr(chosen.sender)
    known = brands.in_force(brands.of(template))
    return _named(name or known.display_name or known.name, address)


def address(brand: str = brands.DEFAULT) -> str:
    """Return the bare address of a brand's sender in force."""
    return _address(in_force(brand))


def readable(brand: str = brands.DEFAULT) -> str:
    """Return a brand's sender in force for people to read, with its name decoded."""
    return decoded(in_force(brand))


def decoded(sender: str) -> str:
    """Return a From for people to read."""
    name, address = parseaddr(sender)
    name = str(make_header(decode_header(name)))
    return f"{name} <{address}>" if name else address


def addresses_in_force() -> list[str]:
    """Return the bare address of every sender of brands and templates, each once, the default sender first."""
    found = [address(), *map(address, brands.known()), *map(_address, brands.own_senders())]
    return [each for each in dict.fromkeys(found) if each]


def contact(brand: str = brands.DEFAULT) -> str:
    """Return the address to which a customer of this brand may write."""
    known = brands.in_force(brand)
    return known.support or known.reply_to or address(brand)


@lru_cache(256)
def _named(name: str, address: str) -> str:
    return _ascii(addresses.named(name, address))


@lru_cache(256)
def _address(sender: str) -> str:
    return parseaddr(sender)[1]


@lru_cache(256)
def _ascii(sender: str) -> str:
    """Return the sender as SES takes it; a sender that is wrong stays, and SES's refusal names it."""
    try:
        return addresses.mailbox(sender)
    except ValueError:
        return sender
