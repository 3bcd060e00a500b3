import base64
import json
import os
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError, NoCredentialsError
from django.core.mail import EmailMessage

from emails.errors import InDoubt, NotSent, Refused, Throttled, Unavailable
from emails.models import Notification
from emails.ses import ses_api
from emails.ses.lean import LeanClient
from queues.aws.lean_requests import Endpoint, Service
from tests.support.aws.scripted_server import (
    ScriptedServer,
    certified,
    cut,
    said,
    silent,
    torn,
    written,
)
from tests.support.owed import only, place

SENDER = "Notifier Shop <shop@example.com>"
CONFIG = Config(
    connect_timeout=0.5,
    read_timeout=0.5,
    retries={"total_max_attempts": 1},
    max_pool_connections=64,
)
KEYS = Credentials("key", "secret")
UNVERIFIED = "Email address is not verified. The following identities failed the check: "


@pytest.fixture(scope="module")
def one_server():
    server = ScriptedServer()
    yield server
    server.stop()


@pytest.fixture
def server(one_server):
    one_server.requests.clear()
    one_server.answer = said(200, {"MessageId": "ses-1"})
    return one_server


@pytest.fixture(params=["boto3", "lean"])
def client(request):
    return request.param


@pytest.fixture
def sending(settings, client):
    """Send one email to the server, with each of the two clients."""
    return sender_by(settings, client)


@pytest.fixture
def sending_lean(settings):
    return sender_by(settings, "lean")


def sender_by(settings, client):
    def send(server):
        point(settings, server.url, client)
        return ses_api.send(email())

    return send


def point(settings, url, client):
    settings.AWS_SES_REGION_ENDPOINT_URL = url
    settings.AWS_SES_CONFIG = CONFIG
    settings.USE_SES_V2, settings.SES_CLIENT = True, client


@pytest.fixture
def https(tmp_path, monkeypatch):
    tls, certificate = certified(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    server = ScriptedServer(tls)
    yield server
    server.stop()
    ses_api.forget_clients()


def email():
    return EmailMessage("Your order", "Thank you", SENDER, ["ada@example.com"])


def lean(server, *, credentials=KEYS, ca_bundle=True, **options):
    endpoint = Endpoint(
        url=f"{server.url}/v2/email/outbound-emails",
        region="eu-west-1",
        signing_name="ses",
        credentials=credentials,
        config=CONFIG,
        ca_bundle=ca_bundle,
    )
    return LeanClient(None, Service(endpoint, **options))


def send(client):
    return client.send_email(
        FromEmailAddress=SENDER,
        Destination={"ToAddresses": ["ada@example.com"]},
        Content={"Raw": {"Data": b"Subject: hello\r\n\r\n"}},
    )


def refused(status, code, text):
    return said(status, {"message": text}, x_amzn_errortype=f"{code}:http://amazonaws.com/")


def headers_of(request):
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }


def test_answer_of_ses_is_its_id(server, sending):
    assert sending(server) == "ses-1"


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"FromEmailAddress": 'Zoë "%s" \\ <zoe@example.com>', "Destination": {"ToAddresses": []}},
        {"ConfigurationSetName": "notifier", "EmailTags": [{"Name": "a", "Value": "b"}]},
    ],
)
@pytest.mark.parametrize("raw", [b"", b"Subject: %b\r\n\r\n", bytes(range(256)) * 64])
def test_body_says_the_parameters_in_json_and_the_email_in_base64(server, others, raw):
    lean(server).send_email(Content={"Raw": {"Data": raw}}, **others)

    [request] = server.requests
    said_in_json = json.loads(request.partition(b"\r\n\r\n")[2])
    data = base64.b64encode(raw).decode()
    assert said_in_json == {"Content": {"Raw": {"Data": data}}, **others}


def test_email_arrives_as_django_ses_hands_it_over(server, sending):
    sending(server)

    [request] = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v2/email/outbound-emails HTTP/1.1\r\n")
    parameters = json.loads(body)
    assert parameters["FromEmailAddress"] == SENDER
    assert parameters["Destination"] == {"ToAddresses": ["ada@example.com"]}
    assert b"Subject: Your order\r\n" in base64.b64decode(parameters["Content"]["Raw"]["Data"])


def test_answer_without_the_id_of_the_request_is_accepted_too(server, sending):
    server.answer = said(200, {"MessageId": "ses-1"}, x_amzn_RequestId="")

    assert sending(server) == "ses-1"


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (refused(400, "MessageRejected", "Address is blacklisted"), Refused, "MessageRejected"),
        (refused(400, "BadRequestException", "Bad"), Refused, "BadRequestException"),
        (refused(400, "MessageRejected", f"{UNVERIFIED}bob@x.net"), NotSent, "MessageRejected"),
        (refused(429, "TooManyRequestsException", "rate"), Throttled, "TooManyRequestsException"),
        (refused(418, "Teapot", "short and stout"), NotSent, "Teapot"),
        (said(400, {"__type": "com.amazonaws#Teapot", "Message": "stout"}), NotSent, "Teapot"),
        (said(403, b"<html>Forbidden</html>"), NotSent, "403"),
    ],
)
def test_refusal_of_ses_says_what_to_do(server, sending, answer, error, code):
    server.answer = answer

    with pytest.raises(error) as caught:
        sending(server)

    assert (type(caught.value), caught.value.code) == (error, code)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "breaker"),
    [
        (refused(429, "TooManyRequestsException", "Daily message quota exceeded."), "quota"),
        (refused(400, "LimitExceededException", "Too much"), "quota"),
        (refused(400, "AccountSuspendedException", "No"), "account"),
        (refused(400, "SendingPausedException", "No"), "account"),
        (refused(400, "MailFromDomainNotVerifiedException", "No"), "configuration"),
        (refused(404, "NotFoundException", "No such configuration set"), "configuration"),
        (refused(400, "MessageRejected", f"{UNVERIFIED}shop@example.com"), "configuration"),
        (refused(403, "AccessDeniedException", "No"), "configuration"),
        (refused(403, "ExpiredTokenException", "Old"), "configuration"),
        (refused(403, "InvalidSignatureException", "Wrong"), "configuration"),
        (refused(403, "MissingAuthenticationTokenException", "None"), "configuration"),
        (refused(403, "UnrecognizedClientException", "Who?"), "configuration"),
    ],
)
def test_what_stops_all_sending_names_its_breaker(server, sending, answer, breaker):
    server.answer = answer

    with pytest.raises(Unavailable) as caught:
        sending(server)

    assert caught.value.breaker == breaker


@pytest.mark.parametrize(
    "answer",
    [
        refused(500, "InternalFailure", "Sorry"),
        said(503, b"<html>Service Unavailable</html>"),
        said(503, b""),
        said(200, b"<html>Welcome to the hotel</html>"),
        said(200, b'{"MessageId": "ses'),
        said(200, b"\xff\xfe"),
        said(200, b""),
        said(200, {}),
        said(200, {"MessageId": ""}),
        written(b"no HTTP at all\r\n\r\n"),
        cut(),
        cut(b"HTTP/1.1 200 OK\r\nContent-Le"),
        cut(b'HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{"MessageId": "'),
        silent,
        written(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{"),
    ],
)
def test_answer_that_is_lost_or_cannot_be_read_is_in_doubt(server, sending, answer):
    server.answer = answer

    with pytest.raises(InDoubt):
        sending(server)

    assert len(server.requests) == 1


@pytest.mark.parametrize("content", [[], None, 7, {"MessageId": None}, "ses-1"])
def test_json_that_is_no_answer_is_in_doubt(server, sending_lean, content):
    server.answer = said(200, content)

    with pytest.raises(InDoubt):
        sending_lean(server)


def test_error_that_cannot_be_read_is_no_refusal(server, sending_lean):
    server.answer = said(400, ["what?"])

    with pytest.raises(InDoubt):
        sending_lean(server)


def test_redirect_is_not_followed(server, sending):
    server.answer = said(307, b"", Location="/elsewhere")

    with pytest.raises(NotSent):
        sending(server)

    assert len(server.requests) == 1


def test_refused_connection_is_certainly_not_sent(sending):
    closed = ScriptedServer()
    closed.stop()

    with pytest.raises(NotSent) as caught:
        sending(closed)

    assert caught.value.code == "EndpointConnectionError"


def test_email_goes_by_tls(https, sending):
    assert sending(https) == "ses-1"


def test_certificate_of_nobody_we_trust_is_certainly_not_sent(https, sending, monkeypatch):
    monkeypatch.delenv("AWS_CA_BUNDLE")

    with pytest.raises(NotSent) as caught:
        sending(https)

    assert caught.value.code == "SSLError"
    assert https.requests == []


def test_handshake_that_fails_is_certainly_not_sent(https, sending_lean):
    https.greets = False

    with pytest.raises(NotSent):
        sending_lean(https)

    assert https.requests == []


def test_tls_that_breaks_after_the_request_is_in_doubt(https, sending):
    https.answer = torn

    with pytest.raises(InDoubt):
        sending(https)

    assert len(https.requests) == 1


def test_handshake_that_never_ends_is_certainly_not_sent(sending_lean):
    plain = ScriptedServer()
    plain.url = plain.url.replace("http:", "https:")

    with pytest.raises(NotSent) as caught:
        sending_lean(plain)

    plain.stop()
    assert caught.value.code == "ConnectTimeoutError"


def test_connection_serves_the_next_call_too(server):
    client = lean(server)
    before = server.connections

    for _ in range(3):
        send(client)

    assert server.connections - before == 1


def test_connection_by_tls_serves_the_next_call_too(https):
    client = lean(https, ca_bundle=os.environ["AWS_CA_BUNDLE"])

    for _ in range(3):
        send(client)

    assert https.connections == 1


def test_connection_that_was_idle_too_long_is_not_used_again(server):
    client = lean(server, idle_seconds=0)
    before = server.connections

    for _ in range(3):
        send(client)

    assert server.connections - before == 3


def test_connection_closed_while_idle_leads_to_no_doubt(server):
    client = lean(server)
    send(client)
    server.hang_up()

    assert send(client)["MessageId"] == "ses-1"
    assert len(server.requests) == 2


def test_connection_that_ses_wants_closed_is_not_used_again(server):
    server.answer = said(200, {"MessageId": "ses-1"}, Connection="close")
    client = lean(server)
    before = server.connections

    for _ in range(2):
        send(client)

    assert server.connections - before == 2


def test_connection_cut_at_the_second_call_sends_that_call_once(server):
    client = lean(server)
    send(client)
    server.answer = cut()

    with pytest.raises(Exception, match="Connection was closed"):
        send(client)

    assert len(server.requests) == 2


@pytest.mark.parametrize("token", [None, "token-of-a-role"])
def test_signature_is_the_one_that_aws_computes(server, token):
    credentials = Credentials("key", "secret", token)

    send(lean(server, credentials=credentials))

    [request] = server.requests
    headers = headers_of(request)
    signed = headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    assert headers.get("x-amz-security-token") == token
    assert ("x-amz-security-token" in signed) == bool(token)
    assert {"host", "x-amz-date", "content-type"} <= set(signed)
    again = AWSRequest(
        "POST",
        f"{server.url}/v2/email/outbound-emails",
        headers={name: headers[name] for name in signed},
        data=request.partition(b"\r\n\r\n")[2],
    )
    again.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(credentials, "ses", "eu-west-1")
    text = signer.string_to_sign(again, signer.canonical_request(again))
    assert headers["authorization"].endswith(f"Signature={signer.signature(text, again)}")


def test_credentials_of_the_environment_are_used_with_their_token(server, sending, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-environment")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-a-session")
    ses_api.forget_clients()

    sending(server)

    ses_api.forget_clients()
    headers = headers_of(server.requests[0])
    assert "Credential=of-the-environment/" in headers["authorization"]
    assert headers["x-amz-security-token"] == "of-a-session"


def test_credentials_of_a_role_are_renewed_before_they_expire(server):
    def renewed():
        return made_of("new", timedelta(hours=1))

    old = made_of("old", timedelta(seconds=1))
    credentials = RefreshableCredentials.create_from_metadata(old, renewed, "role")

    send(lean(server, credentials=credentials))

    assert "Credential=new/" in headers_of(server.requests[0])["authorization"]


def test_credentials_that_cannot_be_renewed_are_certainly_not_sent(server):
    def renewed():
        return made_of("still old", timedelta(seconds=-1))

    old = made_of("old", timedelta(seconds=-1))
    credentials = RefreshableCredentials.create_from_metadata(old, renewed, "role")

    with pytest.raises(CredentialRetrievalError):
        send(lean(server, credentials=credentials))

    assert server.requests == []


def test_lack_of_credentials_is_certainly_not_sent(server):
    with pytest.raises(NoCredentialsError):
        send(lean(server, credentials=None))

    assert server.requests == []


def test_behind_a_proxy_boto3_calls(sending_lean, monkeypatch, caplog):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")

    with pytest.raises(NotSent) as caught:
        sending_lean(SimpleNamespace(url="https://ses.example"))

    ses_api.forget_clients()
    assert caught.value.code == "ProxyConnectionError"
    assert "service=SESv2 why=a proxy is set" in caplog.text


@pytest.mark.django_db
def test_event_becomes_one_email_by_the_lean_client(aws, consume, server, settings):
    point(settings, server.url, "lean")
    place()

    consume()
    consume()

    assert len(server.requests) == 1
    assert only().state == Notification.State.SENT
    assert only().provider_message_id == "ses-1"


@pytest.mark.processes
def test_local_aws_takes_an_email_of_the_lean_client(local_aws, settings):
    point(settings, local_aws.endpoint, "lean")
    settings.AWS_SES_CONFIG = Config(connect_timeout=3, read_timeout=20)
    message = email()
    message.subject = "By the lean client"

    ses_api.send(message)

    subjects = [mail["subject"] for mail in local_aws.mail()]
    assert "By the lean client" in subjects


def made_of(key, lifetime):
    return {
        "access_key": key,
        "secret_key": "secret",
        "token": "token",
        "expiry_time": (datetime.now(UTC) + lifetime).isoformat(),
    }
