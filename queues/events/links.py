"""Let the links of an event lead only to hosts of ours: whoever may write to a queue must not make us send phishing."""

from __future__ import annotations

import re
from collections.abc import Set
from functools import lru_cache
from typing import Annotated
from urllib.parse import urlsplit

from django.conf import settings
from pydantic import AfterValidator, Field

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PORT = re.compile(r":[0-9]*$")
# Browsers read more than this as an address; what we cannot read exactly as they do we refuse: user names, backslashes,
# percent signs and letters of other alphabets in the host, white space and control characters anywhere.
is_plain = re.compile(
    r"(https?)://([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?(?:[/?#][^\s\\\x00-\x20\x7f-\xa0]*)?",
    re.IGNORECASE,
).fullmatch
# One entry of LINK_HOSTS.
is_host = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE
).fullmatch


def allowed_hosts() -> frozenset[str]:
    """Return the host of BASE_URL and those of LINK_HOSTS, in lower case; one with a port allows that port only."""
    return _allowed(settings.BASE_URL, tuple(settings.LINK_HOSTS))


@lru_cache(1)
def _allowed(base_url: str, hosts: tuple[str, ...]) -> frozenset[str]:
    base = urlsplit(base_url).netloc.lower()
    return frozenset((_PORT.sub("", base), *map(str.lower, hosts)))


def check(url: str, *, hosts: Set[str] | None = None) -> str:
    """Return the address; raises ValueError, naming the host, if it does not lead to one of the allowed hosts."""
    allowed = allowed_hosts() if hosts is None else hosts
    found = is_plain(url)
    scheme, host, port = found.groups() if found else ("", "", None)
    host = host.lower()
    ways = {host, f"{host}:{int(port) if port else _DEFAULT_PORTS.get(scheme.lower())}"}
    if not found or int(port or 0) > 65_535 or ways.isdisjoint(allowed):
        raise ValueError(
            f"a link may not lead to {_named(url)}: its host is neither BASE_URL's nor in LINK_HOSTS"
        )
    return url


# The address of a page, for every link in the data of an event.
Url = Annotated[
    str,
    Field(max_length=2000, pattern=r"^https?://\S+$", json_schema_extra={"format": "uri"}),
    AfterValidator(check),
]


def _named(url: str) -> str:
    """Return where a browser would go, short and printable; the rest of a link may be secret."""
    authority = re.split(r"[/\\?#]", re.sub(r"^[^/\\]*[/\\]+", "", url), maxsplit=1)[0]
    return ascii(authority.rpartition("@")[2][:100]).strip("'\"") or "nothing"
