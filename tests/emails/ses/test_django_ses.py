"""What django-ses offers works by each client, also for many emails at once: signal, DKIM, blacklist, settings."""

import base64
import json
import time
from typing import Any

import dkim  # type: ignore[import-untyped]  # it has no types
import pytest
from botocore.config import Config
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.mail import EmailMessage
from django.db import connection
from django_ses import SESBackend, cached_rate_limits, signals

from emails.errors import Refused, SendError
from emails.ses import rounds, ses_api
from queues.aws import clients, lean_fit, sqs
from tests.support.aws.scripted_server import ScriptedServer, said

ARN = "arn:aws:ses:eu-west-1:123456789012:identity/example.com"


@pytest.fixture
def server():
    server = ScriptedServer()
    server.answer = said(200, {"MessageId": "ses-1"})
    yield server
    server.stop()


@pytest.fixture(params=["boto3", "lean", "many at once"])
def client(request, settings, server):
    settings.AWS_SES_REGION_ENDPOINT_URL = server.url
    settings.SES_CLIENT = "boto3" if request.param == "boto3" else "lean"
    lean_fit.say_once.cache_clear()
    ses_api.forget_clients()
    yield request.param
    ses_api.forget_clients()


@pytest.fixture
def send(client):
    def send(*recipients, cc=()):
        to = recipients or ["ada@example.com"]
        message = EmailMessage("Your order", "Thank you", "shop@example.com", to, cc=cc)
        if client != "many at once":
            return ses_api.send(message)
        [outcome] = rounds.send([rounds.Letter(message, time.monotonic(), lambda: True)])
        if isinstance(outcome, SendError):
            raise outcome
        return outcome

    return send


def told(server):
    """The parameters of the one email that SES got, and its raw content."""
    [request] = server.requests
    parameters = json.loads(request.partition(b"\r\n\r\n")[2])
    return parameters, base64.b64decode(parameters["Content"]["Raw"]["Data"])


def head_of(request):
    return request.partition(b"\r\n\r\n")[0].decode()


def test_whoever_listens_to_its_signal_is_told_of_the_email_and_its_id(send, server):
    heard = []

    def listen(sender, message, **kwargs):
        heard.append((sender, message.extra_headers["message_id"], message.to))

    signals.message_sent.connect(listen)

    send()

    signals.message_sent.disconnect(listen)
    assert heard == [(SESBackend, "ses-1", ["ada@example.com"])]


def test_email_is_signed_by_dkim(send, server, settings):
    key = rsa.generate_private_key(65_537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    settings.DKIM_DOMAIN, settings.DKIM_SELECTOR = b"example.com", b"shop"
    settings.DKIM_HEADERS = [b"From", b"To", b"Subject"]
    settings.DKIM_PRIVATE_KEY = pem
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)

    send()

    _, raw = told(server)
    assert raw.startswith(b"DKIM-Signature: ")
    assert dkim.verify(raw, dnsfunc=lambda name, **kwargs: record)
    assert not dkim.verify(raw.replace(b"Thank", b"Spank"), dnsfunc=lambda name, **kwargs: record)


@pytest.fixture
def blacklist(settings, transactional_db):
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django_ses"]
    settings.AWS_SES_USE_BLACKLIST = True
    from django_ses.models import BlacklistedEmail  # only where its app is installed

    with connection.schema_editor() as editor:
        editor.create_model(BlacklistedEmail)
    yield BlacklistedEmail.objects
    with connection.schema_editor() as editor:
        editor.delete_model(BlacklistedEmail)


def test_recipient_on_its_blacklist_is_left_out(send, server, blacklist):
    blacklist.create(email="bob@example.com")

    send("ada@example.com", cc=["bob@example.com"])

    assert told(server)[0]["Destination"] == {"ToAddresses": ["ada@example.com"]}


def test_email_to_its_blacklist_alone_is_refused_and_leaves_no_doubt(send, server, blacklist):
    blacklist.create(email="ada@example.com")

    with pytest.raises(Refused, match="blacklist"):
        send()

    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "value", "parameter", "expected"),
    [
        ("AWS_SES_SOURCE_ARN", ARN, "FromEmailAddressIdentityArn", ARN),
        ("AWS_SES_FROM_ARN", ARN, "FromEmailAddressIdentityArn", ARN),
        ("AWS_SES_RETURN_PATH", "b@example.com", "FeedbackForwardingEmailAddress", "b@example.com"),
        ("AWS_SES_FROM_EMAIL", "other@example.com", "FromEmailAddress", "other@example.com"),
    ],
)
def test_its_parameters_of_a_call_are_sent(
    send, server, settings, name, value, parameter, expected
):
    setattr(settings, name, value)

    send()

    assert told(server)[0][parameter] == expected


def test_its_configuration_set_is_named_in_the_email(send, server, settings):
    settings.AWS_SES_CONFIGURATION_SET = "shop"

    send()

    assert b"X-SES-CONFIGURATION-SET: shop\r\n" in told(server)[1]


def test_its_own_keys_sign(send, server, settings):
    settings.AWS_SES_ACCESS_KEY_ID = "AKIASES"
    settings.AWS_SES_SECRET_ACCESS_KEY = "secret"
    settings.AWS_SES_SESSION_TOKEN = "of-ses"

    send()

    head = head_of(server.requests[0])
    assert "Credential=AKIASES/" in head
    assert "of-ses" in head


def test_its_profile_signs(send, server, settings, monkeypatch, tmp_path):
    (tmp_path / "credentials").write_text(
        "[shop]\naws_access_key_id = AKIASHOP\naws_secret_access_key = secret\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    settings.AWS_SESSION_PROFILE = "shop"

    send()

    assert "Credential=AKIASHOP/" in head_of(server.requests[0])


def test_its_throttle_asks_the_rate_and_sends(send, server, settings, monkeypatch):
    monkeypatch.setattr("django_ses.recent_send_times", [])
    cached_rate_limits.clear()
    settings.AWS_SES_AUTO_THROTTLE = 0.5
    answers = [said(200, {"SendQuota": {"MaxSendRate": 14.0}}), said(200, {"MessageId": "ses-1"})]
    server.answer = lambda connection: answers.pop(0)(connection)

    assert send() == "ses-1"

    cached_rate_limits.clear()
    firsts = [head_of(request).split(" HTTP")[0] for request in server.requests]
    assert firsts == ["GET /v2/email/account", "POST /v2/email/outbound-emails"]


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("AWS_SES_GLOBAL_ENDPOINT_ID", "abcd.123", "AWS_SES_GLOBAL_ENDPOINT_ID is set"),
        (
            "AWS_SES_CONFIG",
            Config(proxies={"http": "http://127.0.0.1:9"}, retries={"total_max_attempts": 1}),
            "a proxy is set",
        ),
        (
            "AWS_SES_CONFIG",
            Config(client_cert="ours.pem", retries={"total_max_attempts": 1}),
            "a client certificate is set",
        ),
        ("AWS_SES_CONFIG", Config(retries={"max_attempts": 3}), "it is set to repeat calls"),
        ("AWS_SES_CONFIG", None, "it is set to repeat calls"),
    ],
)
def test_settings_that_only_boto3_can_obey_are_obeyed(client, settings, caplog, name, value, why):
    setattr(settings, name, value)

    for _ in range(2):
        ses_api.forget_clients()
        made = ses_api.connection().connection

    assert type(made).__name__ == "SESV2"
    expected = [f"boto3's client is used, not the lean one service=SESv2 why={why}"]
    assert [record.getMessage() for record in caplog.records] == expected * (client != "boto3")


def test_version_1_is_called_by_boto3_without_a_word(client, settings, caplog):
    settings.USE_SES_V2 = False

    made = ses_api.connection().connection

    assert type(made).__name__ == "SES"
    assert caplog.records == []


def test_clients_of_ses_and_sqs_share_a_session_until_credentials_are_read_anew(client):
    def credentials():
        made: list[Any] = [ses_api.connection().connection, ses_api.api(), ses_api.api_v2()]
        made.append(sqs.client())
        [found] = {each._request_signer._credentials for each in made}
        return found

    before, session = credentials(), clients.session()
    ses_api.forget_clients()

    assert credentials() is not before
    assert clients.session() is not session
