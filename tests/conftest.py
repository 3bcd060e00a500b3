"""Fixtures for all tests: AWS in process, a mailbox, the outbox's way to a consumer."""

from __future__ import annotations

import gc
import itertools
import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from django.urls import get_resolver
from moto import mock_aws  # before any client is made, or moto does not see its calls
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends
from moto.sesv2.responses import SESV2Response
from moto.sqs import models as sqs_models
from unfold.apps import DefaultAppConfig

from emails.sending import limiter
from emails.ses import brands, ses_api
from emails.versions import editions, in_force
from queues.aws import provisioning, sqs
from queues.consumer.loop import Consumer
from queues.events import tracing
from queues.outbox import claims, looks, relay
from sandbox.sqs import WholeQueue
from tests.support.aws import provisioned
from tests.support.aws.local_aws import ROOT, local_aws  # noqa: F401  # a fixture
from tests.support.aws.stub_aws import fast_platform  # noqa: F401  # a fixture
from tests.support.browser import chromium, site  # noqa: F401  # fixtures
from tests.support.processes import platform  # noqa: F401  # a fixture

SENDER = "shop@example.com"
# Without it moto forgets queue policies.
sqs_models.Queue = WholeQueue


# Whatever is here takes seconds a test: processes, whole histories, pages in a browser, builds, waits.
_SLOW_FOLDERS = ("benchmarks", "browser", "faults", "infra", "journeys", "notifier/doctor")
_SLOW_FIXTURES = {"local_aws", "platform", "fast_platform", "chromium"}
_SLOW_MARKERS = ("browser", "processes", "locking")


def _is_slow(item: pytest.Item) -> bool:
    folder = item.path.parent.relative_to(ROOT / "tests").as_posix()
    return (
        folder.startswith(_SLOW_FOLDERS)
        or not _SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
        or any(item.get_closest_marker(name) for name in _SLOW_MARKERS)
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow by what it uses and where it stands, so that nobody has to remember it; the slowest go first.

    A test of a minute that begins last would keep the other workers waiting.
    """
    for item in items:
        if _is_slow(item):
            item.add_marker(pytest.mark.slow)
    items.sort(
        key=lambda item: (
            not item.get_closest_marker("browser"),
            not item.get_closest_marker("slow"),
        )
    )


def pytest_collection_finish() -> None:
    """Load the pages, and spare the garbage collector what was imported: each full collection would walk all of it.

    Loaded here, no failing test leaves half of an admin to the others. A test that changes INSTALLED_APPS lets each app
    get ready again, and Unfold would put an empty admin in the place of ours.
    """
    _ = get_resolver().url_patterns
    DefaultAppConfig.ready = lambda self: None
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _answer_what_moto_lacks(monkeypatch) -> None:
    """In this process moto raises where its server, and other emulators, answer 404."""
    call = SESV2Response.call_action

    def answer(self: Any) -> Any:
        try:
            return call(self)
        except NotImplementedError:
            return 404, {}, "{}"

    monkeypatch.setattr(SESV2Response, "call_action", answer)


class Aws:
    """AWS as moto has it in this process: the judge of what was sent."""

    def __init__(self, region: str) -> None:
        self._region = region

    @property
    def accepted(self) -> list[Any]:
        """The emails that SES took, oldest first."""
        return list(ses_backends[DEFAULT_ACCOUNT_ID][self._region].sent_messages)

    def verify(self, address: str) -> None:
        """Moto verifies at once."""
        ses_api.api().verify_email_identity(EmailAddress=address)


@pytest.fixture(autouse=True)
def nobody_remembers_a_sender() -> Iterator[None]:
    """What one test chose is in no other test's mind."""
    for known in (brands, editions, in_force):
        known.forget()
    yield
    for known in (brands, editions, in_force):
        known.forget()


@pytest.fixture(autouse=True)
def nobody_has_slots_left() -> Iterator[None]:
    """Drop what one test did not use, so that no other test gets it."""
    limiter.forget()
    yield
    limiter.forget()


@pytest.fixture(autouse=True)
def relay_looks_from_the_start(monkeypatch) -> None:
    """Let no test's relay begin where that of another test was: the ids are others.

    No look of it is slow, whatever else the machine does: after a slow one it would pause, and publish nothing.
    """
    claims.forget()
    monkeypatch.setattr(looks, "QUICK_SECONDS", math.inf)


def _lacks_get_account(self: Any) -> Any:
    return 404, {"status": 404, "x-amzn-errortype": "UnknownOperationException"}, "{}"


@pytest.fixture
def aws(settings, monkeypatch) -> Iterator[Aws]:
    """Queues, topic and configuration set made, the sender verified."""
    monkeypatch.setattr(SESV2Response, "get_account", _lacks_get_account, raising=False)
    here = Aws(settings.AWS_REGION)

    def make() -> None:
        provisioning.provision(lambda line: None)
        here.verify(SENDER)

    with mock_aws():
        provisioned.restore(make)
        yield here


class Account:
    """What SES says of the account when it is asked: ``production``, ``sandbox``, ``silent``, or any other answer."""

    def __init__(self) -> None:
        self.kind: Any = "production"
        self.asked = 0

    def answer(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Instead of GetAccount, which moto has not got."""
        self.asked += 1
        if self.kind == "silent":
            raise EndpointConnectionError(endpoint_url="http://ses")
        is_named = self.kind in ("production", "sandbox")
        answer = {"ProductionAccessEnabled": self.kind == "production"} if is_named else self.kind
        return SimpleNamespace(status_code=200), answer


@pytest.fixture
def account(aws) -> Iterator[Account]:
    """Whether SES takes any recipient."""
    events: Any = ses_api.api_v2().meta.events
    here = Account()
    events.register("before-call.sesv2.GetAccount", here.answer)
    yield here
    events.unregister("before-call.sesv2.GetAccount", here.answer)


@pytest.fixture
def consume(aws):
    """Publish what the outbox holds, then handle what is there, without threads; returns how many."""

    def run(*aliases: str) -> int:
        while relay.publish_pending():
            pass
        return Consumer(sqs.queues(aliases), concurrency=1).poll_once()

    return run


@pytest.fixture
def spans(request):
    """The spans that are exported, as a collector would get them."""
    # Loaded only here: few tests trace.
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from notifier.monitoring import spans as telemetry

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(telemetry.Tracer(provider))
    request.addfinalizer(lambda: tracing.use(None))
    return exporter.get_finished_spans


@pytest.fixture
def refuses(aws, request):
    """Let SES answer sends with an error code and text: always, or the next ``times`` ones."""

    def install(code: str, text: str, *, status: int = 400, times: int | None = None) -> None:
        events = ses_api.connection().connection.meta.events
        left = itertools.count() if times is None else iter(range(times))

        def answer(http_response: Any, parsed: dict[str, Any], **kwargs: Any) -> None:
            if next(left, None) is None:
                return
            http_response.status_code = status
            parsed.clear()
            parsed["Error"] = {"Code": code, "Message": text}
            parsed["ResponseMetadata"] = {"HTTPStatusCode": status}

        events.register("after-call.sesv2.SendEmail", answer)
        request.addfinalizer(lambda: events.unregister("after-call.sesv2.SendEmail", answer))

    return install
