"""Whatever the SDK is told, the lean client sends what boto3's own would, or is not used and the log says why.

An option that a new botocore knows fails here until it has its row.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES

from emails.ses import lean
from queues.aws import lean_fit, sqs
from tests.support.aws.scripted_server import ScriptedServer, said

TRIES = 3
# What only boto3 sends; AWS does not need it.
BOTO3S_OWN = {"accept-encoding", "amz-sdk-invocation-id", "amz-sdk-request", "x-amzn-query-mode"}
ADAPTIVE = "the retry mode is adaptive"
REPEATED = "it is set to repeat calls"


@dataclass(frozen=True)
class Told:
    """What the SDK is told by a Config, the environment or its config file; ``why`` the lean client cannot do it."""

    why: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    file: str = ""


def given(why: str = "", **config: Any) -> Told:
    return Told(why, config=config)


def by(why: str = "", **environment: str) -> Told:
    return Told(why, environment=environment)


def written(lines: str, why: str = "") -> Told:
    return Told(why, file=f"[default]\n{lines}\n")


CONFIG = {
    "region_name": [given(region_name="eu-central-1")],
    "signature_version": [
        given("its signature version is v2", signature_version="v2"),
        given("its signature version is bearer", signature_version="bearer"),
        given("its calls are not signed", signature_version=UNSIGNED),
    ],
    "user_agent": [given(user_agent="shop/1")],
    "user_agent_extra": [given(user_agent_extra="shop/1")],
    "user_agent_appid": [given(user_agent_appid="shop")],
    "connect_timeout": [given(connect_timeout=4)],
    "read_timeout": [given(read_timeout=4)],
    "parameter_validation": [given(parameter_validation=False)],
    "max_pool_connections": [given(max_pool_connections=1)],
    "proxies": [
        given("a proxy is set", proxies={"http": "http://127.0.0.1:9"}),
        given(proxies={"https": "http://127.0.0.1:9"}),
    ],
    # How to talk to a proxy, if there is one.
    "proxies_config": [given(proxies_config={"proxy_client_cert": "none.pem"})],
    "s3": [given(s3={"addressing_style": "path"})],
    "s3_disable_express_session_auth": [given(s3_disable_express_session_auth=True)],
    "retries": [
        given(REPEATED, retries={"total_max_attempts": TRIES + 1}),
        given(ADAPTIVE, retries={"total_max_attempts": 1, "mode": "adaptive"}),
        given(retries={"total_max_attempts": 1, "mode": "legacy"}),
    ],
    "client_cert": [given("a client certificate is set", client_cert="ours.pem")],
    "inject_host_prefix": [given(inject_host_prefix=False)],
    "endpoint_discovery_enabled": [given(endpoint_discovery_enabled=True)],
    "use_dualstack_endpoint": [given(use_dualstack_endpoint=True)],
    "use_fips_endpoint": [given(use_fips_endpoint=True)],
    "ignore_configured_endpoint_urls": [given(ignore_configured_endpoint_urls=True)],
    "defaults_mode": [given(defaults_mode="standard")],
    "tcp_keepalive": [given(tcp_keepalive=True)],
    "request_min_compression_size_bytes": [given(request_min_compression_size_bytes=1)],
    "disable_request_compression": [given(disable_request_compression=True)],
    "client_context_params": [given(client_context_params={"anything": True})],
    "sigv4a_signing_region_set": [given(sigv4a_signing_region_set="*")],
    "request_checksum_calculation": [given(request_checksum_calculation="when_required")],
    "response_checksum_validation": [given(response_checksum_validation="when_required")],
    "account_id_endpoint_mode": [given(account_id_endpoint_mode="required")],
    "auth_scheme_preference": [given(auth_scheme_preference="sigv4a,sigv4")],
}
VARIABLES = {
    "profile": [by(AWS_PROFILE="shop")],
    "region": [by(AWS_DEFAULT_REGION="eu-central-1")],
    "data_path": [by(AWS_DATA_PATH="/nowhere")],
    "config_file": [written("region = eu-central-1")],
    # ``test_lean_tls.py`` has it.
    "ca_bundle": [by(AWS_CA_BUNDLE="/nowhere.pem")],
    "api_versions": [written("api_versions =\n  sqs = 2012-11-05\n  sesv2 = 2019-09-27")],
    "credentials_file": [written("aws_access_key_id = AKIAFILE\naws_secret_access_key = secret")],
    "metadata_service_timeout": [by(AWS_METADATA_SERVICE_TIMEOUT="2")],
    "metadata_service_num_attempts": [by(AWS_METADATA_SERVICE_NUM_ATTEMPTS="2")],
    "ec2_metadata_service_endpoint": [by(AWS_EC2_METADATA_SERVICE_ENDPOINT="http://127.0.0.1:9")],
    "ec2_metadata_service_endpoint_mode": [by(AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE="ipv6")],
    "ec2_metadata_v1_disabled": [by(AWS_EC2_METADATA_V1_DISABLED="true")],
    "imds_use_ipv6": [by(AWS_IMDS_USE_IPV6="true")],
    "use_dualstack_endpoint": [by(AWS_USE_DUALSTACK_ENDPOINT="true")],
    "use_fips_endpoint": [by(AWS_USE_FIPS_ENDPOINT="true")],
    "ignore_configured_endpoint_urls": [by(AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true")],
    "parameter_validation": [written("parameter_validation = false")],
    "csm_enabled": [by("client-side monitoring is on", AWS_CSM_ENABLED="true")],
    "csm_host": [by(AWS_CSM_HOST="127.0.0.1")],
    "csm_port": [by(AWS_CSM_PORT="9")],
    "csm_client_id": [by(AWS_CSM_CLIENT_ID="shop")],
    "endpoint_discovery_enabled": [by(AWS_ENDPOINT_DISCOVERY_ENABLED="true")],
    "sts_regional_endpoints": [by(AWS_STS_REGIONAL_ENDPOINTS="legacy")],
    # Ours do not ask for it: their Config names a mode. Who replaces AWS_SES_CONFIG may.
    "retry_mode": [by(ADAPTIVE, AWS_RETRY_MODE="adaptive"), by(AWS_RETRY_MODE="legacy")],
    "defaults_mode": [by(AWS_DEFAULTS_MODE="standard")],
    # Ours name a number as well.
    "max_attempts": [by(AWS_MAX_ATTEMPTS="9")],
    "user_agent_appid": [by(AWS_SDK_UA_APP_ID="shop"), written("sdk_ua_app_id = shop")],
    "request_min_compression_size_bytes": [by(AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES="1")],
    "disable_request_compression": [by(AWS_DISABLE_REQUEST_COMPRESSION="true")],
    "sigv4a_signing_region_set": [by(AWS_SIGV4A_SIGNING_REGION_SET="*")],
    "request_checksum_calculation": [by(AWS_REQUEST_CHECKSUM_CALCULATION="when_required")],
    "response_checksum_validation": [by(AWS_RESPONSE_CHECKSUM_VALIDATION="when_required")],
    "account_id_endpoint_mode": [by(AWS_ACCOUNT_ID_ENDPOINT_MODE="required")],
    "disable_host_prefix_injection": [by(AWS_DISABLE_HOST_PREFIX_INJECTION="true")],
    "auth_scheme_preference": [by(AWS_AUTH_SCHEME_PREFERENCE="sigv4a,sigv4")],
    "tcp_keepalive": [by(BOTOCORE_TCP_KEEPALIVE="true")],
    "s3_disable_express_session_auth": [by(AWS_S3_DISABLE_EXPRESS_SESSION_AUTH="true")],
}
# What botocore reads beside its lists of options.
BESIDE = {
    "proxy": [
        by("a proxy is set", http_proxy="http://127.0.0.1:9"),
        by("a proxy is set", HTTP_PROXY="http://127.0.0.1:9"),
        by(http_proxy="http://127.0.0.1:9", no_proxy="127.0.0.1"),
        by(https_proxy="http://127.0.0.1:9"),
        # botocore looks only for the proxy of a scheme.
        by(all_proxy="http://127.0.0.1:9"),
        Told(config={"proxies": {}}, environment={"http_proxy": "http://127.0.0.1:9"}),
    ],
    "credentials": [
        by(AWS_SESSION_TOKEN="of-a-session"),
        by(AWS_BEARER_TOKEN_SQS="token", AWS_BEARER_TOKEN_SES="token"),
        by(AWS_BEARER_TOKEN_BEDROCK="token"),
    ],
    "lambda": [by(AWS_LAMBDA_FUNCTION_NAME="shop", _X_AMZN_TRACE_ID="Root=1-2;Parent=3;Sampled=0")],
}
ROWS = [
    pytest.param(told, id=f"{kind}-{name}-{number}")
    for kind, table in (("config", CONFIG), ("variable", VARIABLES), ("beside", BESIDE))
    for name, rows in table.items()
    for number, told in enumerate(rows)
]
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "sqs": ("receive_message", {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/123456789012/q"}),
    "sesv2": (
        "send_email",
        {
            "FromEmailAddress": "shop@example.com",
            "Destination": {"ToAddresses": ["ada@example.com"]},
            "Content": {"Raw": {"Data": b"Subject: hello\r\n\r\n" + b"x" * 20_000}},
        },
    ),
}


@pytest.fixture(scope="module")
def one_server():
    server = ScriptedServer()
    yield server
    server.stop()


@pytest.fixture
def server(one_server):
    one_server.requests.clear()
    one_server.answer = said(200, {"MessageId": "1"})
    return one_server


@pytest.fixture(params=CALLS)
def service(request):
    return request.param


@pytest.fixture
def tell(settings, monkeypatch, tmp_path):
    """Tell a new session what a row says, and return it; nothing is known from before."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    lean_fit.say_once.cache_clear()
    sessions: list[Any] = []

    def tell(told=None):
        told = told or Told()
        for name, value in told.environment.items():
            monkeypatch.setenv(name, value)
        if "_key_id" in told.file:
            monkeypatch.delenv("AWS_ACCESS_KEY_ID")
            monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        shop = "[profile shop]\naws_access_key_id = AKIASHOP\naws_secret_access_key = secret\n"
        (tmp_path / "config").write_text(shop + told.file)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        settings.IN_LAMBDA = "AWS_LAMBDA_FUNCTION_NAME" in told.environment
        sessions.append(boto3.session.Session())
        return sessions[-1]

    yield tell
    for session in sessions:
        if monitor := session._session._get_internal_component("monitor"):
            monitor._publisher._socket.close()


def made(session, service, told=None, **options):
    """boto3's client, and what takes its place."""
    config: dict[str, Any] = {"retries": {"total_max_attempts": 1}} | (told.config if told else {})
    options = {"region_name": "eu-west-1", "config": Config(**config)} | options
    boto3_client = session.client(service, **options)
    return boto3_client, chosen(service, boto3_client)


def chosen(service, client):
    return lean.beside(client) if service == "sesv2" else sqs.lean_or(client, tries=TRIES)


def call(client, service):
    method, parameters = CALLS[service]
    getattr(client, method)(**parameters)


def read(request):
    """What must not differ: first line, headers, the way, key and scope of the signature, and the body."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    signature = headers.pop("authorization").partition(" signedheaders")[0]
    assert headers.pop("x-amz-date")
    # botocore notes there which of its features a call used.
    headers["user-agent"] = re.sub(r" m/\S+", "", headers["user-agent"])
    shared = {name: value for name, value in headers.items() if name not in BOTO3S_OWN}
    return first, shared, signature, json.loads(body)


def test_every_option_of_botocore_has_its_row():
    assert set(CONFIG) == set(Config.OPTION_DEFAULTS)
    assert set(VARIABLES) == set(BOTOCORE_DEFAUT_SESSION_VARIABLES)


@pytest.mark.parametrize("told", ROWS)
def test_the_lean_client_sends_what_boto3_would_or_the_log_says_why_not(
    server, service, tell, told, caplog
):
    boto3_client, client = made(tell(told), service, told, endpoint_url=server.url)

    if told.why:
        assert client is boto3_client
        [record] = caplog.records
        assert record.getMessage().endswith(f"why={told.why}")
    else:
        call(boto3_client, service)
        call(client, service)
        assert client is not boto3_client
        assert read(server.requests[0]) == read(server.requests[1])
        assert caplog.records == []


@pytest.mark.parametrize("variant", ["use_fips_endpoint", "use_dualstack_endpoint"])
@pytest.mark.parametrize("region", ["us-east-1", "us-gov-west-1", "cn-north-1", "us-iso-east-1"])
def test_the_lean_client_calls_the_endpoint_that_boto3_would(service, tell, region, variant):
    method, parameters = CALLS[service]
    choices: list[dict[str, Any]] = [{}, {variant: True}]
    for asked in choices:
        config = Config(retries={"total_max_attempts": 1}, **asked)
        client = tell().client(service, region_name=region, config=config)

        found = lean_fit.endpoint(client, method, tries=TRIES, **parameters)

        url, scope = sent_by(client, service)
        assert found and found.url == url
        assert f"/{found.region}/{found.signing_name}/aws4_request" in scope


@pytest.mark.parametrize(
    "told",
    [
        lambda url: by(AWS_ENDPOINT_URL_SQS=url, AWS_ENDPOINT_URL_SESV2=url),
        lambda url: by(AWS_ENDPOINT_URL=url),
        lambda url: by(AWS_ENDPOINT_URL=f"{url}/behind/a/path"),
        lambda url: written(f"endpoint_url = {url}"),
        lambda url: written(
            f"services = ours\n[services ours]\nsqs =\n  endpoint_url = {url}\n"
            f"sesv2 =\n  endpoint_url = {url}"
        ),
    ],
)
def test_endpoint_of_the_sdks_own_settings_is_called(server, service, tell, told):
    boto3_client, client = made(tell(told(server.url)), service)

    call(boto3_client, service)
    call(client, service)

    assert client is not boto3_client
    assert read(server.requests[0]) == read(server.requests[1])


def test_endpoint_that_the_sdk_is_to_ignore_is_not_called(service, tell):
    told = by(AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="true")
    client, _ = made(tell(told), service)
    method, parameters = CALLS[service]

    found = lean_fit.endpoint(client, method, tries=TRIES, **parameters)

    assert found and found.url.startswith("https://")
    assert found.url == sent_by(client, service)[0]


def test_the_reason_is_logged_once_however_often_clients_are_made(server, service, tell, caplog):
    told = by("a proxy is set", http_proxy="http://127.0.0.1:9")
    session = tell(told)

    for _ in range(3):
        made(session, service, endpoint_url=server.url)

    assert len(caplog.records) == 1


def test_headers_that_somebody_adds_to_boto3s_calls_are_left_to_boto3(service, tell, caplog):
    boto3_client, _ = made(tell(), service)
    name = "SendEmail" if service == "sesv2" else "ReceiveMessage"
    boto3_client.meta.events.register(
        f"before-call.{service}.{name}",
        lambda params, **kwargs: params["headers"].update(X_Shop="1"),
    )

    assert chosen(service, boto3_client) is boto3_client
    assert "it sends x_shop" in caplog.text


def sent_by(client, service):
    """The URL and the Authorization of boto3's own call, which does not leave."""
    found = []

    def answer(request, **kwargs):
        found.append((request.url, request.headers["Authorization"].decode()))
        return AWSResponse(request.url, 200, HTTPHeaders(), RawAnswer())

    client.meta.events.register("before-send", answer)
    call(client, service)
    client.meta.events.unregister("before-send", answer)
    return found[0]


class RawAnswer:
    def stream(self, **kwargs):
        yield b'{"MessageId": "1"}'


def test_headers_of_sentry_keep_no_lean_client_away(tell, service):
    def add(request, **event):
        request.headers["sentry-trace"] = f"{'a' * 32}-{'b' * 16}-1"
        request.headers["baggage"] = "sentry-release=1"

    boto3_client, _ = made(tell(), service)
    boto3_client.meta.events.register("before-sign", add)

    assert chosen(service, boto3_client) is not boto3_client
