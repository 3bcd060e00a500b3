"""Read fields of SES's answers, and raise where one is missing or is not what SES's model says.

The SDK hands on whatever JSON it got: an emulator, or a proxy that answers in SES's place, may send anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any


def flag(answer: Mapping[str, Any], name: str) -> bool:
    """Return a boolean; raises KeyError or TypeError."""
    found = answer[name]
    if not isinstance(found, bool):
        raise TypeError(f"{name} is no boolean")
    return found


def number(answer: Mapping[str, Any], name: str) -> float:
    """Return a finite number; raises KeyError or TypeError."""
    found = answer[name]
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found):
        raise TypeError(f"{name} is no number")
    return found


def text(answer: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return a text; ``default`` where the field is missing or null. Raises KeyError or TypeError."""
    found = answer[name] if default is None else answer.get(name)
    if found is None and default is not None:
        return default
    if not isinstance(found, str):
        raise TypeError(f"{name} is no text")
    return found


def items(answer: Mapping[str, Any], name: str) -> list[Any]:
    """Return a list, empty where the field is missing or null; raises TypeError."""
    found = answer.get(name)
    if found is None:
        return []
    if isinstance(found, (str, Mapping)) or not isinstance(found, Iterable):
        raise TypeError(f"{name} is no list")
    return list(found)
