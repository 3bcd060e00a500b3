"""Sentry is told of an error, and no personal data."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.transport import Transport

from notifier.monitoring import sentry


class Kept(Transport):
    """Instead of the network."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Any) -> None:
        event = envelope.get_event()
        if event is not None:
            self.events.append(event)


@pytest.fixture
def told(settings, request):
    settings.SENTRY_DSN = "https://key@sentry.invalid/1"
    settings.RELEASE = "v7"
    transport = Kept()
    sentry.start(transport=transport, default_integrations=True, auto_enabling_integrations=False)
    request.addfinalizer(lambda: sentry_sdk.get_client().close())
    # A client made anew would go on adding headers to the calls of other tests.
    request.addfinalizer(lambda: sentry_sdk.get_global_scope().set_client(None))
    return transport.events


def test_error_is_told_with_its_release_and_without_addresses(told):
    recipient = "ada@example.com"
    logging.getLogger("queues").warning("soon to fail for %s", recipient)
    try:
        raise ValueError(f"no such mailbox: {recipient}")
    except ValueError:
        logging.getLogger("queues").exception("failed")

    [event] = told
    assert event["release"] == "v7"
    assert event["exception"]["values"][0]["type"] == "ValueError"
    assert "a***@e***.com" in json.dumps(event, default=str)
    assert recipient not in json.dumps(event, default=str)
