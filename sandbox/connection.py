"""The pages' way to the local AWS: its control API over HTTP."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

from django.conf import settings

from sandbox.errors import NoMailbox, NotFound, NotRunning

TIMEOUT_SECONDS = 3

# Every answer of the control API has this header; no other AWS has it.
MARK = "X-Local-Aws"

# The machine's proxy has no way to a loopback address.
_opener = build_opener(ProxyHandler({}))


def mails() -> list[dict[str, Any]]:
    """The mailbox, newest first. Like all functions here it raises NotRunning or NoMailbox."""
    found: list[dict[str, Any]] = _call("mail")
    return found


def mail(mail_id: str) -> dict[str, Any]:
    """One mail with its content; raises NotFound."""
    found: dict[str, Any] = _call(f"mail/{quote(mail_id, safe='')}")
    return found


def empty_mailbox() -> None:
    """Throw all mails away."""
    _call("mail", method="DELETE")


def verifications() -> list[dict[str, Any]]:
    """Addresses and domains that wait for verification."""
    found: list[dict[str, Any]] = _call("verifications")
    return found


def verify(identity: str) -> None:
    """Verify a pending address or domain; raises NotFound."""
    _call("verify", {"identity": identity})


def sandbox_rules() -> bool:
    """Return True if the local SES takes mail for verified recipients only."""
    return bool(_call("rules")["sandbox_rules"])


def set_sandbox_rules(on: bool) -> None:
    """Switch the rule until the local AWS ends."""
    _call("rules", {"sandbox_rules": on})


def _call(path: str, body: Any = None, *, method: str | None = None) -> Any:
    if not settings.AWS_ENDPOINT_URL:
        raise NoMailbox("AWS_ENDPOINT_URL is not set")
    url = f"{settings.AWS_ENDPOINT_URL.rstrip('/')}/_sandbox/{path}"
    content = None if body is None else json.dumps(body).encode()
    try:
        with _opener.open(
            Request(url, data=content, method=method),  # noqa: S310 (the URL is a setting)
            timeout=TIMEOUT_SECONDS,
        ) as response:
            return _content(response)
    except HTTPError as exc:
        with exc:
            _content(exc)
        raise NotFound(path) from exc
    except (OSError, HTTPException) as exc:
        raise NotRunning(str(exc)) from exc


def _content(response: Any) -> Any:
    if response.headers.get(MARK) is None:
        raise NoMailbox(f"{settings.AWS_ENDPOINT_URL} is not the local AWS")
    return json.load(response)
