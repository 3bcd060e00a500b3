"""What Amazon SNS posts to a webhook, believed only with SNS's signature.

Source: SNS developer guide, "Verifying the signatures of Amazon SNS messages". What needs no network is checked first,
so nothing that a stranger writes makes this process ask anybody anything. Only SignatureVersion 2 is believed: version
1 is SHA-1.
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

# SNS tries a webhook for an hour; its clock is not ours.
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

# Keys of certificates that were good, by their address, and until when they are kept.
_keys: OrderedDict[str, tuple[rsa.RSAPublicKey, float]] = OrderedDict()


class SnsMessage(BaseModel):
    """SNS's JSON; every field as it was signed."""

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
        """What SNS signs: names and values, a line each, without what is absent."""
        values = self.model_dump(by_alias=True, exclude_none=True)
        lines = [f"{name}\n{values[name]}\n" for name in _SIGNED[self.kind] if name in values]
        return "".join(lines).encode()


def read(body: bytes) -> SnsMessage:
    """A message that SNS signed, of a topic that settings allow.

    Raises Untrusted, or CertificateUnavailable while it cannot be told.
    """
    message = _parsed(body)
    if message.topic not in settings.SES_WEBHOOK_TOPICS:
        raise Untrusted("a topic that SES_WEBHOOK_TOPICS does not name")
    _require_fresh(message.timestamp)
    _require_sns(message.certificate_url, topic=message.topic)
    try:
        signature = b64decode(message.signature, validate=True)
        _key(message.certificate_url).verify(
            signature, message.signed_bytes(), padding.PKCS1v15(), hashes.SHA256()
        )
    except (InvalidSignature, binascii.Error, ValueError) as exc:
        raise Untrusted("the signature is not SNS's") from exc
    return message


def forget_keys() -> None:
    """Ask for each certificate again."""
    _keys.clear()


def _parsed(body: bytes) -> SnsMessage:
    try:
        return SnsMessage.model_validate(json_object(body.decode()))
    except (BadEnvelope, UnicodeDecodeError) as exc:
        raise Untrusted("not a JSON object") from exc
    except ValidationError as exc:
        raise Untrusted(f"not a signed message of SNS: {summary(exc)}") from exc


def _require_fresh(timestamp: str) -> None:
    try:
        sent = datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError as exc:
        raise Untrusted("not a time of SNS") from exc
    if abs(datetime.now(UTC) - sent) > FRESH:
        raise Untrusted("older than an hour, or of the future")


def _require_sns(url: str, *, topic: str) -> None:
    """The certificate is SNS's own of the topic's region: whoever chose the address would choose the key."""
    _, partition, _, region, *_ = topic.split(":")
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise Untrusted("no address of a certificate") from exc
    if (
        parts.scheme != "https"
        or parts.netloc != f"sns.{region}.{_SUFFIXES[partition]}"
        or not _CERTIFICATE_PATH.fullmatch(parts.path)
        or url != f"https://{parts.netloc}{parts.path}"
    ):
        raise Untrusted("a certificate that is not SNS's of the topic's region")


def _key(url: str) -> rsa.RSAPublicKey:
    """Only what was good is kept: one failed download must not outlive itself."""
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
        raise Untrusted("the certificate is not SNS's")
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= datetime.now(UTC) <= end:
        raise Untrusted("the certificate is not valid now")
    return key
