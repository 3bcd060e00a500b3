"""Verify the JWTs that Amazon Cognito issues: ID tokens and access tokens of one user pool.

Cognito developer guide, "Verifying JSON web tokens": RS256, ``iss`` the pool, ``aud`` (ID token) or ``client_id``
(access token) the application, ``token_use`` which of the two. The token itself never decides how it is checked.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import cache, lru_cache
from http.client import HTTPException
from typing import Any, Protocol
from urllib.request import HTTPRedirectHandler, build_opener

import jwt
from django.conf import settings
from jwt import PyJWK, PyJWKClient, PyJWKSet
from jwt.exceptions import PyJWKClientConnectionError, PyJWKClientError, PyJWTError

from orders.api import local_tokens
from orders.errors import BadToken, KeysUnavailable
from queues import addresses, characters

ALGORITHMS = ["RS256"]
LEEWAY_SECONDS = 30
MAX_LENGTH = 8 * 1024
MAX_CLIENT_LENGTH = 128
# How long fetched keys are used, and how long to wait before the next fetch after an unknown key id or a failure.
KEYS_SECONDS = 3600
UNKNOWN_KEY_SECONDS = 60
FAILED_SECONDS = 10
# The keys of a pool are 1 KiB.
FETCH_SECONDS = 3
MAX_KEYS_LENGTH = 64 * 1024
# Whatever the connection, TLS, HTTP, JSON and the keys in it may fail with.
_NO_KEYS = (
    PyJWTError,
    OSError,
    HTTPException,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
# A process does not check a valid token again for this many seconds.
REMEMBER_SECONDS = 30
_REQUIRED = ["exp", "iat", "iss", "sub", "token_use"]


@dataclass(frozen=True)
class Caller:
    """The sender of a token. ``email`` is empty unless it is in an ID token and the pool has verified it."""

    client: str
    email: str = ""
    name: str = ""
    scopes: frozenset[str] = frozenset()


class _Keys(Protocol):
    """A source of the issuer's public keys."""

    def get_signing_key(self, kid: str) -> PyJWK:
        """Return the key with this id; raises PyJWKClientError."""


class IssuerKeys(PyJWKClient):
    """Fetch the keys that the pool publishes; after a failure not every request asks again."""

    def __init__(self, issuer: str, *, unknown_key_seconds: float = UNKNOWN_KEY_SECONDS) -> None:
        super().__init__(
            f"{issuer}/.well-known/jwks.json",
            lifespan=KEYS_SECONDS,
            timeout=FETCH_SECONDS,
            cooldown_duration=unknown_key_seconds,
        )
        self._silent_until = 0.0

    def fetch_data(self) -> Any:
        """Fetch the keys, but not within ten seconds of a failure; any failure is a PyJWKClientConnectionError."""
        if time.monotonic() < self._silent_until:
            raise PyJWKClientConnectionError("the issuer did not answer a moment ago")
        try:
            # The library reads an answer without limit, and lets some errors of the connection through.
            found = PyJWKSet.from_dict(json.loads(self._fetched()))
            if not any(key.key_id for key in found.keys):
                raise ValueError("no key has an id")
        except _NO_KEYS as exc:
            self._silent_until = time.monotonic() + FAILED_SECONDS
            raise PyJWKClientConnectionError(f"no keys from {self.uri}: {exc}") from exc
        self._last_successful_fetch = time.monotonic()
        return found

    def _fetched(self) -> bytes:
        """Return the pool's answer as it is; a redirect is none. Raises ValueError if it is too long or too slow."""
        deadline, content = time.monotonic() + FETCH_SECONDS, b""
        opener = build_opener(_NoRedirect)
        with opener.open(self.uri, timeout=FETCH_SECONDS) as response:
            while more := response.read1(MAX_KEYS_LENGTH):
                content += more
                if len(content) > MAX_KEYS_LENGTH or time.monotonic() > deadline:
                    raise ValueError("the answer is too long, or comes too slowly")
        return content


class _NoRedirect(HTTPRedirectHandler):
    """Follow no redirect: the keys are where the issuer says, or nowhere."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Return no request, so that the redirect is an HTTPError."""


def verify(token: str) -> Caller:
    """Return the caller that the token proves; raises BadToken or KeysUnavailable."""
    if len(token) > MAX_LENGTH:
        raise BadToken("longer than any of Cognito's")
    claims = _signed_claims(token, issuer(), int(time.time() / REMEMBER_SECONDS))
    # It may have expired since its signature was checked.
    if int(claims["exp"]) <= time.time() - LEEWAY_SECONDS:
        raise BadToken("expired")
    return _caller(claims)


@lru_cache(maxsize=1024)
def _signed_claims(token: str, issuer: str, moment: int) -> dict[str, Any]:
    """Check the signature and return the claims.

    The result is cached until ``moment`` changes, because clients send the same token again and again.
    """
    try:
        return jwt.decode(
            token,
            _key(token),
            algorithms=ALGORITHMS,
            issuer=issuer,
            leeway=LEEWAY_SECONDS,
            # ``aud`` is checked later: access tokens have none.
            options={"require": _REQUIRED, "verify_aud": False},
        )
    except (PyJWTError, ValueError, RecursionError) as exc:
        raise BadToken(f"{type(exc).__name__}: {exc}") from exc


def issuer() -> str:
    """Return the issuer whose tokens we accept."""
    return local_tokens.ISSUER if settings.API_LOCAL_KEY else settings.COGNITO_ISSUER


def scope(name: str) -> str:
    """Return a scope as access tokens name it: Cognito puts the resource server before it."""
    return f"{settings.COGNITO_RESOURCE_SERVER}/{name}"


def _key(token: str) -> PyJWK:
    kid = jwt.get_unverified_header(token).get("kid")
    if not isinstance(kid, str) or not kid:
        raise BadToken("it names no key")
    try:
        return _keys().get_signing_key(kid)
    except PyJWKClientConnectionError as exc:
        raise KeysUnavailable(str(exc)) from exc
    except PyJWKClientError as exc:
        raise BadToken("it names an unknown key") from exc


def _keys() -> _Keys:
    if settings.API_LOCAL_KEY:
        return local_tokens.keys(settings.API_LOCAL_KEY)
    return _issuer_keys(settings.COGNITO_ISSUER)


@cache
def _issuer_keys(issuer: str) -> IssuerKeys:
    return IssuerKeys(issuer)


def _caller(claims: dict[str, Any]) -> Caller:
    """Make the caller from claims whose signature, issuer and times are valid; raises BadToken."""
    subject, use = claims["sub"], claims["token_use"]
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_CLIENT_LENGTH:
        raise BadToken("no subject that can be kept")
    if use == "id" and _is_our_application(claims.get("aud")):
        return Caller(subject, email=_verified_email(claims), name=_name(claims))
    if use == "access" and _is_our_application(claims.get("client_id")):
        return Caller(subject, scopes=frozenset(str(claims.get("scope", "")).split()))
    raise BadToken("issued for another application, or for another use")


def _is_our_application(application: object) -> bool:
    known = [local_tokens.APPLICATION] if settings.API_LOCAL_KEY else settings.COGNITO_CLIENT_IDS
    return isinstance(application, str) and application in known


def _verified_email(claims: dict[str, Any]) -> str:
    """Return the address; empty if the pool has not verified it, or SES cannot send to it."""
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str):
        return ""
    try:
        addresses.deliverable(email)
    except addresses.Undeliverable:
        return ""
    return email


def _name(claims: dict[str, Any]) -> str:
    """Return the name as its holder wrote it, empty if nobody sees any; check it before storing it."""
    parts = [claims.get("given_name"), claims.get("family_name")]
    names = [claims.get("name"), " ".join(part for part in parts if isinstance(part, str))]
    seen = (
        name.strip() for name in names if isinstance(name, str) and not characters.is_blank(name)
    )
    return next(seen, "")
