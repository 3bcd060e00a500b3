"""Credentials that change while a process runs: the lean clients use the new ones as boto3's do."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.config import Config
from django.core.mail import EmailMessage

from emails.errors import Unavailable
from emails.ses import ses_api
from queues.aws import clients, sqs
from queues.errors import QueueUnavailable
from tests.support.aws.scripted_server import ScriptedServer, said

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/notifier-orders"
REFUSED = said(
    403,
    {"__type": "com.amazonaws#ExpiredTokenException", "message": "too old"},
    x_amzn_errortype="ExpiredTokenException:",
)


@pytest.fixture
def server():
    server = ScriptedServer()
    server.answer = said(200, {"MessageId": "1"})
    yield server
    server.stop()


@pytest.fixture(params=["boto3", "lean"])
def call(request, settings, server):
    settings.AWS_ENDPOINT_URL = settings.AWS_SES_REGION_ENDPOINT_URL = server.url
    settings.SQS_CLIENT = settings.SES_CLIENT = request.param
    settings.AWS_SES_CONFIG = Config(retries={"total_max_attempts": 1})
    forget()
    yield {"SQS": receive, "SES": send}
    forget()


@pytest.fixture(params=["SQS", "SES"])
def ask(request, call):
    return call[request.param]


@pytest.fixture
def source(monkeypatch, tmp_path):
    """The SDK's credentials file, and nothing else that has credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return file


def forget():
    clients.forget_clients()
    ses_api.forget_clients()


def receive():
    sqs.Queue("orders", URL).receive(limit=1, wait_seconds=0)


def send():
    ses_api.send(EmailMessage("Hello", "Hello", "shop@example.com", ["ada@example.com"]))


def write_keys(file, key):
    file.write_text(f"[default]\naws_access_key_id={key}\naws_secret_access_key=secret\n")


def keys_of(server):
    heads = [request.partition(b"\r\n\r\n")[0].decode() for request in server.requests]
    return [head.partition("Credential=")[2].partition("/")[0] for head in heads]


def test_keys_that_aws_refuses_are_read_anew(server, ask, source):
    write_keys(source, "AKIAOLD")
    server.answer = REFUSED
    with pytest.raises((QueueUnavailable, Unavailable)):
        ask()
    write_keys(source, "AKIANEW")
    server.answer = said(200, {"MessageId": "1"})

    ask()

    assert keys_of(server) == ["AKIAOLD", "AKIANEW"]


def test_keys_that_come_later_are_found_without_a_restart(server, ask, source):
    with pytest.raises((QueueUnavailable, Unavailable), match="Unable to locate credentials"):
        ask()
    write_keys(source, "AKIANEW")

    ask()

    assert keys_of(server) == ["AKIANEW"]


def test_credentials_that_are_about_to_expire_are_renewed(server, ask, source, tmp_path):
    answer = tmp_path / "answer.json"
    source.write_text(f"[default]\ncredential_process = cat {answer}\n")
    for key in ("ASIAFIRST", "ASIASECOND"):
        answer.write_text(json.dumps(temporary(key)))
        ask()

    assert keys_of(server) == ["ASIAFIRST", "ASIASECOND"]
    assert b"of-ASIASECOND" in server.requests[1]


def test_source_of_credentials_that_fails_for_a_while_is_asked_again(server, ask, source, tmp_path):
    answer = tmp_path / "answer.json"
    source.write_text(f"[default]\ncredential_process = cat {answer}\n")
    with pytest.raises((QueueUnavailable, Unavailable)):
        ask()
    answer.write_text(json.dumps(temporary("ASIANEW")))

    ask()

    assert keys_of(server) == ["ASIANEW"]


def temporary(key):
    """What a source says of credentials that are renewed at each call, because they end so soon."""
    end = datetime.now(UTC) + timedelta(minutes=5)
    return {
        "Version": 1,
        "AccessKeyId": key,
        "SecretAccessKey": "secret",
        "SessionToken": f"of-{key}",
        "Expiration": end.isoformat(),
    }
