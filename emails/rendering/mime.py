"""Write an email of text and HTML directly as bytes: byte for byte what Django writes, in a tenth of its time.

We write only simple emails here. Django and Python encode a header that is long or not ASCII. Django writes a part
whose lines are too long for any server, and an email of any other kind.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from email.errors import MessageError
from email.policy import Policy, compat32
from email.utils import formatdate, make_msgid
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.mail import DNS_NAME, EmailMultiAlternatives
from django.core.mail.message import SafeMIMEText, forbid_multi_line_headers

from emails.errors import Unwritable
from queues import addresses

# No person wrote the email, so no holiday notice should answer it: RFC 3834, section 5.
AUTOMATIC = {"Auto-Submitted": "auto-generated"}
_CRLF = "\r\n"
# RFC 5322: the name of a header has no colon and no space.
_NAME = re.compile(r"[!-9;-~]+")
# Django refuses line feeds and carriage returns. Python also breaks a header's lines at these when it folds them
# (str.splitlines), and the rest of the header would end in the body.
_BREAKS = re.compile("[\x0b\x0c\x1c-\x1e]")
# Python folds a line of ASCII only if name and value together are too long.
_FOLDED_FROM = 76
# The longest line that RFC 5322 allows, without the line break.
LONGEST_LINE = 998
_FOLDING = compat32.clone(linesep=_CRLF)
# An extra header with one of these names would stand beside our own, or replace it.
_OURS = {"from", "to", "cc", "reply-to", "date", "message-id"}


class Html(str):
    """HTML that knows its bytes in an email: with ``\\r\\n`` between lines, none of which is too long."""

    content: bytes

    def __new__(cls, html: str, content: bytes) -> Html:
        """Make a text with its content."""
        made = super().__new__(cls, html)
        made.content = content
        return made

    def __getnewargs__(self) -> tuple[str, bytes]:  # type: ignore[override]  # as __new__ takes them
        """Let a copy be made."""
        return str(self), self.content


class Written:
    """A written email with the one method that django-ses and Django's backends call.

    Since Django 6 they choose the line ends with a policy.
    """

    def __init__(self, content: bytes, policy: Policy[Any] | None) -> None:
        self._content = content
        self._policy = policy

    def as_bytes(
        self, unixfrom: bool = False, linesep: str = "", policy: Policy[Any] | None = None
    ) -> bytes:
        """Return the whole email; ``unixfrom`` belongs to Python's interface and is ignored."""
        policy = policy or self._policy
        linesep = linesep or (policy.linesep if policy else "\n")
        if linesep == _CRLF:
            return self._content
        return self._content.replace(b"\r\n", linesep.encode())


class Email(EmailMultiAlternatives):
    """Django's email, written faster if it has a text, and HTML as its only alternative.

    Its addresses and their names are ASCII for headers and transports alike; Django would encode them by IDNA 2003.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.from_email = _mailbox(self.from_email)
        for name in ("to", "cc", "bcc", "reply_to"):
            setattr(self, name, [_recipient(each) for each in getattr(self, name)])

    def message(self, *, policy: Policy[Any] | None = None) -> Any:
        """Return the written email; raises Unwritable if that is impossible. No text can add a header of its own."""
        try:
            self._refuse_headers()
            if self._is_simple():
                return self._written(policy)
            return super().message(**({"policy": policy} if policy else {}))
        except (ValueError, MessageError) as exc:
            raise Unwritable(str(exc)) from exc

    def _refuse_headers(self) -> None:
        found = {"From": [self.from_email], "To": self.recipients(), "Reply-To": self.reply_to}
        for name, mailboxes in found.items():
            if not all(map(str.isascii, mailboxes)):
                raise Unwritable(f"no email can be sent with the address in {name}")
        for name in self.extra_headers:
            if not _NAME.fullmatch(name):
                raise Unwritable(f"{name!r} is not the name of a header")
        given = (*self.to, *self.reply_to, *self.extra_headers.values())
        values = [*map(str, (self.subject, self.from_email, *given))]
        # Hardly any header has a control character at all.
        for value in () if "".join(values).isprintable() else values:
            # Text that is not ASCII is encoded whole.
            if value.isascii() and _BREAKS.search(value):
                raise Unwritable(
                    f"a header has a control character that breaks its line: {value!r}"
                )

    def _is_simple(self) -> bool:
        kinds = [kind for _, kind in self.alternatives]
        return (
            bool(self.body)
            and kinds == ["text/html"]
            and not (self.attachments or self.cc or self.encoding)
            and self.content_subtype == "plain"
            and settings.DEFAULT_CHARSET == "utf-8"
            and _OURS.isdisjoint(map(str.lower, self.extra_headers))
        )

    def _written(self, policy: Policy[Any] | None) -> Written:
        # We make the boundary as Python does. Nobody can guess it, so no text contains it.
        boundary = f"{'=' * 15}{secrets.randbelow(10**19):019}=="
        [(html, _)] = self.alternatives
        between = f"{_CRLF}--{boundary}".encode()
        return Written(
            b"".join(
                (
                    f'Content-Type: multipart/alternative;{_CRLF} boundary="{boundary}"'.encode(),
                    b"\r\nMIME-Version: 1.0\r\n",
                    *(_header(name, str(value)) for name, value in self._lines()),
                    between,
                    _part(str(self.body), "plain"),
                    between,
                    _part(html if isinstance(html, Html) else str(html), "html"),
                    between,
                    b"--\r\n",
                )
            ),
            policy,
        )

    def _lines(self) -> Iterator[tuple[str, Any]]:
        yield "Subject", self.subject
        yield "From", self.from_email
        if self.to:
            yield "To", ", ".join(map(str, self.to))
        if self.reply_to:
            yield "Reply-To", ", ".join(map(str, self.reply_to))
        yield "Date", _date(int(time.time()), settings.EMAIL_USE_LOCALTIME)
        yield "Message-ID", make_msgid(domain=str(DNS_NAME))
        yield from self.extra_headers.items()


@lru_cache(2)
def _date(second: int, is_local: bool) -> str:
    return formatdate(second, localtime=is_local)


def _recipient(address: Any) -> str:
    """Return where an email to this address goes; an impossible address stays, and ``message`` refuses it."""
    try:
        return addresses.deliverable(str(address))
    except addresses.Undeliverable:
        return _mailbox(address)


def _mailbox(address: Any) -> str:
    try:
        return addresses.mailbox(str(address))
    except ValueError:
        return str(address)


def _header(name: str, value: str) -> bytes:
    if name.lower().startswith("list-"):
        return _list_header(name, value)
    if len(name) + len(value) + 2 < _FOLDED_FROM and value.isascii() and value.isprintable():
        return f"{name}: {value}{_CRLF}".encode()
    return _FOLDING.fold_binary(*forbid_multi_line_headers(name, value, "utf-8"))


def _list_header(name: str, value: str) -> bytes:
    """Write a header of addresses in ``<>`` (RFC 2369) so that no address is broken or encoded.

    Python breaks long lines at commas and semicolons inside an address too, and since Django 6 it encodes a long
    address as no mail program reads it.
    """
    lines = [f"{name}:"]
    for word in value.split():
        if len(lines[-1]) + len(word) + 1 > _FOLDED_FROM and lines[-1] != f"{name}:":
            lines.append("")
        lines[-1] += f" {word}"
    if not (value.isascii() and value.isprintable()) or max(map(len, lines)) > LONGEST_LINE:
        raise Unwritable(f"{name} must be ASCII, in words that fit into a line")
    return f"{_CRLF.join(lines)}{_CRLF}".encode()


def _part(text: str, kind: str) -> bytes:
    """Return one part of the email, beginning with the line break that ends its boundary."""
    if isinstance(text, Html):
        content = text.content
    else:
        content = text.encode().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if len(content) > LONGEST_LINE < max(map(len, content.split(b"\n"))):
            return b"\r\n" + SafeMIMEText(text, kind, "utf-8").as_bytes(linesep=_CRLF)
        content = content.replace(b"\n", b"\r\n")
    bits = 7 if text.isascii() else 8
    head = (
        f'{_CRLF}Content-Type: text/{kind}; charset="utf-8"{_CRLF}'
        f"MIME-Version: 1.0{_CRLF}Content-Transfer-Encoding: {bits}bit{_CRLF}{_CRLF}"
    )
    return head.encode() + content
