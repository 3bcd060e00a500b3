"""The file of what SES accepted: one JSON line an email, appended with one write."""

from __future__ import annotations

import email
import json
import os
import re
import time
from dataclasses import asdict, dataclass
from email.header import decode_header, make_header
from email.message import Message
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
    subject: str = ""


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
    # Of the old policy: the new one takes as long for headers that nobody reads as all the rest of the stub.
    message = email.message_from_bytes(raw)
    tags = dict(
        part.strip().split("=", 1)
        for part in message.get("X-SES-MESSAGE-TAGS", "").split(",")
        if "=" in part
    )
    subject = str(make_header(decode_header(message.get("Subject", ""))))
    number = _NUMBER.search(subject) or _NUMBER.search(_text(message))
    return Acceptance(
        time=time.time(),
        message_id=message_id,
        recipient=recipient_of(raw),
        number=number[0] if number else "",
        nid=tags.get("nid", ""),
        att=tags.get("att", ""),
        subject=subject,
    )


def _text(message: Message) -> str:
    parts = (part for part in message.walk() if part.get_content_type() == "text/plain")
    content = next(parts, message).get_payload(decode=True)
    return content.decode(errors="replace") if isinstance(content, bytes) else ""
