"""Whose token is taken: Cognito's, for our application, as long as it is valid; anything else is told nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import socket
import struct
import threading
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.management import CommandError, call_command
from jwt.algorithms import RSAAlgorithm

from orders.api import tokens
from orders.errors import BadToken, KeysUnavailable
from tests.support.api import ApiClient
from tests.support.aws.scripted_server import ScriptedServer, cut, said, torn, written

APPLICATION = "1h57kf5cpq17m0eml12EXAMPLE"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_PEM = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


class Pool:
    """A user pool: it publishes its keys on this machine, and counts how often it is asked for them."""

    def __init__(self) -> None:
        self.asked = 0
        self.status = 200
        self.keys = {"pool-key": KEY}
        pool = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                pool.asked += 1
                self.send_response(pool.status)
                self.end_headers()
                self.wfile.write(json.dumps(pool.document()).encode())

            def log_message(self, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}/eu-west-1_Pool"
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()

    def document(self) -> dict[str, Any]:
        """Return the keys as ``/.well-known/jwks.json`` has them."""
        return {
            "keys": [
                RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
                | {"kid": kid, "use": "sig", "alg": "RS256"}
                for kid, key in self.keys.items()
            ]
        }

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of an ID token; None takes a claim away."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "5b1f0c9e-8a55-4f0e-9d0e-2f6e0d3c1a11",
            "aud": APPLICATION,
            "token_use": "id",
            "email": "ada@example.com",
            "email_verified": True,
            "iat": now - 10,
            "exp": now + 300,
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, *, key: Any = KEY, kid: Any = "pool-key", **changes: Any) -> str:
        """Signed as Cognito does it."""
        return jwt.encode(self.claims(**changes), key, algorithm="RS256", headers={"kid": kid})


@pytest.fixture
def pool(settings):
    pool = Pool()
    settings.API_LOCAL_KEY = ""
    settings.COGNITO_ISSUER = pool.issuer
    settings.COGNITO_CLIENT_IDS = [APPLICATION, "another of ours"]
    yield pool
    pool.server.shutdown()
    pool.server.server_close()


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _with_header(pool, **header):
    """Signed by the right key, under a header of the attacker's."""
    return jwt.encode(pool.claims(), KEY, algorithm="RS256", headers={"kid": "pool-key"} | header)


def _unsigned(pool):
    return f"{_part({'alg': 'none', 'kid': 'pool-key'})}.{_part(pool.claims())}."


def _signed_by_the_public_key(pool):
    """HS256 with the published key as its secret; PyJWT itself refuses to make it."""
    signed = f"{_part({'alg': 'HS256', 'kid': 'pool-key'})}.{_part(pool.claims())}"
    digest = hmac.new(PUBLIC_PEM, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _altered(pool):
    header, _, signature = pool.token().split(".")
    return f"{header}.{_part(pool.claims(sub='somebody else'))}.{signature}"


def _now(seconds):
    return int(time.time()) + seconds


FORGED = {
    "no signature": _unsigned,
    "symmetric signature": _signed_by_the_public_key,
    "altered payload": _altered,
    "another key": lambda pool: pool.token(key=OTHER_KEY),
    "PS256": lambda pool: jwt.encode(
        pool.claims(), KEY, algorithm="PS256", headers={"kid": "pool-key"}
    ),
    "expired": lambda pool: pool.token(exp=_now(-31)),
    "no expiry": lambda pool: pool.token(exp=None),
    "not yet valid": lambda pool: pool.token(nbf=_now(60)),
    "issued in the future": lambda pool: pool.token(iat=_now(60)),
    "no time of issue": lambda pool: pool.token(iat=None),
    "another issuer": lambda pool: pool.token(iss="https://cognito-idp.example.com/other"),
    "no issuer": lambda pool: pool.token(iss=None),
    "another application": lambda pool: pool.token(aud="somebody else's"),
    "a list of applications": lambda pool: pool.token(aud=[APPLICATION, "another"]),
    "no application": lambda pool: pool.token(aud=None),
    "access token of another application": lambda pool: pool.token(
        token_use="access", client_id="somebody else's"
    ),
    "access token with the audience of an ID token": lambda pool: pool.token(token_use="access"),
    "another use": lambda pool: pool.token(token_use="refresh"),
    "no use": lambda pool: pool.token(token_use=None),
    "no subject": lambda pool: pool.token(sub=None),
    "empty subject": lambda pool: pool.token(sub=""),
    "subject too long": lambda pool: pool.token(sub="s" * 129),
    "no key id": lambda pool: jwt.encode(pool.claims(), KEY, algorithm="RS256"),
    "unknown key id": lambda pool: pool.token(kid="nobody's"),
    "key id with a path": lambda pool: pool.token(kid="../../../../dev/null"),
    "key id with SQL": lambda pool: pool.token(kid="x' OR '1'='1"),
    "key id that is an address": lambda pool: pool.token(kid="http://169.254.169.254/"),
    "its own key": lambda pool: jwt.encode(
        pool.claims(),
        OTHER_KEY,
        algorithm="RS256",
        headers={
            "kid": "pool-key",
            "jwk": RSAAlgorithm.to_jwk(OTHER_KEY.public_key(), as_dict=True),
        },
    ),
    "unknown critical header": lambda pool: _with_header(pool, crit=["exp2"], exp2=1),
    "encrypted": lambda pool: "a.b.c.d.e",
    "rubbish": lambda pool: "rubbish",
    "empty parts": lambda pool: "..",
    "deep": lambda pool: f"{_part({'alg': 'RS256', 'kid': 'pool-key'})}.{'W1tb' * 2000}.AA",
    "long": lambda pool: "a" * 9000,
    "not ASCII": lambda pool: "é.é.é",
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_forged_token_is_refused(pool, forged):
    with pytest.raises(BadToken):
        tokens.verify(forged(pool))


@pytest.mark.django_db
def test_whoever_forges_a_token_is_told_the_same_whatever_is_wrong(pool):
    answers = [ApiClient(forged(pool)).get("/orders") for forged in FORGED.values()]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert {answer["WWW-Authenticate"] for answer in answers} == {'Bearer error="invalid_token"'}


def test_token_that_was_right_a_moment_ago_is_not_checked_again(pool, monkeypatch):
    token = pool.token()
    tokens.verify(token)
    monkeypatch.setattr(jwt, "decode", pytest.fail)

    assert tokens.verify(token).email == "ada@example.com"


def test_token_that_was_right_a_moment_ago_expires_all_the_same(pool, monkeypatch):
    token = pool.token(exp=_now(5))
    claims = tokens._signed_claims(token, pool.issuer, 0)
    monkeypatch.setattr(tokens, "_signed_claims", lambda *_: claims)
    monkeypatch.setattr(time, "time", lambda: claims["exp"] + tokens.LEEWAY_SECONDS)

    with pytest.raises(BadToken):
        tokens.verify(token)


def test_id_token_names_the_customer(pool):
    caller = tokens.verify(pool.token(given_name="Ada", family_name="Lovelace"))

    assert (caller.client, caller.email, caller.name, caller.scopes) == (
        "5b1f0c9e-8a55-4f0e-9d0e-2f6e0d3c1a11",
        "ada@example.com",
        "Ada Lovelace",
        frozenset(),
    )


def test_access_token_names_scopes_and_no_customer(pool):
    caller = tokens.verify(
        pool.token(
            token_use="access",
            aud=None,
            client_id=APPLICATION,
            scope="openid notifier/transactions:write",
        )
    )

    assert caller.scopes == {"openid", "notifier/transactions:write"}
    assert caller.email == ""


@pytest.mark.parametrize(
    "claims",
    [
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": None},
        {"email": None},
        {"email": ["ada@example.com"]},
        {"email": "ada@example.com\nBcc: eve@example.com"},
        {"email": "ada@example.com,eve@example.com"},
        {"email": '"ada,eve"@example.com'},
        {"email": f"{'a' * 64}@{'b' * 190}.example"},
    ],
)
def test_address_that_is_not_verified_or_no_address_is_none(pool, claims):
    assert tokens.verify(pool.token(**claims)).email == ""


def test_clock_of_the_pool_may_be_half_a_minute_off(pool):
    assert tokens.verify(pool.token(exp=_now(-20), iat=_now(20))).client


def test_keys_are_asked_for_once_and_rarely_for_unknown_key_ids(pool):
    for _ in range(3):
        tokens.verify(pool.token())
    for number in range(20):
        with pytest.raises(BadToken):
            tokens.verify(pool.token(kid=f"unknown-{number}"))

    assert pool.asked == 1


def test_new_key_of_the_pool_is_found(pool):
    keys = tokens.IssuerKeys(pool.issuer, unknown_key_seconds=0)
    keys.get_signing_key("pool-key")

    pool.keys["rotated"] = OTHER_KEY

    assert keys.get_signing_key("rotated").key_id == "rotated"
    assert pool.asked == 2


def test_pool_that_does_not_answer_is_not_asked_by_every_request(pool):
    pool.status = 500

    for _ in range(5):
        with pytest.raises(KeysUnavailable):
            tokens.verify(pool.token())

    assert pool.asked == 1


@pytest.mark.django_db
def test_while_tokens_cannot_be_checked_nobody_is_called_a_stranger(pool):
    pool.status = 500

    answer = ApiClient(pool.token()).get("/orders")

    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    assert answer.json()["code"] == "unavailable"


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.fixture
def scripted(pool, settings):
    """A server in the pool's place."""
    server = ScriptedServer()
    settings.COGNITO_ISSUER = pool.issuer = f"{server.url}/pool"
    yield server
    server.stop()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "answer",
    [
        reset,
        cut(),
        cut(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{"),
        written(b"no HTTP at all\r\n\r\n"),
        written(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        written(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 70_000 + b"\r\n\r\n"),
        said(200, b"<html>Sign in to the network</html>"),
        said(200, b"\xff\xfe"),
        said(200, b"[" * 60_000),
        said(200, b" " * 70_000 + b"{}"),
        said(200, []),
        said(200, None),
        said(200, {}),
        said(200, {"keys": None}),
        said(200, {"keys": "none"}),
        said(200, {"keys": []}),
        said(200, {"keys": [None]}),
        said(200, {"keys": [{"kty": "RSA", "kid": "pool-key", "n": 7, "e": []}]}),
        said(200, {"keys": [RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)]}),
        said(204, b""),
        said(302, b"", Location="/elsewhere"),
        said(403, b"no"),
        said(429, b""),
        said(503, b""),
    ],
)
def test_pool_that_answers_no_keys_is_unavailable_and_asked_once(pool, scripted, answer):
    scripted.answer = answer

    answers = [ApiClient(pool.token()).get("/orders") for _ in range(3)]

    assert {(each.status_code, each.json()["code"]) for each in answers} == {(503, "unavailable")}
    assert scripted.connections == 1


@pytest.mark.django_db
def test_pool_whose_tls_is_no_tls_is_unavailable(pool, scripted, settings):
    settings.COGNITO_ISSUER = pool.issuer = scripted.url.replace("http:", "https:")
    scripted.answer = torn

    assert ApiClient(pool.token()).get("/orders").status_code == 503


def test_without_an_application_of_ours_no_token_is_taken(pool, settings):
    settings.COGNITO_CLIENT_IDS = []

    with pytest.raises(BadToken):
        tokens.verify(pool.token())


def test_issued_token_is_as_good_as_one_of_cognito(capsys):
    call_command("issue_token", "ada@example.com", name="Ada Lovelace")
    customer = tokens.verify(capsys.readouterr().out.strip())
    call_command("issue_token", "bank@example.com", "--scope=transactions:write")
    bank = tokens.verify(capsys.readouterr().out.strip())

    assert (customer.email, customer.name) == ("ada@example.com", "Ada Lovelace")
    assert bank.scopes == {"notifier/transactions:write"}


def test_local_key_is_for_its_owner_alone_and_stays(settings, tmp_path):
    settings.API_LOCAL_KEY = str(tmp_path / "var" / "key.pem")

    call_command("issue_token", "ada@example.com")
    first = (tmp_path / "var" / "key.pem").read_bytes()
    call_command("issue_token", "ada@example.com")

    assert (tmp_path / "var" / "key.pem").read_bytes() == first
    assert (tmp_path / "var" / "key.pem").stat().st_mode & 0o077 == 0


def test_without_a_local_key_no_token_is_issued(settings):
    settings.API_LOCAL_KEY = ""

    with pytest.raises(CommandError, match="set API_LOCAL_KEY"):
        call_command("issue_token", "ada@example.com")


def test_token_of_the_local_key_is_none_of_cognito(pool, settings, capsys, tmp_path):
    settings.API_LOCAL_KEY = str(tmp_path / "key.pem")
    call_command("issue_token", "ada@example.com")
    settings.API_LOCAL_KEY = ""

    with pytest.raises(BadToken):
        tokens.verify(capsys.readouterr().out.strip())
