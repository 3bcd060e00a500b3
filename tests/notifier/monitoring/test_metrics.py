"""The figures for monitoring: at /metrics, and as CloudWatch's embedded metrics."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from emails.models import Breaker
from notifier.monitoring import cloudwatch, gauges
from notifier.monitoring.prometheus import prometheus_name
from queues.models.live import Figure, QueueDepth
from queues.upkeep.figures import MINUTE, TEN_MINUTES, floor
from tests.support.aws.local_aws import ROOT
from tests.support.living import make_consumer, make_silent
from tests.support.rows import make_dead_letter, make_notification, make_outbox_event

pytestmark = pytest.mark.django_db

# Read only once SES has told of them, or an email was sent.
SOMETIMES = {
    "notifier_order_to_ses_p50_seconds",
    "notifier_order_to_ses_p95_seconds",
    "notifier_quota_used",
    "notifier_send_rate_limit",
    "notifier_ses_report_age_seconds",
}


def value(name: str, queue: str = "") -> float:
    [found] = [each.value for each in gauges.read() if (each.name, each.queue) == (name, queue)]
    return found


@pytest.fixture
def troubled():
    """An installation in which a person is needed for everything."""
    now = timezone.now()
    make_dead_letter()
    make_dead_letter(parked_until=now + timedelta(days=1))
    make_consumer()
    make_silent(pid=18)
    event = make_outbox_event(state="pending")
    type(event).objects.filter(pk=event.pk).update(recorded_at=now - timedelta(seconds=300))
    make_notification(attempt_started_at=now - timedelta(seconds=500))
    Breaker.objects.create(name="quota", is_open=True)
    QueueDepth.objects.create(alias="orders", visible=7, delayed=1, in_flight=2, asked_at=now)
    counts = {"accepted": 100, "bounced": 5, "complained": 1, "orders": 3}
    for seconds in (MINUTE, TEN_MINUTES):
        Figure.objects.create(seconds=seconds, begins_at=floor(now, seconds), counts=counts)


def test_figures_say_what_needs_a_person(troubled):
    assert value("OpenDeadLetters") == 1
    assert value("OldestOutboxAgeSeconds") == pytest.approx(300, abs=20)
    assert value("OldestDoubtAgeSeconds") == pytest.approx(500, abs=20)
    assert (value("InDoubt"), value("LateEvents"), value("BreakersOpen")) == (1, 1, 1)
    assert (value("ConsumersAlive"), value("ConsumersSilent")) == (1, 1)
    assert (value("QueueWaiting", "orders"), value("QueueConsumers", "orders")) == (8, 1)
    assert (value("BounceRate"), value("ComplaintRate")) == (0.05, 0.01)


def test_event_that_was_recorded_just_now_has_its_age():
    event = make_outbox_event(state="pending")
    type(event).objects.update(recorded_at=timezone.now() - timedelta(seconds=30))

    assert value("OldestOutboxAgeSeconds") == pytest.approx(30, abs=15)
    assert value("LateEvents") == 0


def test_nothing_is_owed_where_nothing_happened():
    assert value("OpenDeadLetters") == value("OldestOutboxAgeSeconds") == value("InDoubt") == 0


def test_number_of_questions_does_not_grow_with_the_rows(troubled, django_assert_max_num_queries):
    for _ in range(30):
        make_dead_letter()
        make_outbox_event(state="pending")

    with django_assert_max_num_queries(25):
        gauges.read()


def test_prometheus_reads_all_figures(client, troubled):
    response = client.get("/metrics")

    families = {
        family.name: family for family in text_string_to_metric_families(response.content.decode())
    }
    assert families["notifier_open_dead_letters"].samples[0].value == 1
    [sample] = families["notifier_queue_waiting"].samples
    assert (sample.labels, sample.value) == ({"queue": "orders"}, 8)
    assert len(families) == len({gauge.name for gauge in gauges.read()})


def test_figures_name_nobody(client, troubled):
    assert "@" not in client.get("/metrics").content.decode()


@pytest.mark.parametrize(
    ("token", "given", "status"),
    [("secret", "Bearer secret", 200), ("secret", "Bearer other", 401), ("secret", "", 401)],
)
def test_token_opens_metrics_from_anywhere(client, settings, token, given, status):
    settings.METRICS_TOKEN = token

    response = client.get("/metrics", headers={"Authorization": given}, REMOTE_ADDR="192.0.2.1")

    assert response.status_code == status


@pytest.mark.parametrize(
    "request_of_a_stranger",
    [
        {"REMOTE_ADDR": "192.0.2.1"},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_PROTO": "https"},
        {"REMOTE_ADDR": "nonsense"},
    ],
)
def test_without_a_token_only_this_machine_may_ask(client, request_of_a_stranger):
    assert client.get("/metrics", **request_of_a_stranger).status_code == 403


def test_database_that_is_away_is_said_without_names(client):
    def refuse(execute, sql, params, many, context):
        raise OperationalError("could not connect to server db.internal as shop")

    with connection.execute_wrapper(refuse):
        response = client.get("/metrics")

    assert response.status_code == 503
    assert "db.internal" not in response.content.decode()


def test_cloudwatch_gets_the_same_figures_once_a_minute(troubled, settings, capsys):
    settings.EMBEDDED_METRICS = True

    assert cloudwatch.write() > 1
    assert cloudwatch.write() == 0

    whole, *queues = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [directive] = whole["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("Notifier", [[]])
    assert {"Name": "OldestOutboxAgeSeconds", "Unit": "Seconds"} in directive["Metrics"]
    assert all(metric["Name"] in whole for metric in directive["Metrics"])
    assert whole["OpenDeadLetters"] == 1
    assert {line["Queue"] for line in queues} == set(settings.QUEUES)
    [orders] = [line for line in queues if line["Queue"] == "orders"]
    assert orders["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Queue"]]
    assert orders["QueueWaiting"] == 8


def test_cloudwatch_gets_nothing_unless_it_is_asked_for(troubled, capsys):
    assert cloudwatch.write() == 0
    assert capsys.readouterr().out == ""


def test_dashboard_asks_for_figures_that_exist(troubled):
    dashboard = json.loads((ROOT / "infra" / "grafana.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
        for name in re.findall(r"notifier_[a-z0-9_]+", target["expr"])
    }

    assert asked <= SOMETIMES | {prometheus_name(gauge.name) for gauge in gauges.read()}
