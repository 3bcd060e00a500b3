"""Log lines as JSON, and the request that a line belongs to."""

from __future__ import annotations

import ast
import json
import logging
import subprocess
import sys
import uuid

import pytest

from notifier.monitoring import json_logs
from orders.models import Order
from queues.dead_letters import collecting, decisions
from queues.models import DeadLetter, OutboxEvent
from tests.support.aws.local_aws import ROOT
from tests.support.builders import make_order, make_product, shipping
from tests.support.parcels import record


@pytest.fixture
def lines(request):
    """The JSON of what is logged from now on."""
    found: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(self.format(record))

    handler = Keep()
    handler.setFormatter(json_logs.formatter())
    logging.getLogger().addHandler(handler)
    request.addfinalizer(lambda: logging.getLogger().removeHandler(handler))
    return lambda: [json.loads(line) for line in found]


def said(template: str, *values: object, lines) -> dict[str, object]:
    logging.getLogger("queues.consumer.handling").info(template, *values)
    found: dict[str, object] = lines()[-1]
    return found


# docs/reference/log.md, "The life of an event".
STEPS = ["recorded", "published", "received", "handled", "deleted", "dead-lettered", "redriven"]


def templates():
    """The texts of all log lines of ours that are written out."""
    for app in ("queues", "emails", "notifier", "orders", "sandbox"):
        for path in (ROOT / app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in LOGS and node.args:
                    text = node.args[0]
                    if isinstance(text, ast.Constant):
                        yield f"{path.relative_to(ROOT)}:{node.lineno}", text.value


LOGS = {f"logger.{level}" for level in ("info", "warning", "error", "exception")}


def test_every_line_of_ours_names_its_step():
    found = dict(templates())

    assert len(found) > 100
    assert [place for place, text in found.items() if not json_logs._step(text)] == []


@pytest.mark.django_db
def test_each_step_in_the_life_of_an_event_has_its_name_and_the_id_of_the_event(
    consume, settings, lines
):
    settings.QUEUE_MAX_RECEIVE_COUNT = 3
    # No handler takes it, so it becomes a dead letter.
    row = record()
    for _ in range(4):
        consume()
    collecting.collect_all()
    decisions.redrive(DeadLetter.objects.all())

    named = {line["step"] for line in lines() if line.get("event_id") == str(row.event_id)}
    make_order()
    consume()
    other = OutboxEvent.objects.latest("pk")
    named |= {line["step"] for line in lines() if line.get("event_id") == str(other.event_id)}

    assert set(STEPS) <= named


def test_names_in_a_line_become_fields(lines):
    event_id = uuid.uuid4()

    line = said(
        "received event=%s queue=%s message=%s receive=%d", event_id, "orders", "m", 2, lines=lines
    )

    assert (
        line.items()
        >= {
            "step": "received",
            "event_id": str(event_id),
            "queue": "orders",
            "message_id": "m",
            "receive": 2,
            "level": "info",
            "logger": "queues.consumer.handling",
        }.items()
    )
    assert line["text"] == f"received event={event_id} queue=orders message=m receive=2"


@pytest.mark.parametrize(
    ("template", "values", "step"),
    [
        ("not handled event=%s back_in=%ds code=%s: %s", ("e", 5, "c", "why"), "not handled"),
        ("no heartbeat: %s", ("OperationalError",), "no heartbeat"),
        ("100 %% sure", (), "100"),
        ("nothing named", (), "nothing named"),
    ],
)
def test_step_is_what_a_line_says_without_its_values(lines, template, values, step):
    assert said(template, *values, lines=lines)["step"] == step


def test_no_address_is_in_a_line_nor_in_its_traceback(lines):
    try:
        raise ValueError("\x1fada@example.com")
    except ValueError:
        logging.getLogger("queues").exception("failed recipient=%s", "ada@example.com")

    [line] = lines()
    assert "ada@example.com" not in json.dumps(line)
    assert "a***@e***.com" in line["exception"]
    assert line["recipient"] == "a***@e***.com"


def test_field_of_a_line_cannot_take_the_place_of_its_own(lines):
    assert said("odd level=%s", "forged", lines=lines)["level"] == "info"


@pytest.mark.django_db
def test_event_is_recorded_under_the_id_of_its_request(client, lines, settings):
    settings.LOG_FORMAT = "json"
    product = make_product()
    form = shipping() | {"idempotency_key": str(uuid.uuid4()), f"quantity-{product.pk}": "1"}

    response = client.post("/", form, headers={"X-Request-ID": "from-the-proxy-1"})

    assert Order.objects.count() == 1, response.content
    assert response["X-Request-ID"] == "from-the-proxy-1"
    found = {line["step"]: line["request_id"] for line in lines() if "request_id" in line}
    assert found["recorded"] == found["answered"] == "from-the-proxy-1"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "given", ["short", "x" * 200, "with space here", "<script>alert(1)</script>"]
)
def test_request_id_of_a_stranger_is_replaced_where_it_is_none(client, given):
    response = client.get("/", headers={"X-Request-ID": given})

    assert response["X-Request-ID"] != given
    assert len(response["X-Request-ID"]) == 32


@pytest.mark.django_db
def test_line_of_a_request_names_its_route_and_not_its_path(client, lines, settings):
    settings.LOG_FORMAT = "json"

    client.get("/admin/search/?q=ada@example.com")

    [line] = [line for line in lines() if line["step"] == "answered"]
    assert (line["route"], line["method"], line["status"]) == ("/admin/search/", "GET", 302)
    assert "ada" not in json.dumps(line)


def test_consumers_load_nothing_of_this_unless_settings_ask_for_it():
    program = (
        "import django, sys; django.setup(); "
        "from queues.management.commands import consume_queue; "
        "heavy = {'structlog', 'opentelemetry', 'sentry_sdk', 'prometheus_client', 'queues.doctor.roundtrip'}; "
        "print(sorted(heavy & sys.modules.keys()))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"ENV_FILE": "tests/test.env", "DJANGO_SETTINGS_MODULE": "notifier.settings"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]", done.stderr
