"""Say where the links of a template may lead: to the hosts that links of events may lead to, and nowhere else."""

from __future__ import annotations

from collections.abc import Set
from html import unescape

from queues.events import links

# What stands for a value of the event in an address.
VALUE = "\ufffc"
# What stands for a whole address from the event, whose host was checked when the event came.
FIELD = "\ufffb"
_OTHER_WAYS = ("mailto:", "tel:")
_AFTER_HOST = ("/", "?", "#")


def refusal(address: str, hosts: Set[str]) -> str:
    """Return why an address of a template may not stay, as an attribute has it; empty if it may."""
    address = unescape(address)
    if address.startswith(FIELD):
        is_whole = len(address) == 1 or address[1] in "/?#&"
        return "" if is_whole else "text right after an address can change its host"
    if address.lower().startswith(_OTHER_WAYS):
        return ""
    if len(address) > 1 and address.startswith("#") and "\\" not in address:
        return ""
    if "://" not in address or address.startswith("/"):
        return f"{_shown(address)} is no whole http or https address"
    return _foreign(address, hosts)


def refusal_before_value(prefix: str, hosts: Set[str], *, is_link: bool) -> str:
    """Return why a value of the event may not follow this beginning of an address; empty if it may."""
    prefix = unescape(prefix)
    if not prefix:
        return "" if is_link else "only a field that is an address can be one"
    if prefix.lower().startswith(_OTHER_WAYS) or prefix.startswith("#"):
        return ""
    rest = prefix[1:] if prefix.startswith(FIELD) else prefix.partition("://")[2]
    if not any(sign in rest for sign in _AFTER_HOST):
        return "a value may follow an address only after its host and a slash"
    return refusal(prefix, hosts)


def _foreign(address: str, hosts: Set[str]) -> str:
    written = address.replace(VALUE, "0")
    try:
        links.check(written, hosts=hosts)
    except ValueError as exc:
        return str(exc)
    return ""


def _shown(address: str) -> str:
    return ascii(address[:60]) if address else "an empty address"
