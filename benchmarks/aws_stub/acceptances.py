"""The file of what SES accepted: one JSON line an email, appended with one write."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

# The number of an order stands in its email's subject, that of a transaction in the text.
_NUMBER = re.compile(r"\b(?:ORD|TXN)-\d+\b")


@dataclass(frozen=True)
class Acceptance:
    """An email that SES took. ``nid`` and ``att`` are our tags, ``number`` is what it is about."""

    time: float
    message_id: str
    recipient: str
    number: str
    nid: str
    att: str


class Acceptances:
    """Appends; what is written stands, whatever dies afterwards."""

    def __init__(self, path: Path) -> None:
        self.count = 0
        self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)

    def add(self, raw: bytes, *, message_id: str) -> Acceptance:
        """Read the email and write it down."""
        acceptance = _read(raw, message_id)
        os.write(self._file, f"{json.dumps(asdict(acceptance))}\n".encode())
        self.count += 1
        return acceptance


def recipient_of(raw: bytes) -> str:
    """The address in the header To."""
    found = re.search(rb"^To: *(\S+)", raw, re.MULTILINE | re.IGNORECASE)
    return found[1].decode() if found else ""


def _read(raw: bytes, message_id: str) -> Acceptance:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    tags = dict(
        part.strip().split("=", 1)
        for part in message.get("X-SES-MESSAGE-TAGS", "").split(",")
        if "=" in part
    )
    text = message.get_body(("plain",))
    content = f"{message['Subject']}\n{text.get_content() if text else ''}"
    number = _NUMBER.search(content)
    return Acceptance(
        time=time.time(),
        message_id=message_id,
        recipient=recipient_of(raw),
        number=number[0] if number else "",
        nid=tags.get("nid", ""),
        att=tags.get("att", ""),
    )
