"""Mask personal data for staff who run the platform but may not see customers' data.

The permission to see it is ``notifier.view_pii``. Without it the admin shows only the first letters and the ending of
an address, and only the keys of an event's data.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.http import HttpRequest

PERMISSION = "notifier.view_pii"
MASK = "***"

_ADDRESS = re.compile(
    r"([\w.!#$%&'*+/?^`{|}~-])[\w.!#$%&'*+/?^`{|}~-]*@\[?([\w-])[\w-]*((?:\.[\w-]+)*)"
)


def hides(request: HttpRequest) -> bool:
    """Return True if this user may not see personal data."""
    return not request.user.has_perm(PERMISSION)


def addresses(text: str) -> str:
    """Mask every email address in the text, except its first letters and its ending: ``a***@e***.com``."""
    return _ADDRESS.sub(r"\1***@\2***\3", text) if "@" in text else text


def domain(name: str) -> str:
    """Mask a domain as ``addresses`` masks that of an address: ``e***.com``."""
    return addresses(f"x@{name}").partition("@")[2] if name else ""


def values(value: Any) -> Any:
    """Return the same JSON with every text and number masked, so that only its keys can be read."""
    try:
        return json.loads(addresses(json.dumps(_masked(value))))
    except RecursionError:
        return MASK


def body(text: str) -> str:
    """Mask a message body; an envelope keeps the attributes that name no person, any other body almost nothing."""
    try:
        envelope = json.loads(text)
    except (ValueError, RecursionError):
        return f"{MASK} ({len(text)} characters, not JSON)"
    if not isinstance(envelope, dict):
        return json.dumps(values(envelope))
    told = {
        name: addresses(envelope[name]) for name in _TOLD if isinstance(envelope.get(name), str)
    }
    rest = {name: value for name, value in envelope.items() if name not in told}
    masked = values(rest)
    return json.dumps(told | (masked if isinstance(masked, dict) else {MASK: MASK}))


# The attributes of CloudEvents that name no person.
_TOLD = (
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "partitionkey",
    "traceparent",
)


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return value if value is None or isinstance(value, bool) else MASK
