"""What an error of SES or of the SDK says of the email: not sent, never to be sent, or in doubt."""

import contextlib
import sys
import textwrap
from typing import Any

import botocore.exceptions as boto
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from django.core.mail import EmailMessage

from emails.errors import InDoubt, NotSent, Refused, Throttled, Unavailable
from emails.ses import error_codes, ses_api
from queues.aws.failures.departures import Departure
from tests.support.aws.scripted_server import ScriptedServer, cut, said

SENDER = "shop@example.com"
LEFT, HERE = Departure(has_left=True), Departure(has_left=False)
CONFIG = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1})
PAUSED = [
    # https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-error-messages.html
    "Account is paused",
    "Sending paused for this account. For more information, please check the inbox of the email address associated"
    " with your AWS account.",
    "Email sending for the account is paused.",
    "Email sending for the configuration set notifier is paused.",
    "Email sending is disabled for the configuration set notifier",
    "Sending suspended for this account.",
    "Your account has been suspended.",
    "Email sending has been disabled for your entire Amazon SES account.",
    "We have temporarily disabled the account",
    "Your account's ability to send email was shut down.",
    "Account shutdown",
]


@pytest.fixture(params=["v1", "v2", "lean"])
def version(request, settings, monkeypatch):
    settings.USE_SES_V2 = request.param != "v1"
    settings.SES_CLIENT = "lean" if request.param == "lean" else "boto3"
    settings.AWS_SES_CONFIG = CONFIG
    yield request.param
    ses_api.forget_clients()


@pytest.fixture
def server(version, settings):
    server = ScriptedServer()
    settings.AWS_SES_REGION_ENDPOINT_URL = server.url
    yield server
    server.stop()


def send():
    return ses_api.send(EmailMessage("Order", "Thank you", SENDER, ["ada@example.com"]))


def refused(version, status, code, text):
    if version == "v1":
        body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{text}</Message></Error></ErrorResponse>"
        return said(status, body.encode())
    return said(status, {"message": text}, x_amzn_errortype=code)


@pytest.mark.parametrize("text", PAUSED)
@pytest.mark.parametrize("code", ["MessageRejected", "BadRequestException", "Forbidden", "400"])
def test_paused_account_is_no_refusal_whatever_its_code(code, text):
    found = error_codes.answered(code, text, 400, sender=SENDER)

    assert isinstance(found, Unavailable)
    assert found.breaker == "account"


@pytest.mark.parametrize(
    "code",
    [
        "AccountSendingPausedException",
        "AccountSuspendedException",
        "ConfigurationSetSendingPausedException",
        "SendingPausedException",
    ],
)
def test_code_of_a_pause_needs_no_words(server, version, code):
    server.answer = refused(version, 400, code, "No")

    with pytest.raises(Unavailable) as caught:
        send()

    assert caught.value.breaker == "account"


def test_paused_account_is_told_by_its_words_at_each_api(server, version):
    server.answer = refused(version, 400, "MessageRejected", PAUSED[1])

    with pytest.raises(Unavailable) as caught:
        send()

    assert caught.value.breaker == "account"


@pytest.mark.parametrize(
    "text",
    [
        "Address is blacklisted",
        "Address is on the suppression list of the account",
        "Illegal address: paused@sending.example",
        "The recipient's account is disabled",
        "Local address contains control or whitespace",
    ],
)
def test_refusal_of_an_address_is_final(text):
    assert isinstance(error_codes.answered("MessageRejected", text, 400, sender=SENDER), Refused)


def test_unverified_address_with_words_of_a_pause_may_heal():
    text = "Email address is not verified. The following identities failed the check: account.suspended@sending.example"

    assert type(error_codes.answered("MessageRejected", text, 400, sender=SENDER)) is NotSent


def test_words_of_a_failed_server_are_not_those_of_ses():
    for text in ("Sending paused for this account", "Daily message quota exceeded"):
        assert isinstance(error_codes.answered("502", text, 502, sender=SENDER), InDoubt)


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("Throttling", 400, Throttled),
        ("ThrottlingException", 503, Throttled),
        ("OfTomorrow", 400, NotSent),
        ("OfTomorrow", 500, InDoubt),
        ("InternalFailure", 500, InDoubt),
        ("ServiceUnavailable", 503, InDoubt),
        ("408", 408, InDoubt),
        ("InvalidParameterValue", 400, Refused),
    ],
)
def test_code_and_status_say_what_became_of_the_email(code, status, expected):
    assert type(error_codes.answered(code, "no", status, sender=SENDER)) is expected


@pytest.mark.parametrize(
    "code",
    [
        "AccessDeniedException",
        "ExpiredToken",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "SubscriptionRequiredException",
        "UnrecognizedClientException",
    ],
)
def test_signature_and_subscription_are_a_matter_of_configuration(code):
    found = error_codes.answered(code, "no", 403, sender=SENDER)

    assert isinstance(found, Unavailable)
    assert found.breaker == "configuration"


FIELDS = """provider error_msg path profile cred_var data_path endpoint_url error proxy_url region_name service_name
    report msg actual_bytes expected_bytes name operation_name"""


def sdk_errors():
    """Return one error of each class of the SDK that needs no other words than these."""
    fields, found = dict.fromkeys(FIELDS.split(), "x"), []
    classes = [boto.BotoCoreError]
    for each in classes:
        classes += [below for below in each.__subclasses__() if below not in classes]
        with contextlib.suppress(KeyError, TypeError):
            found.append(each(**fields))
    return found


@pytest.mark.parametrize("exc", sdk_errors(), ids=lambda exc: type(exc).__name__)
def test_error_of_the_sdk_is_in_doubt_only_if_the_request_has_left(exc):
    connecting = (
        boto.ConnectTimeoutError,
        boto.EndpointConnectionError,
        boto.ProxyConnectionError,
    )

    assert isinstance(error_codes.classified(exc, HERE), (NotSent, Refused))
    after = error_codes.classified(exc, LEFT)
    assert type(after) is (NotSent if isinstance(exc, connecting) else InDoubt)


@pytest.mark.parametrize("exc", [ValueError("x"), RuntimeError("x"), AttributeError("x")])
def test_error_of_nobody_is_in_doubt_only_if_the_request_has_left(exc):
    assert type(error_codes.classified(exc, HERE)) is NotSent
    assert type(error_codes.classified(exc, LEFT)) is InDoubt


def test_client_that_does_not_tell_when_a_request_leaves_leaves_a_doubt(server, monkeypatch):
    class Client:
        def send_raw_email(self, **parameters):
            raise RuntimeError("nobody knows")

        send_email = send_raw_email

    monkeypatch.setattr(ses_api.connection(), "connection", Client())

    with pytest.raises(InDoubt):
        send()


@pytest.mark.parametrize("answer", [cut(), cut(b"HTTP/1.1 200 OK\r\nCont"), said(200, b"<html>")])
def test_request_that_has_left_is_in_doubt_at_each_api(server, answer):
    server.answer = answer

    with pytest.raises(InDoubt):
        send()

    assert len(server.requests) == 1


def test_earlier_error_while_connecting_says_nothing_of_this_call(server):
    def connect():
        raise ConnectionRefusedError

    server.answer = cut()
    try:
        connect()
    except ConnectionRefusedError:
        with pytest.raises(InDoubt):
            send()


@pytest.fixture
def no_keys(monkeypatch, tmp_path):
    """Take the keys of the environment away; returns the SDK's config file, which is empty."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "config"
    config.write_text("")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    ses_api.forget_clients()
    return config


PROCESS = f"credential_process = {sys.executable} -c"
CONFIGS = {
    "none": "",
    "cannot be parsed": "[default\n",
    "partial": "[default]\naws_access_key_id = AKIA\n",
    "process fails": f"[default]\n{PROCESS} 'exit(3)'\n",
    "process that is none": "[default]\ncredential_process = /no/such/program\n",
    "process writes no JSON": f"[default]\n{PROCESS} 'print(1, 2)'\n",
    "process writes other JSON": f"""[default]\n{PROCESS} 'print("[]")'\n""",
    "process gives expired keys": f"[default]\n{PROCESS} 'import json; print(json.dumps(dict(Version=1,"
    'AccessKeyId="a",SecretAccessKey="b",SessionToken="c",Expiration="2020-01-01T00:00:00Z")))\'\n',
    "sso without a login": textwrap.dedent(
        """\
        [default]
        sso_session = shop
        sso_account_id = 123456789012
        sso_role_name = sender
        [sso-session shop]
        sso_region = eu-west-1
        sso_start_url = https://shop.awsapps.com/start
        """
    ),
    "role without a source": "[default]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = gone\n",
    "role of itself": "[default]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = default\n",
    "web identity without a file": "[default]\nrole_arn = arn:aws:iam::1:role/x\n"
    "web_identity_token_file = /no/such/file\n",
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_credentials_that_cannot_be_got_leave_no_doubt(server, no_keys, config):
    no_keys.write_text(config)

    with pytest.raises(Unavailable) as caught:
        send()

    assert caught.value.breaker == "configuration"
    assert server.requests == []


def test_profile_that_is_not_there_leaves_no_doubt(server, no_keys, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "gone")

    with pytest.raises(Unavailable):
        send()


@pytest.mark.parametrize(
    "answer",
    [
        said(500, b"<html>"),
        said(403, b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"),
        said(400, b"<ErrorResponse><Error><Code>ValidationError</Code></Error></ErrorResponse>"),
        said(200, b"<html>Sign in"),
        said(200, b"{}"),
        cut(),
    ],
)
def test_role_that_sts_does_not_give_leaves_no_doubt(server, no_keys, monkeypatch, answer):
    sts = ScriptedServer()
    sts.answer = answer
    no_keys.write_text(
        "[default]\nrole_arn = arn:aws:iam::123456789012:role/sender\nsource_profile = keys\n"
        "[profile keys]\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    with pytest.raises(Unavailable) as caught:
        send()

    sts.stop()
    assert caught.value.breaker == "configuration"
    assert sts.requests
    assert server.requests == []


def test_error_of_sts_is_not_taken_for_an_answer_of_ses(server, version):
    """However the SDK came to ask: by its name it could be a refusal of the email."""
    answer: Any = {"Error": {"Code": "ValidationError", "Message": "no"}}
    events = _events(version)
    events.append(ClientError(answer, "AssumeRole"))

    with pytest.raises(Unavailable):
        send()

    assert server.requests == []


def _events(version):
    """Return a list; an error put into it is raised where credentials are asked for."""
    errors: list[Exception] = []
    client: Any = ses_api.connection().connection
    credentials = client._service._credentials if version == "lean" else client._get_credentials()

    def refreshed():
        raise errors[0]

    credentials.get_frozen_credentials = refreshed
    return errors
