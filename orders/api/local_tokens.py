"""Issue tokens for development without Cognito: the same claims, signed by a key pair in a file.

The pair is made when it is first needed. Settings refuse it in production.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from jwt import PyJWK
from jwt.algorithms import RSAAlgorithm
from jwt.exceptions import PyJWKClientError

from queues import addresses

ISSUER = "urn:notifier:local"
APPLICATION = "local"
_NAMESPACE = uuid.UUID("7f5c1d0a-6a64-4a35-9a53-3a3a8f0e6c11")


def issue(
    *, email: str, name: str = "", use: str, scopes: Iterable[str] = (), minutes: float = 60
) -> str:
    """Issue an ID token or an access token for this address; an address always gets the same subject."""
    now = datetime.now(UTC)
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "sub": str(uuid.uuid5(_NAMESPACE, addresses.key(email))),
        "token_use": use,
        "iat": now,
        "exp": now + timedelta(minutes=minutes),
    }
    if use == "id":
        claims |= {"aud": APPLICATION, "email": email, "email_verified": True}
        claims |= {"name": name} if name else {}
    else:
        names = [f"{settings.COGNITO_RESOURCE_SERVER}/{scope}" for scope in scopes]
        claims |= {"client_id": APPLICATION, "scope": " ".join(names), "username": email}
    found = keys(settings.API_LOCAL_KEY)
    return jwt.encode(claims, found.private, algorithm="RS256", headers={"kid": found.kid})


@cache
def keys(path: str) -> LocalKeys:
    """Return the key pair in this file; each process reads or makes it once."""
    return LocalKeys(Path(path))


class LocalKeys:
    """A key pair that signs tokens; it can also replace ``PyJWKClient`` when tokens are checked."""

    def __init__(self, path: Path) -> None:
        _make_missing(path)
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError(f"{path} contains no RSA key; delete it to get a new one")
        self.private = key
        public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self.kid = str(uuid.uuid5(_NAMESPACE, public["n"]))
        self._public = PyJWK(public | {"kid": self.kid, "use": "sig", "alg": "RS256"})

    def get_signing_key(self, kid: str) -> PyJWK:
        """Return the public key; raises PyJWKClientError for another key id."""
        if kid != self.kid:
            raise PyJWKClientError("an unknown key")
        return self._public


def _make_missing(path: Path) -> None:
    """Make the file if it is missing; if several processes make one at once, all use the first."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with tempfile.NamedTemporaryFile(dir=path.parent) as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        file.flush()
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)
