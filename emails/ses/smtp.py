"""SES's SMTP interface, through Django's own backend: the way for whoever has no access to SES's API.

Sources: SES developer guide, "Using the Amazon SES SMTP interface", "SMTP response codes"; RFC 5321, 4.2 and 4.5.3.2.
SES accepts an email with its answer to the end of the data. Before that end was sent nothing can have been accepted.
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

# A server ends what is idle, and a connection that it ended costs a try.
IDLE_SECONDS = 20.0
# Of answers that say "never": RFC 5321, 4.2.1.
REFUSED = "SMTP 5"
# The names of errors of connections on which nothing was sent, as failures record them.
NEVER_LEFT = {"ConnectionRefusedError", "SMTPServerDisconnected", "TimeoutError", "gaierror"}

_ID = re.compile(r"\bok:?\s+(?:queued as\s+)?([\w.@-]{1,100})", re.IGNORECASE)
_NO_ID = "none given"
_PAUSED = re.compile(
    r"sending (is )?(paused|suspended|disabled)|account (is )?(paused|suspended)", re.IGNORECASE
)
_NO_SET = re.compile(r"configuration set\b.*\bdoes not exist", re.IGNORECASE)
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


class TooSlow(smtplib.SMTPException):
    """The claim on the email would end before the server's answer."""


class _Connection(smtplib.SMTP):
    """Knows whether the end of the data was sent, and by when it must have been; keeps the answer to it."""

    def __init__(self, *args: Any, deadline: float, **kwargs: Any) -> None:
        self.deadline = deadline
        self.is_ended = False
        self.answer = ""
        super().__init__(*args, **kwargs)

    def getreply(self) -> tuple[int, bytes]:
        """Wait no longer than the deadline; for the answer that counts, as long as SES may take."""
        if self.sock is not None:
            left = settings.EMAIL_TIMEOUT if self.is_ended else self.deadline - time.monotonic()
            self.sock.settimeout(max(0.01, left))
        return super().getreply()

    def data(self, msg: Any) -> tuple[int, bytes]:
        """In two parts: until the second is sent, whatever happens nothing was accepted."""
        self.putcmd("data")
        code, text = self.getreply()
        if code != 354:
            raise smtplib.SMTPDataError(code, text)
        content = _LEADING_DOT.sub(b"..", msg)
        self.send(content if content.endswith(b"\r\n") else content + b"\r\n")
        if time.monotonic() > self.deadline:
            # Cut, not ended: what was sent so far is no email.
            self.close()
            raise TooSlow("the server was too slow to take the email")
        self.is_ended = True
        self.send(b".\r\n")
        code, text = self.getreply()
        self.answer = text.decode(errors="replace")
        return code, text


class _Backend(EmailBackend):
    """Django's, with our connection; STARTTLS comes before the password, or neither is sent."""

    connection: _Connection | None
    _partial_connection: _Connection | None

    def __init__(self, *, deadline: float) -> None:
        super().__init__(timeout=max(0.01, deadline - time.monotonic()))
        self.deadline = deadline

    @property
    def connection_class(self) -> Any:
        """Called with host and port."""
        return partial(_Connection, deadline=self.deadline)

    @property
    def ssl_context(self) -> ssl.SSLContext:  # one for all: it reads a large file
        """Trusts whom the machine trusts."""
        return _ssl_context()

    def begin(self, deadline: float) -> _Connection:
        """Another email, by this time, on the connection that is open."""
        connection = cast("_Connection", self.connection)
        connection.deadline = deadline
        connection.is_ended, connection.answer = False, ""
        return connection

    def drop(self) -> None:
        """Without a word: of a server that does not answer none is waited for."""
        for connection in (self.connection, self._partial_connection):
            if connection is not None:
                connection.close()
        self.connection = self._partial_connection = None


class _Idle:
    """Open connections that no thread uses now; there are never more than threads that sent at once."""

    def __init__(self) -> None:
        self._backends: list[tuple[float, _Backend]] = []
        self._lock = threading.Lock()

    def take(self) -> _Backend | None:
        """The one used last, or None."""
        self.close_old()
        with self._lock:
            return self._backends.pop()[1] if self._backends else None

    def give(self, backend: _Backend) -> None:
        """For the next email of any thread."""
        with self._lock:
            self._backends.append((time.monotonic(), backend))

    def close_old(self, *, seconds: float = IDLE_SECONDS) -> int:
        """Those that nobody has used for so long; returns how many."""
        until = time.monotonic() - seconds
        with self._lock:
            old = [backend for since, backend in self._backends if since <= until]
            self._backends = [each for each in self._backends if each[0] > until]
        for backend in old:
            backend.drop()
        return len(old)


_idle = _Idle()


def send(message: EmailMessage) -> str:
    """One email by one connection; returns SES's message id. Raises NotSent, Refused or InDoubt.

    On a connection that the server has ended meanwhile nothing was sent: another is opened, once.
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
    """Raise SendError while the server does not let us in."""
    _idle.give(_opened(time.monotonic() + settings.EMAIL_TIMEOUT))


@sweeps
def close_idle() -> int:
    """Nothing is moved by it."""
    _idle.close_old()
    return 0


def forget_connections() -> None:
    """Open others, and read anew whom the machine trusts."""
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
    """Whether the server said this in words of SMTP, and so knows where we are."""
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
        # The bundle may be renewed while this process runs.
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
    """What an answer means; where SES says by SMTP what it says by its API, it means the same."""
    number, text = _answer(exc)
    code = f"SMTP {number}"
    lower = text.lower()
    if number == 454 and "throttling" in lower:
        return error_codes.answered("Throttling", text, 400, sender=sender)
    if number == 421 and "too many" in lower:
        return Throttled(text, code=code)
    if number in (530, 534, 535, 538) or (number == 454 and while_opening):
        return Unavailable(text, code=code, breaker="configuration")
    if _PAUSED.search(text):
        return Unavailable(text, code=code, breaker="account")
    if "access denied" in lower or "not authorized" in lower or _NO_SET.search(text):
        return Unavailable(text, code=code, breaker="configuration")
    if error_codes.names_unverified(text):
        return error_codes.answered("MessageRejected", text, 400, sender=sender)
    return Refused(text, code=code) if number >= 500 else NotSent(text, code=code)


def _answer(exc: Any) -> tuple[int, str]:
    """Number and text; of several recipients those of the first."""
    number, text = (
        next(iter(exc.recipients.values()))
        if isinstance(exc, smtplib.SMTPRecipientsRefused)
        else (exc.smtp_code, exc.smtp_error)
    )
    return number, text.decode(errors="replace") if isinstance(text, bytes) else str(text)
