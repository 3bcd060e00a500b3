"""Call SendEmail of SES API version 2, which every email needs once, with a lean client.

It takes the place of boto3's client in django-ses's backend, and a tenth of its time
(``queues.aws.lean_requests``).

Source: SES API reference version 2, SendEmail.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pybase64
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError, RestJSONParser

from queues.aws import lean_fit, lean_requests
from queues.aws.lean_rounds import Planned

_HEADERS = {"content-type": "application/json"}


class LeanClient:
    """A client of SES that makes ``send_email`` through ``service``, and all other calls through ``boto3``."""

    # ``lean_requests`` calls ``departures.leave``.
    tells_departures = True

    def __init__(self, boto3: Any, service: lean_requests.Service) -> None:
        self._boto3 = boto3
        self._service = service

    def __getattr__(self, name: str) -> Any:
        return getattr(self._boto3, name)

    def send_email(self, **parameters: Any) -> dict[str, Any]:
        """Send one email and return SES's answer with ``MessageId``; raises what boto3's client raises."""
        return _read(self._service.post(_body(parameters), _HEADERS))

    def signed(self, parameters: Mapping[str, Any]) -> bytes:
        """Return the signed request that ``send_email`` would send; raises what boto3's client raises."""
        return self._service.signed(_body(parameters), _HEADERS)

    def send_many(self, planned: Sequence[Planned]) -> list[dict[str, Any] | Exception | None]:
        """Send signed requests at once; returns for each SES's answer, the error, or None if it was not fit."""
        return [_outcome(answer) for answer in self._service.post_many(planned)]


def _body(parameters: Mapping[str, Any]) -> bytes:
    """Write the parameters as JSON; the email is not searched for signs to escape, which Base64 has none of."""
    rest = dict(parameters)
    email = rest.pop("Content")["Raw"]["Data"]
    others = json.dumps(rest)[1:] if rest else "}"
    separator = ", " if rest else ""
    return b'{"Content": {"Raw": {"Data": "%b"}}%b' % (
        pybase64.b64encode(email),
        f"{separator}{others}".encode(),
    )


def _outcome(answer: lean_requests.Answer | Exception | None) -> dict[str, Any] | Exception | None:
    if not isinstance(answer, lean_requests.Answer):
        return answer
    try:
        return _read(answer)
    except (ClientError, ResponseParserError) as exc:
        return exc


def _read(answer: lean_requests.Answer) -> dict[str, Any]:
    if answer.status >= 301:
        raise answer.error(RestJSONParser(), "SendEmail")
    request_id = answer.headers.get("x-amzn-requestid", "")
    return {
        "MessageId": _message_id(answer),
        "ResponseMetadata": {"RequestId": request_id, "HTTPStatusCode": answer.status},
    }


def beside(boto3: Any) -> Any:
    """Return a lean client, or ``boto3`` itself where only that can send emails."""
    endpoint = lean_fit.endpoint(boto3, "send_email", tries=1, Content={"Raw": {"Data": b""}})
    return LeanClient(boto3, lean_requests.Service(endpoint)) if endpoint else boto3


def _message_id(answer: lean_requests.Answer) -> str:
    """Return the message id in SES's answer; raises ResponseParserError if there is none."""
    try:
        message_id = json.loads(answer.content)["MessageId"]
    except (LookupError, TypeError, ValueError) as exc:
        raise answer.unreadable() from exc
    if not isinstance(message_id, str):
        raise answer.unreadable()
    return message_id
