"""Read a message as its producer wrote it, whether SNS delivered it raw or in a wrapper.

Format: SNS developer guide, "Parsing Amazon SNS message formats". Only one wrapper is taken off: a wrapper inside a
wrapper stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def unwrapped(
    body: str, attributes: Mapping[str, Any], *, key: str = "StringValue"
) -> tuple[str, dict[str, str]]:
    """Return body and text attributes of the message itself.

    ``key`` is the name under which an attribute outside a wrapper holds its text.
    """
    wrapper = _wrapper(body)
    if wrapper is None:
        return body, _texts(attributes, key=key)
    return wrapper["Message"], _texts(wrapper.get("MessageAttributes"), key="Value")


def _wrapper(body: str) -> dict[str, Any] | None:
    # Search the text first: hardly any message has a wrapper, and parsing JSON costs more.
    if '"TopicArn"' not in body or '"Notification"' not in body:
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("Type") != "Notification":
        return None
    is_ours = isinstance(value.get("Message"), str) and isinstance(value.get("TopicArn"), str)
    return value if is_ours else None


def _texts(attributes: object, *, key: str) -> dict[str, str]:
    found = attributes if isinstance(attributes, Mapping) else {}
    return {
        str(name): value[key]
        for name, value in found.items()
        if isinstance(value, Mapping) and isinstance(value.get(key), str)
    }
