"""One trace from the request that places an order to the call of SES."""

from __future__ import annotations

import json
import uuid

import pytest
from django.core.exceptions import ImproperlyConfigured

from notifier.monitoring import spans as telemetry
from queues.aws import sqs
from queues.events import tracing
from queues.models import OutboxEvent
from queues.outbox import relay
from tests.support.builders import make_product, shipping

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def place(client, **headers: str):
    product = make_product()
    form = shipping() | {"idempotency_key": str(uuid.uuid4()), f"quantity-{product.pk}": "1"}
    return client.post("/", form, headers=headers)


@pytest.mark.django_db
def test_order_and_its_email_are_one_trace(client, aws, consume, spans):
    aws.verify("ada@example.com")
    place(client)

    assert consume("orders") == 1

    found = {span.name: span for span in spans()}
    names = ["POST /", "publish orders", "process orders", "SES SendEmail"]
    assert [name for name in names if name in found] == names
    assert len({found[name].context.trace_id for name in names}) == 1
    assert found["SES SendEmail"].parent.span_id == found["process orders"].context.span_id
    assert found["process orders"].parent.span_id == found["POST /"].context.span_id
    assert len(aws.accepted) == 1


@pytest.mark.django_db
def test_trace_of_whoever_called_us_goes_on(client, aws, spans):
    place(client, traceparent=PARENT)

    [request] = spans()
    assert f"{request.context.trace_id:032x}" == TRACE
    assert OutboxEvent.objects.get().traceparent[3:35] == TRACE


@pytest.mark.django_db
def test_failed_call_says_its_class_and_no_address(client, aws, consume, refuses, spans):
    refuses("MessageRejected", "Email address is not verified: ada@example.com")
    place(client)

    consume("orders")

    [call] = [span for span in spans() if span.name == "SES SendEmail"]
    assert call.status.description == "MessageRejected"
    assert "ada@example.com" not in "".join(span.to_json() for span in spans())


@pytest.mark.django_db
def test_without_a_tracer_the_trace_of_a_request_still_reaches_the_queue(client, aws):
    place(client, traceparent=PARENT)
    relay.publish_pending()

    [message] = sqs.queue("orders").receive(limit=1, wait_seconds=0)
    assert message.message_attributes["traceparent"][3:35] == TRACE
    assert json.loads(message.body)["traceparent"][3:35] == TRACE


@pytest.mark.django_db
@pytest.mark.parametrize(
    "given", ["", "nonsense", f"00-{'0' * 32}-00f067aa0ba902b7-01", PARENT.upper(), PARENT + "x"]
)
def test_event_begins_a_trace_where_a_request_has_none(client, aws, given):
    place(client, traceparent=given)

    found = OutboxEvent.objects.get().traceparent
    assert tracing.valid(found)
    assert found[3:35] not in ("0" * 32, TRACE)


def test_exporter_that_is_not_installed_or_unknown_says_what_to_do(settings):
    settings.TRACES_EXPORTER = "zipkin"

    with pytest.raises(ImproperlyConfigured, match="otlp or console"):
        telemetry.start()
