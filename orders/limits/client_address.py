"""Find the trustworthy address of a caller: anybody can send an ``X-Forwarded-For`` of their own."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest

_IPV6_CUSTOMER = 64


def of(request: HttpRequest) -> IPv4Address | IPv6Address | None:
    """Return the address that called the outermost of our TRUSTED_PROXIES; None for a Unix socket."""
    told = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",")]
    # With fewer addresses than proxies, the request has bypassed a proxy.
    if 0 < settings.TRUSTED_PROXIES <= len(told):
        address = _parsed(told[-settings.TRUSTED_PROXIES])
        if address is not None:
            return address
    return _parsed(request.META.get("REMOTE_ADDR", ""))


def origin(request: HttpRequest) -> str:
    """Return the caller as limits count it: an IPv4 address, or an IPv6 /64 network, as one caller has all of it.

    Empty means this machine.
    """
    address = of(request)
    if isinstance(address, IPv6Address):
        return f"{_cut(address, _IPV6_CUSTOMER)}/{_IPV6_CUSTOMER}"
    return str(address or "")


def masked(origin: str) -> str:
    """Return the origin for the log: a network so large that it belongs to many customers."""
    address = _parsed(origin.partition("/")[0])
    if address is None:
        return "this machine"
    bits = 24 if isinstance(address, IPv4Address) else 48
    return f"{_cut(address, bits)}/{bits}"


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _cut(address: IPv4Address | IPv6Address, bits: int) -> IPv4Address | IPv6Address:
    rest = address.max_prefixlen - bits
    return type(address)(int(address) >> rest << rest)
