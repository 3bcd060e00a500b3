"""Personal data, masked for those who may look after the platform but not into what customers did.

The right to see it is ``notifier.view_pii``. Without it the admin shows addresses by their first letters and their
ending, and of an event's data the keys alone.
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
    """Whether this user must not see personal data."""
    return not request.user.has_perm(PERMISSION)


def addresses(text: str) -> str:
    """Hide every email address but its first letters and its ending: ``a***@e***.com``."""
    return _ADDRESS.sub(r"\1***@\2***\3", text) if "@" in text else text


def values(value: Any) -> Any:
    """The same JSON with every text and number masked: its keys say what is there."""
    try:
        return json.loads(addresses(json.dumps(_masked(value))))
    except RecursionError:
        return MASK


def body(text: str) -> str:
    """A message body without what it says of people: of an envelope what and whose it is, else next to nothing."""
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
