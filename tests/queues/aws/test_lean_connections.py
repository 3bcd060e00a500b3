"""Connections of the lean clients and of boto3's: they trust the same certificates, and reach the same hosts."""

import socket

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import SSLError

from emails.ses import lean
from queues.aws import sqs
from tests.support.aws.scripted_server import ScriptedServer, certified, said

BUNDLES = ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "ca_bundle"]


@pytest.fixture
def serve(request):
    def start(tls=None, **options):
        server = ScriptedServer(tls, **options)
        request.addfinalizer(server.stop)
        server.answer = said(200, {"MessageId": "1"})
        return server

    return start


@pytest.fixture(params=["boto3", "lean"])
def kind(request):
    return request.param


@pytest.fixture(params=["sqs", "sesv2"])
def call(request, kind, tmp_path):
    """Call the service at a URL by one of the clients."""

    def call(url):
        client = boto3.session.Session().client(
            request.param,
            region_name="eu-west-1",
            endpoint_url=url,
            config=Config(retries={"total_max_attempts": 1}),
        )
        if kind == "lean":
            is_ses = request.param == "sesv2"
            found = lean.beside(client) if is_ses else sqs.lean_or(client, tries=1)
            assert found is not client
            client = found
        if request.param == "sesv2":
            return client.send_email(Content={"Raw": {"Data": b"Subject: hello\r\n\r\n"}})
        return client.receive_message(QueueUrl="https://sqs/1/q")

    return call


def trust(monkeypatch, tmp_path, bundle, certificate):
    if bundle == "ca_bundle":
        (tmp_path / "config").write_text(f"[default]\nca_bundle = {certificate}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    else:
        monkeypatch.setenv(bundle, str(certificate))


@pytest.mark.parametrize("bundle", BUNDLES)
def test_certificate_of_a_bundle_is_trusted(serve, call, monkeypatch, tmp_path, bundle):
    tls, certificate = certified(tmp_path)
    server = serve(tls)
    trust(monkeypatch, tmp_path, bundle, certificate)

    call(server.url)

    assert len(server.requests) == 1


def test_certificate_of_nobody_we_trust_is_refused(serve, call, tmp_path):
    tls, _ = certified(tmp_path)
    server = serve(tls)

    with pytest.raises(SSLError):
        call(server.url)

    assert server.requests == []


def test_certificate_of_another_host_is_refused(serve, call, monkeypatch, tmp_path):
    tls, certificate = certified(tmp_path)
    server = serve(tls)
    trust(monkeypatch, tmp_path, "AWS_CA_BUNDLE", certificate)

    with pytest.raises(SSLError):
        call(server.url.replace("127.0.0.1", "localhost"))

    assert server.requests == []


def test_certificate_that_has_expired_is_refused(serve, call, monkeypatch, tmp_path):
    tls, certificate = certified(tmp_path, days=-1)
    server = serve(tls)
    trust(monkeypatch, tmp_path, "AWS_CA_BUNDLE", certificate)

    with pytest.raises(SSLError):
        call(server.url)

    assert server.requests == []


def test_host_that_has_only_ipv6_is_reached(serve, call):
    server = serve(host="::1")

    call(server.url)

    assert b"host: [::1]:" in server.requests[0].lower()


def test_connections_are_kept_alive_where_the_sdk_is_told_to(serve, monkeypatch):
    monkeypatch.setenv("BOTOCORE_TCP_KEEPALIVE", "true")
    server = serve()
    client = boto3.session.Session().client(
        "sesv2",
        region_name="eu-west-1",
        endpoint_url=server.url,
        config=Config(retries={"total_max_attempts": 1}),
    )
    asked = []
    monkeypatch.setattr(
        socket.socket, "setsockopt", lambda self, *option: asked.append(option), raising=False
    )

    lean.beside(client).send_email(Content={"Raw": {"Data": b"Subject: hello\r\n\r\n"}})

    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in asked
