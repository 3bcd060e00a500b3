"""Authenticate callers of the API: check the bearer token, count the request, check scopes."""

from __future__ import annotations

import logging
from typing import cast

from django.conf import settings
from django.http import HttpRequest
from ninja.security import HttpBearer

from orders.api import tokens
from orders.api.problems import Problem
from orders.api.tokens import Caller
from orders.errors import BadToken, KeysUnavailable, TooFast
from orders.limits import allowances

logger = logging.getLogger(__name__)

READ_TRANSACTIONS = "transactions:read"
WRITE_TRANSACTIONS = "transactions:write"


class Token(HttpBearer):
    """Authenticate by ``Authorization: Bearer <JWT>``; this class name names the scheme in OpenAPI."""

    openapi_bearerFormat = "JWT"

    def __call__(self, request: HttpRequest) -> Caller:
        """Check the header; only the log says why a token is refused, so that a forger learns nothing."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise _unknown(challenge="Bearer")
        return self.authenticate(request, token.strip())

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        """Return the caller, and count this request."""
        try:
            caller = tokens.verify(token)
            _count(caller)
        except BadToken as exc:
            logger.info("refused a token: %s", exc)
            raise _unknown(challenge='Bearer error="invalid_token"') from exc
        except KeysUnavailable as exc:
            logger.error("tokens cannot be checked: %s", exc)
            raise _unavailable() from exc
        except TooFast as exc:
            headers = {"Retry-After": str(exc.seconds)}
            raise Problem(429, "too_fast", str(exc), headers=headers) from exc
        return caller


def caller_of(request: HttpRequest) -> Caller:
    """Return the caller that the token names."""
    return cast(Caller, request.auth)  # type: ignore[attr-defined]  # set by Ninja


def need_scope(caller: Caller, name: str) -> None:
    """Raise Problem unless the access token has this scope."""
    scope = tokens.scope(name)
    if scope not in caller.scopes:
        raise Problem(
            403,
            "scope_missing",
            f"This needs an access token with the scope {scope}.",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
        )


def _count(caller: Caller) -> None:
    allowances.take(
        caller.client,
        allowed=settings.API_REQUESTS_PER_MINUTE,
        seconds=60,
        burst_seconds=10,
    )


def _unknown(*, challenge: str) -> Problem:
    return Problem(
        401,
        "unauthorized",
        "Send a valid token: Authorization: Bearer <token>.",
        headers={"WWW-Authenticate": challenge},
    )


def _unavailable() -> Problem:
    return Problem(
        503,
        "unavailable",
        "We cannot check tokens at the moment. Try again.",
        headers={"Retry-After": "10"},
    )
