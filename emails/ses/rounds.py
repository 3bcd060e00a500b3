"""Send many emails at once to SES, from one thread, with our lean client; still through django-ses."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from typing import Any, NamedTuple

from django.core.mail import EmailMessage
from django_ses import SESBackend, signals

from emails.errors import SendError
from emails.ses import lean, ses_api
from queues.aws.failures import departures
from queues.aws.lean_rounds import Planned
from queues.events import tracing

logger = logging.getLogger(__name__)


class Letter(NamedTuple):
    """An email that leaves at ``at``, in seconds of ``time.monotonic``, if ``is_fit`` says so right before.

    ``traceparent`` is the trace that it belongs to.
    """

    message: EmailMessage
    at: float
    is_fit: Callable[[], bool]
    traceparent: str = ""


def are_possible() -> bool:
    """Return True if ``send`` can be used: boto3's clients send one email at a time."""
    return isinstance(ses_api.connection().connection, lean.LeanClient)


def send(letters: Sequence[Letter]) -> list[str | SendError | None]:
    """Send emails at once, each with one call; the letters are in the order of ``at``.

    Returns for each SES's message id, the error, or None if it was not sent because it was not fit any more.
    """
    backend = ses_api.connection()
    preparing = copy(backend)
    preparing.connection = _Signing(backend.connection)
    nothing = departures.Departure(before=sys.exc_info()[1])
    outcomes: list[str | SendError | None] = [None] * len(letters)
    ready: list[tuple[int, Planned]] = []
    for number, letter in enumerate(letters):
        try:
            if request := _signed(preparing, letter.message):
                ready.append((number, Planned(request, letter.at, letter.is_fit)))
            else:
                outcomes[number] = ses_api.blacklisted()
        # Whatever it is, nothing has left.
        except Exception as exc:
            outcomes[number] = _unsent(exc, nothing, letter)
    spans = [
        tracing.begin("SES SendEmail", kind="client", parent=letters[number].traceparent)
        for number, _ in ready
    ]
    answers = backend.connection.send_many([planned for _, planned in ready])
    for (number, _), span, answer in zip(ready, spans, answers, strict=True):
        outcomes[number] = outcome = _outcome(letters[number], answer)
        span.end(outcome if isinstance(outcome, SendError) else None)
    return outcomes


def _outcome(
    letter: Letter, answer: Mapping[str, Any] | Exception | None
) -> str | SendError | None:
    if isinstance(answer, Exception):
        return _unsent(answer, departures.Departure(has_left=True), letter)
    return _accepted(letter.message, answer) if answer else None


def _unsent(exc: Exception, departure: departures.Departure, letter: Letter) -> SendError:
    return ses_api.unsent(exc, departure, sender=letter.message.from_email)


def _accepted(message: EmailMessage, answer: Mapping[str, Any]) -> str:
    """Note SES's answer as django-ses does, and tell whoever listens to its signal; returns the message id."""
    message_id = str(answer["MessageId"])
    request_id = answer["ResponseMetadata"]["RequestId"]
    message.extra_headers |= {"status": 200, "message_id": message_id, "request_id": request_id}
    for receiver, error in signals.message_sent.send_robust(SESBackend, message=message):
        if isinstance(error, Exception):
            logger.error("a receiver of message_sent failed: %r: %r", receiver, error)
    return message_id


class _Signed(Exception):  # noqa: N818  # it is no error
    """The request is made, and django-ses must go no further."""


class _Signing:
    """A client that makes a request with another client, and sends nothing."""

    def __init__(self, client: lean.LeanClient) -> None:
        self._client = client
        self.request = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def send_email(self, **parameters: Any) -> None:
        self.request = self._client.signed(parameters)
        raise _Signed


def _signed(preparing: SESBackend, message: EmailMessage) -> bytes:
    """Return the signed request for this email; empty if django-ses would not send it.

    django-ses does all that its settings ask for, and calls a client that sends nothing.
    """
    preparing.connection.request = b""
    with suppress(_Signed):
        preparing.send_messages([message])
    request: bytes = preparing.connection.request
    return request
