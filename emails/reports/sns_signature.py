"""Verify SNS's signature on messages that are posted to the webhook.

Source: SNS developer guide, "Verifying the signatures of Amazon SNS messages". Checks that need no network come first,
so no message from a stranger makes this process connect to anybody. Only SignatureVersion 2 is accepted: version 1 is
SHA-1.
"""

from __future__ import annotations

import binascii
import re
import time
from base64 import b64decode
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

import urllib3
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.conf import settings
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emails.errors import CertificateUnavailable, Untrusted
from queues.errors import BadEnvelope
from queues.events.envelope import json_object, summary

# SNS retries a webhook for an hour; five minutes more allow for its clock.
FRESH = timedelta(hours=1, minutes=5)
FETCH_SECONDS = 3
MAX_CERTIFICATE_BYTES = 16 * 1024
KEPT_SECONDS = 24 * 3600
MAX_KEPT = 8

_CERTIFICATE_PATH = re.compile(r"/SimpleNotificationService-[0-9a-f]+\.pem")
_SUBJECT = "sns.amazonaws.com"
_SUFFIXES = {
    "aws": "amazonaws.com",
    "aws-us-gov": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
}
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}
_SIGNED["UnsubscribeConfirmation"] = _SIGNED["SubscriptionConfirmation"]

Short = Annotated[str, Field(min_length=1, max_length=512)]

# Keys of valid certificates, by URL, each with the time until which it is kept.
_keys: OrderedDict[str, tuple[rsa.RSAPublicKey, float]] = OrderedDict()


class SnsMessage(BaseModel):
    """One SNS message; every field is kept exactly as SNS signed it."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True, strict=True)

    kind: Literal["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"] = Field(
        alias="Type"
    )
    id: Short = Field(alias="MessageId")
    topic: Short = Field(alias="TopicArn")
    message: str = Field(alias="Message")
    timestamp: Short = Field(alias="Timestamp")
    subject: str | None = Field(default=None, alias="Subject")
    token: str | None = Field(default=None, alias="Token")
    subscribe_url: str | None = Field(default=None, alias="SubscribeURL")
    version: Literal["2"] = Field(alias="SignatureVersion")
    signature: Annotated[str, Field(max_length=2048)] = Field(alias="Signature")
    certificate_url: Short = Field(alias="SigningCertURL")

    def signed_bytes(self) -> bytes:
        """Return the text that SNS signs: names and values, a line each, without absent fields."""
        values = self.model_dump(by_alias=True, exclude_none=True)
        lines = [f"{name}\n{values[name]}\n" for name in _SIGNED[self.kind] if name in values]
        return "".join(lines).encode()


def read(body: bytes) -> SnsMessage:
    """Parse a message and verify that SNS signed it, for a topic that SES_WEBHOOK_TOPICS allows.

    Raises Untrusted if not, or CertificateUnavailable if that cannot be decided now.
    """
    message = _parsed(body)
    if message.topic not in settings.SES_WEBHOOK_TOPICS:
        raise Untrusted("SES_WEBHOOK_TOPICS does not name its topic")
    _require_fresh(message.timestamp)
    _require_sns(message.certificate_url, topic=message.topic)
    try:
        signature = b64decode(message.signature, validate=True)
        _key(message.certificate_url).verify(
            signature, message.signed_bytes(), padding.PKCS1v15(), hashes.SHA256()
        )
    except (InvalidSignature, binascii.Error, ValueError) as exc:
        raise Untrusted("its signature is not from SNS") from exc
    return message


def forget_keys() -> None:
    """Forget all keys, so that each certificate is downloaded again."""
    _keys.clear()


def _parsed(body: bytes) -> SnsMessage:
    try:
        return SnsMessage.model_validate(json_object(body.decode()))
    except (BadEnvelope, UnicodeDecodeError) as exc:
        raise Untrusted("it is not a JSON object") from exc
    except ValidationError as exc:
        raise Untrusted(f"it is not a signed SNS message: {summary(exc)}") from exc


def _require_fresh(timestamp: str) -> None:
    try:
        sent = datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError as exc:
        raise Untrusted("its timestamp is not in SNS's format") from exc
    if abs(datetime.now(UTC) - sent) > FRESH:
        raise Untrusted("its timestamp is over an hour old, or in the future")


def _require_sns(url: str, *, topic: str) -> None:
    """Require SNS's own certificate URL in the topic's region: whoever chose the URL would choose the key."""
    _, partition, _, region, *_ = topic.split(":")
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise Untrusted("its certificate URL is invalid") from exc
    if (
        parts.scheme != "https"
        or parts.netloc != f"sns.{region}.{_SUFFIXES[partition]}"
        or not _CERTIFICATE_PATH.fullmatch(parts.path)
        or url != f"https://{parts.netloc}{parts.path}"
    ):
        raise Untrusted("its certificate URL is not that of SNS in the topic's region")


def _key(url: str) -> rsa.RSAPublicKey:
    """Return the certificate's key, cached only if valid, so that one failed download has no lasting effect."""
    key, until = _keys.get(url, (None, 0.0))
    if key is None or until < time.monotonic():
        key = _checked(_download(url))
        _keys[url] = key, time.monotonic() + KEPT_SECONDS
        while len(_keys) > MAX_KEPT:
            _keys.popitem(last=False)
    return key


def _download(url: str) -> bytes:
    try:
        answer = urllib3.request(
            "GET", url, redirect=False, retries=False, timeout=FETCH_SECONDS, preload_content=False
        )
        try:
            body = answer.read(MAX_CERTIFICATE_BYTES + 1)
        finally:
            answer.close()
    except urllib3.exceptions.HTTPError as exc:
        raise CertificateUnavailable(f"SNS's certificate: {type(exc).__name__}") from exc
    if answer.status != 200 or len(body) > MAX_CERTIFICATE_BYTES:
        raise CertificateUnavailable(
            f"SNS's certificate: HTTP {answer.status}, {len(body)} bytes or more"
        )
    return body


def _checked(pem: bytes) -> rsa.RSAPublicKey:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError as exc:
        raise CertificateUnavailable("SNS's certificate: not PEM") from exc
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    key = certificate.public_key()
    if [name.value for name in names] != [_SUBJECT] or not isinstance(key, rsa.RSAPublicKey):
        raise Untrusted("its certificate is not from SNS")
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= datetime.now(UTC) <= end:
        raise Untrusted("its certificate has expired or is not valid yet")
    return key
