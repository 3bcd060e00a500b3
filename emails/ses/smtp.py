"""Send through SES's SMTP interface with Django's own backend, for users who have no access to SES's API.

Sources: SES developer guide, "Using the Amazon SES SMTP interface", "SMTP response codes"; RFC 5321, 4.2 and 4.5.3.2.
SES accepts an email with its answer to the end of the data. Before we send that end, SES can have accepted nothing.
"""

from __future__ import annotations

import logging
import re
import smtplib
import ssl
import threading
import time
from functools import cache, partial
from typing import Any, cast

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

from emails.errors import InDoubt, NotSent, Refused, SendError, Throttled, Unavailable
from emails.ses import error_codes
from queues.registry import sweeps

logger = logging.getLogger(__name__)

# The server closes idle connections, and sending on a closed one costs a try.
IDLE_SECONDS = 20.0
# Answers that begin so mean "never": RFC 5321, 4.2.1.
REFUSED = "SMTP 5"
# Connections failed with these errors before anything was sent; the names are as failures record them.
NEVER_LEFT = {"ConnectionRefusedError", "SMTPServerDisconnected", "TimeoutError", "gaierror"}

_ID = re.compile(r"\bok:?\s+(?:queued as\s+)?([\w.@-]{1,100})", re.IGNORECASE)
_NO_ID = "none given"
_NO_SET = re.compile(r"configuration set\b.*\bdoes not exist", re.IGNORECASE)
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


class TooSlow(smtplib.SMTPException):
    """The server takes the email too slowly: our claim on it would end before the server's answer."""


class _Connection(smtplib.SMTP):
    """A connection that knows whether the end of the data was sent, and its deadline; it keeps the server's answer."""

    def __init__(self, *args: Any, deadline: float, **kwargs: Any) -> None:
        self.deadline = deadline
        self.is_ended = False
        self.answer = ""
        super().__init__(*args, **kwargs)

    def getreply(self) -> tuple[int, bytes]:
        """Wait for an answer until the deadline; for the answer that accepts the email, wait ``EMAIL_TIMEOUT``."""
        if self.sock is not None:
            left = settings.EMAIL_TIMEOUT if self.is_ended else self.deadline - time.monotonic()
            self.sock.settimeout(max(0.01, left))
        return super().getreply()

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Send the data in two parts: until the second is sent, SES cannot have accepted the email."""
        self.putcmd("data")
        code, text = self.getreply()
        if code != 354:
            raise smtplib.SMTPDataError(code, text)
        content = _LEADING_DOT.sub(b"..", msg)
        self.send(content if content.endswith(b"\r\n") else content + b"\r\n")
        if time.monotonic() > self.deadline:
            # We cut the connection without the end of the data: what the server has is no email.
            self.close()
            raise TooSlow("the server was too slow to take the email")
        self.is_ended = True
        self.send(b".\r\n")
        code, text = self.getreply()
        self.answer = text.decode(errors="replace")
        return code, text


class _Backend(EmailBackend):
    """Django's backend with our connection; it sends the password only after STARTTLS."""

    connection: _Connection | None
    _partial_connection: _Connection | None

    def __init__(self, *, deadline: float) -> None:
        super().__init__(timeout=max(0.01, deadline - time.monotonic()))
        self.deadline = deadline

    @property
    def connection_class(self) -> Any:
        """The class of connections; Django calls it with host and port."""
        return partial(_Connection, deadline=self.deadline)

    @property
    def ssl_context(self) -> ssl.SSLContext:  # shared, because making one reads a large file
        """The TLS settings; they trust the certificates that this machine trusts."""
        return _ssl_context()

    def begin(self, deadline: float) -> _Connection:
        """Begin another email on the open connection; it must be sent by ``deadline``."""
        connection = cast("_Connection", self.connection)
        connection.deadline = deadline
        connection.is_ended, connection.answer = False, ""
        return connection

    def drop(self) -> None:
        """Close the connections without saying goodbye: a silent server would keep us waiting."""
        for connection in (self.connection, self._partial_connection):
            if connection is not None:
                connection.close()
        self.connection = self._partial_connection = None


class _Idle:
    """Open connections that no thread uses now; never more of them than threads that sent at once."""

    def __init__(self) -> None:
        self._backends: list[tuple[float, _Backend]] = []
        self._lock = threading.Lock()

    def take(self) -> _Backend | None:
        """Return the connection that was used last; None if there is none."""
        self.close_old()
        with self._lock:
            return self._backends.pop()[1] if self._backends else None

    def give(self, backend: _Backend) -> None:
        """Keep a connection for the next email of any thread."""
        with self._lock:
            self._backends.append((time.monotonic(), backend))

    def close_old(self, *, seconds: float = IDLE_SECONDS) -> int:
        """Close the connections that nobody has used for so many seconds; returns how many."""
        until = time.monotonic() - seconds
        with self._lock:
            old = [backend for since, backend in self._backends if since <= until]
            self._backends = [each for each in self._backends if each[0] > until]
        for backend in old:
            backend.drop()
        return len(old)


_idle = _Idle()


def send(message: EmailMessage) -> str:
    """Send one email over SMTP and return SES's message id; raises NotSent, Refused or InDoubt.

    If the server has closed an idle connection meanwhile, nothing was sent on it: we open another one, once.
    """
    deadline = time.monotonic() + settings.EMAIL_TIMEOUT
    backend = _idle.take()
    if backend is not None:
        try:
            return _send(backend, message, deadline)
        except NotSent as exc:
            if exc.code not in ("SMTPServerDisconnected", "SMTP 421"):
                raise
            logger.info("the server ended an idle connection: %s", exc)
    return _send(_opened(deadline), message, deadline)


def require_login() -> None:
    """Raise SendError while the server does not let us log in."""
    _idle.give(_opened(time.monotonic() + settings.EMAIL_TIMEOUT))


@sweeps
def close_idle() -> int:
    """Close connections that were idle for long; returns 0, because no row changes."""
    _idle.close_old()
    return 0


def forget_connections() -> None:
    """Close all idle connections, and read the machine's trusted certificates again."""
    _idle.close_old(seconds=0)
    _ssl_context.cache_clear()


@cache
def _ssl_context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _opened(deadline: float) -> _Backend:
    backend = _Backend(deadline=deadline)
    try:
        backend.open()
    except (smtplib.SMTPException, OSError, ValueError) as exc:
        backend.drop()
        raise _not_opened(exc) from exc
    return backend


def _send(backend: _Backend, message: EmailMessage, deadline: float) -> str:
    connection = backend.begin(deadline)
    try:
        backend.send_messages([message])
    except (smtplib.SMTPException, OSError, ValueError) as exc:
        _release(backend, is_good=_is_answer(exc) and connection.sock is not None)
        raise _not_accepted(exc, sender=message.from_email, is_ended=connection.is_ended) from exc
    _release(backend, is_good=True)
    found = _ID.search(connection.answer)
    return found[1] if found else _NO_ID


def _release(backend: _Backend, *, is_good: bool) -> None:
    if is_good:
        _idle.give(backend)
    else:
        backend.drop()


def _is_answer(exc: BaseException) -> bool:
    """Return True if the error is a proper SMTP answer: then the connection may be used again."""
    return (
        isinstance(exc, smtplib.SMTPRecipientsRefused)
        or isinstance(exc, smtplib.SMTPResponseException)
        and 400 <= exc.smtp_code < 600
    )


def _not_opened(exc: Exception) -> SendError:
    code, text = type(exc).__name__, str(exc)
    if isinstance(exc, smtplib.SMTPNotSupportedError):
        return Unavailable(
            f"{text} Neither the password nor an email was sent.",
            code=code,
            breaker="configuration",
        )
    if isinstance(exc, ssl.SSLCertVerificationError):
        # Somebody may renew the machine's certificates while this process runs.
        _ssl_context.cache_clear()
        return Unavailable(text, code=code, breaker="configuration")
    if isinstance(exc, smtplib.SMTPResponseException):
        return _answered(exc, sender="", while_opening=True)
    return NotSent(text, code=code)


def _not_accepted(exc: Exception, *, sender: str, is_ended: bool) -> SendError:
    code, text = type(exc).__name__, str(exc)
    if _is_answer(exc):
        return _answered(exc, sender=sender)
    if is_ended:
        return InDoubt(text, code=code)
    if isinstance(exc, ValueError):
        return Refused(text, code=code)
    return NotSent(text, code=code)


def _answered(exc: Exception, *, sender: str, while_opening: bool = False) -> SendError:
    """Turn an SMTP answer into our error; where SES says the same as by its API, it becomes the same error."""
    number, text = _answer(exc)
    code = f"SMTP {number}"
    lower = text.lower()
    if number == 454 and "throttling" in lower:
        return error_codes.answered("Throttling", text, 400, sender=sender)
    if number == 421 and "too many" in lower:
        return Throttled(text, code=code)
    if number in (530, 534, 535, 538) or (number == 454 and while_opening):
        return Unavailable(text, code=code, breaker="configuration")
    if error_codes.says_stopped(text):
        return Unavailable(text, code=code, breaker="account")
    if "access denied" in lower or "not authorized" in lower or _NO_SET.search(text):
        return Unavailable(text, code=code, breaker="configuration")
    if error_codes.names_unverified(text):
        return error_codes.answered("MessageRejected", text, 400, sender=sender)
    return Refused(text, code=code) if number >= 500 else NotSent(text, code=code)


def _answer(exc: Any) -> tuple[int, str]:
    """Return the number and the text of an answer; if there are several recipients, those of the first."""
    number, text = (
        next(iter(exc.recipients.values()))
        if isinstance(exc, smtplib.SMTPRecipientsRefused)
        else (exc.smtp_code, exc.smtp_error)
    )
    return number, text.decode(errors="replace") if isinstance(text, bytes) else str(text)
