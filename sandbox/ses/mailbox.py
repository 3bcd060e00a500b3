"""Keep the mails that SES accepted, as a recipient would read them."""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.utils import getaddresses, parseaddr
from functools import cached_property
from typing import Any

CAPACITY = 1_000


def new_message_id() -> str:
    """An id of the shape that SES gives: the time, a UUID and a counter."""
    return f"0102{time.time_ns() // 1_000_000:012x}-{uuid.uuid4()}-000000"


@dataclass(frozen=True)
class Mail:
    """One call to SES. ``given_*`` come from the call and win over the headers, as in SES."""

    raw: bytes
    given_source: str = ""
    given_recipients: tuple[str, ...] = ()
    given_configuration_set: str = ""
    given_tags: dict[str, str] = field(default_factory=dict)
    # As its configuration set asked when SES accepted it: ``open``, ``click``; and in which region that was.
    tracked: frozenset[str] = frozenset()
    region: str = ""
    id: str = field(default_factory=new_message_id)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def message(self) -> Message:
        """The parsed MIME message."""
        return message_from_bytes(self.raw)

    @property
    def source(self) -> str:
        """The sender as written, with its display name."""
        return _readable(self.given_source) or self.header("From")

    @property
    def sender(self) -> str:
        """The sender's bare address."""
        return parseaddr(self.source)[1]

    @cached_property
    def recipients(self) -> list[str]:
        """The bare addresses that get the mail, each once."""
        fields = self.given_recipients or [
            str(value) for name in ("To", "Cc", "Bcc") for value in self.message.get_all(name, [])
        ]
        addresses = [address for _, address in getaddresses(list(fields)) if address]
        return list({address.lower(): address for address in reversed(addresses)}.values())[::-1]

    @property
    def configuration_set(self) -> str:
        """The name of the configuration set, or an empty text."""
        return self.given_configuration_set or self.header("X-SES-CONFIGURATION-SET")

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the call and of the header ``X-SES-MESSAGE-TAGS: name=value, name=value``."""
        pairs = (
            pair.partition("=") for pair in self.header("X-SES-MESSAGE-TAGS").split(",") if pair
        )
        return {name.strip(): value.strip() for name, _, value in pairs} | self.given_tags

    @property
    def subject(self) -> str:
        """Decoded, on one line."""
        return " ".join(self.header("Subject").split())

    @property
    def headers(self) -> list[dict[str, str]]:
        """Return the headers in their order, decoded."""
        return [
            {"name": name, "value": _readable(str(value))} for name, value in self.message.items()
        ]

    def header(self, name: str) -> str:
        """The first header of that name, decoded; empty if there is none."""
        return _readable(str(self.message.get(name, "")))

    def body(self, content_type: str) -> str:
        """The first part of that type that is no attachment, decoded; empty if there is none."""
        for part in self.message.walk():
            if part.get_content_type() == content_type and not part.get_filename():
                return _decoded(part)
        return ""

    @property
    def attachments(self) -> list[dict[str, Any]]:
        """Name, type and size in bytes of each attachment."""
        return [
            {
                "name": _readable(part.get_filename() or ""),
                "type": part.get_content_type(),
                "bytes": len(_payload(part)),
            }
            for part in self.message.walk()
            if part.get_filename()
        ]

    def summary(self) -> dict[str, Any]:
        """One line of the mailbox, for JSON."""
        return {
            "id": self.id,
            "time": self.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "from": self.source,
            "to": self.recipients,
            "subject": self.subject,
            "configuration_set": self.configuration_set,
            "tags": self.tags,
            "tracked": sorted(self.tracked),
        }

    def detail(self) -> dict[str, Any]:
        """The whole mail, for JSON. SES removes the ``X-SES-`` headers: they are ``instructions``."""
        return self.summary() | {
            "html": self.body("text/html"),
            "text": self.body("text/plain"),
            "headers": [each for each in self.headers if not _is_instruction(each["name"])],
            "instructions": [each for each in self.headers if _is_instruction(each["name"])],
            "attachments": self.attachments,
            "raw": self.raw.decode("utf-8", "replace"),
        }


class Mailbox:
    """The newest mails, bounded."""

    def __init__(self) -> None:
        self._mails: deque[Mail] = deque(maxlen=CAPACITY)
        self._lock = threading.Lock()

    def add(self, mail: Mail) -> None:
        """Deliver; the oldest mail makes room."""
        with self._lock:
            self._mails.append(mail)

    def newest_first(self) -> list[Mail]:
        """Return the mails, newest first."""
        with self._lock:
            return list(reversed(self._mails))

    def get(self, mail_id: str) -> Mail | None:
        """The mail with this SES message id."""
        return next((mail for mail in self.newest_first() if mail.id == mail_id), None)

    def clear(self) -> None:
        """Throw everything away."""
        with self._lock:
            self._mails.clear()


def everybody(destination: dict[str, list[str]]) -> list[str]:
    """Return the recipients of an SES ``Destination``: To, Cc and Bcc."""
    return [
        address
        for key in ("ToAddresses", "CcAddresses", "BccAddresses")
        for address in destination.get(key) or []
    ]


def compose(
    *,
    source: str,
    destination: dict[str, list[str]],
    reply_to: list[str],
    subject: str,
    text: str,
    html: str,
) -> bytes:
    """The MIME message that SES makes of a simple one."""
    message = EmailMessage()
    for name, value in (
        ("From", source),
        ("To", ", ".join(destination.get("ToAddresses") or [])),
        ("Cc", ", ".join(destination.get("CcAddresses") or [])),
        ("Reply-To", ", ".join(reply_to)),
        ("Subject", " ".join(subject.split())),
    ):
        if value:
            message[name] = value
    message.set_content(text or "")
    if html:
        message.add_alternative(html, subtype="html")
    return message.as_bytes()


def _is_instruction(header: str) -> bool:
    return header.upper().startswith("X-SES-")


def _readable(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, ValueError):
        return value


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _decoded(part: Message) -> str:
    charset = part.get_content_charset() or "utf-8"
    try:
        return _payload(part).decode(charset, "replace")
    except LookupError:
        return _payload(part).decode("utf-8", "replace")
