"""Make UUIDs of version 7 (RFC 9562): unique ids that sort by time. Python has them from 3.14."""

from __future__ import annotations

import os
import time
import uuid
from datetime import datetime


def uuid7() -> uuid.UUID:
    """Make a new id: 48 bits of Unix milliseconds, then 74 random bits."""
    value = int(time.time() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 7 << 76
    return uuid.UUID(int=value & ~(0b11 << 62) | 0b10 << 62)


def first_of(at: datetime) -> uuid.UUID:
    """Return the lowest id of this millisecond: ids that are made from then on are not lower."""
    value = int(at.timestamp() * 1000) << 80 | 7 << 76 | 0b10 << 62
    return uuid.UUID(int=value)
