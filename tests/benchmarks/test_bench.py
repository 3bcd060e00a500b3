"""The harness of ``make bench``: its stand-in for AWS, its rows, its table and its picture."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen
from xml.etree import ElementTree

import boto3
import pytest
from botocore.exceptions import ClientError, SSLError
from django.core.mail import EmailMultiAlternatives
from django_ses import SESBackend

from benchmarks import installation
from benchmarks.compare import bench, course, lineup, plot, report
from benchmarks.compare.order_events import envelope, order_number
from benchmarks.compare.trial import Trial, TrialError
from benchmarks.grow import table_rows
from benchmarks.lean_aws import stand_in
from benchmarks.profile import consumer, metered
from emails.models import Attempt, Notification
from queues.events.envelope import Event
from queues.models import OutboxEvent
from tests.support.aws.local_aws import REGION

TRIAL = Trial(
    entrant="boto3-v2",
    emails=100,
    rate=500.0,
    cpu_ms=1.5,
    calls=1.2,
    memory_mb=60.0,
    lost=0,
    duplicates=0,
    undeleted=0,
    stand_in_busy=0.1,
)

CREDENTIALS: Any = {
    "region_name": REGION,
    "aws_access_key_id": "test",
    "aws_secret_access_key": "test",
}


@pytest.fixture(scope="module")
def aws():
    with stand_in.running() as running:
        yield running


@pytest.fixture
def sqs(aws: stand_in.StandIn) -> Iterator[Any]:
    aws.begin(["orders"], ses_ms=0, sqs_ms=0)
    client: Any = boto3.client(
        "sqs",
        endpoint_url=aws.endpoint,
        **CREDENTIALS,
    )
    yield client
    client.close()


def receive(sqs, aws):
    url = f"{aws.endpoint}/000000000000/orders"
    return sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])


def send(aws, number, *, version_2, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    backend = SESBackend(
        aws_region_endpoint=aws.endpoint, aws_region_name=REGION, use_ses_v2=version_2
    )
    message = EmailMultiAlternatives(
        f"Your order {order_number(number)} is confirmed",
        "text",
        "a@example.com",
        ["b@example.com"],
    )
    message.attach_alternative("<p>Zoë</p>", "text/html")
    backend.send_messages([message])
    backend.close()
    return message


def test_closed_gate_hands_nothing_out_and_an_open_one_everything(aws, sqs):
    aws.put("orders", [envelope(1), envelope(2)])

    before = receive(sqs, aws)
    aws.open()
    after = receive(sqs, aws)

    assert before == []
    assert [message["Body"] for message in after] == [envelope(1), envelope(2)]


def test_deleted_messages_are_counted_once(aws, sqs):
    aws.put("orders", [envelope(1)])
    aws.open()
    entries = [{"Id": "1", "ReceiptHandle": receive(sqs, aws)[0]["ReceiptHandle"]}]

    for _ in range(2):
        sqs.delete_message_batch(QueueUrl=f"{aws.endpoint}/0/orders", Entries=entries)

    assert aws.standing()["deleted"] == 1
    assert aws.standing()["calls"] == {"sqs ReceiveMessage": 1, "sqs DeleteMessageBatch": 2}


def test_message_that_is_hidden_for_no_time_comes_again(aws, sqs):
    aws.put("orders", [envelope(1)])
    aws.open()
    receipt = receive(sqs, aws)[0]["ReceiptHandle"]

    sqs.change_message_visibility(
        QueueUrl=f"{aws.endpoint}/0/orders", ReceiptHandle=receipt, VisibilityTimeout=0
    )

    assert receive(sqs, aws)[0]["Attributes"]["ApproximateReceiveCount"] == "2"


def query(aws, **form):
    body = urlencode(form | {"QueueUrl": f"{aws.endpoint}/0/orders", "Version": "2012-11-05"})
    with urlopen(aws.endpoint, body.encode()) as answer:  # noqa: S310  # our own
        return ElementTree.parse(answer)  # noqa: S314  # our own


def test_older_sdk_receives_and_deletes_by_forms(aws, sqs):
    aws.put("orders", [envelope(1), "a < b & c"])
    aws.open()

    received = query(aws, Action="ReceiveMessage", MaxNumberOfMessages="10")
    receipts = [element.text for element in received.iter("ReceiptHandle")]
    entry = "DeleteMessageBatchRequestEntry"
    entries = {
        f"{entry}.{number}.{field}": value
        for number, receipt in enumerate(receipts, 1)
        for field, value in {"Id": f"n{number}", "ReceiptHandle": receipt}.items()
    }
    deleted = query(aws, Action="DeleteMessageBatch", **entries)

    assert [element.text for element in received.iter("Body")] == [envelope(1), "a < b & c"]
    assert [element.text for element in deleted.iter("Id")] == ["n1", "n2"]
    assert aws.standing()["deleted"] == 2


def test_https_is_served_to_who_trusts_the_certificate(aws):
    aws.begin(["orders"], ses_ms=0, sqs_ms=0, tls=True)
    clients: list[Any] = [
        boto3.client("sqs", endpoint_url=aws.tls_endpoint, verify=verify, **CREDENTIALS)
        for verify in (aws.ca_bundle, True)
    ]

    found = clients[0].get_queue_url(QueueName="orders")["QueueUrl"]
    with pytest.raises(SSLError):
        clients[1].get_queue_url(QueueName="orders")

    assert found.startswith(aws.tls_endpoint) and found.startswith("https://")
    for client in clients:
        client.close()


@pytest.mark.parametrize("version_2", [False, True])
def test_second_email_of_an_order_is_seen(aws, sqs, version_2, monkeypatch):
    for number in (1, 2, 2):
        message = send(aws, number, version_2=version_2, monkeypatch=monkeypatch)

        # Without both django-ses fails after SES accepted.
        assert message.extra_headers["message_id"]
        assert message.extra_headers["request_id"]

    standing = aws.standing()
    assert (standing["accepted"], standing["distinct"]) == (3, 2)


@pytest.mark.parametrize("version_2", [False, True])
def test_email_above_the_rate_is_refused_as_ses_does(aws, version_2, monkeypatch):
    aws.begin(["orders"], ses_ms=0, sqs_ms=0, ses_rate=0.001)
    send(aws, 1, version_2=version_2, monkeypatch=monkeypatch)

    with pytest.raises(ClientError, match="Maximum sending rate exceeded") as refused:
        send(aws, 2, version_2=version_2, monkeypatch=monkeypatch)

    assert refused.value.response["Error"]["Code"] in ("Throttling", "TooManyRequestsException")
    standing = aws.standing()
    assert (standing["accepted"], standing["throttled"]) == (1, 1)


def test_messages_of_the_benchmark_are_valid_and_distinct():
    events = [Event.from_json(envelope(number)) for number in range(3)]

    assert {event.type for event in events} == {"order.placed.v1"}
    assert len({event.id for event in events}) == 3
    assert len({event.data["customer"]["email"] for event in events}) == 3
    assert len(events[0].data["lines"]) == 4


@pytest.mark.django_db
def test_rows_of_the_past_are_those_of_their_events():
    table_rows.fill(kind="sent", first=10, count=5)

    handled = OutboxEvent.objects.filter(state=OutboxEvent.State.HANDLED)
    assert set(handled.values_list("event_id", "subject")) == {
        (Event.from_json(envelope(number)).id, order_number(number)) for number in range(10, 15)
    }
    sent = Notification.objects.filter(state=Notification.State.SENT)
    assert set(sent.values_list("event_id")) == set(handled.values_list("event_id"))
    assert Attempt.objects.filter(notification__in=sent).count() == 5


@pytest.mark.django_db
def test_pending_rows_are_spread_over_so_many_groups():
    table_rows.fill(kind="pending", first=0, count=10, queue="transactions", groups=4)

    groups = OutboxEvent.objects.filter(queue="transactions").values_list("group", flat=True)
    assert set(groups) == {f"customer-{number}" for number in range(4)}


@pytest.mark.parametrize(("stage", "module", "path"), metered.STAGES)
def test_every_stage_of_the_profile_is_in_the_code(stage, module, path):
    found: Any = import_module(module)
    for name in path.split("."):
        found = getattr(found, name)

    assert callable(found)


def test_own_time_of_a_stage_is_without_the_stages_inside_it():
    meter = metered.Meter()
    inner = meter.measured("inner", lambda: sum(range(200_000)))
    outer = meter.measured("outer", lambda: inner())

    outer()

    calls, own, whole, _ = meter.sums["outer"]
    assert calls == 1
    assert whole >= meter.sums["inner"][2]
    assert own == whole - meter.sums["inner"][2]


def test_ratio_is_taken_within_a_round():
    ours = replace(TRIAL, entrant="notifier")
    trials = [
        TRIAL,
        replace(ours, rate=250.0),
        replace(TRIAL, rate=100.0, round=1),
        replace(ours, rate=50.0, round=1),
    ]

    line = report.table(trials).splitlines()[2]

    assert "150 (50–250)" in line
    assert "| 0.50 |" in line


def test_ratio_over_https_is_that_of_https():
    ours = replace(TRIAL, entrant="notifier", rate=1000.0, cpu_ms=0.5)
    trials = [
        TRIAL,
        ours,
        replace(TRIAL, tls=True, rate=400.0),
        replace(ours, tls=True, rate=800.0, cpu_ms=0.56),
    ]

    assert (
        report.tls_table(trials)
        .splitlines()[2]
        .endswith("as it comes | 1000 | 800 | 0.50 | 0.56 | 50 | 2.00 |")
    )
    assert report.ratios(0, trials).endswith(
        "notifier 2.00, boto3-v2 over HTTPS 1.00, notifier over HTTPS 2.00"
    )


def test_lost_and_double_are_summed_over_the_rounds():
    trials = [
        replace(TRIAL, lost=1, undeleted=3),
        replace(TRIAL, duplicates=2, round=1),
    ]

    assert report.table(trials).splitlines()[2].endswith("| 1 | 2 | 3 |")
    assert not any(trial.is_whole for trial in trials)


def test_bench_fails_for_ours_that_lost_an_email_or_did_not_end():
    ours = replace(TRIAL, entrant="notifier")
    rounds = [["notifier", "boto3-v2"]]

    assert bench.all_whole([ours, replace(TRIAL, lost=1)], rounds, per_round=1)
    assert not bench.all_whole([replace(ours, lost=1), TRIAL], rounds, per_round=1)
    assert not bench.all_whole([TRIAL], rounds, per_round=1)


def test_peer_that_is_missing_is_named():
    entrant = replace(lineup.ENTRANTS["celery-threads"], needs="nobody")

    assert entrant.why_not() == "there is no nobody"


def test_consumer_that_comes_first_sets_nothing_that_a_user_might_not():
    first, entrant = next(iter(lineup.ENTRANTS.items()))

    assert (first, entrant.title) == ("notifier", "**Notifier**, as it comes")
    assert entrant.command[1:] == ("manage.py", "consume_queue")
    # The image and the units of systemd set it.
    assert entrant.environment == {"MALLOC_ARENA_MAX": "2"}
    assert set(installation.environment("http://127.0.0.1:1", database="sqlite://")) - set(
        os.environ
    ) <= {
        *("DJANGO_SETTINGS_MODULE", "ENV_FILE", "SECRET_KEY", "PYTHONUNBUFFERED", "DATABASE_URL"),
        *("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "SES_FROM_EMAIL"),
    }


def test_yardsticks_run_in_every_round():
    assert set(lineup.YARDSTICKS.values()) <= set(lineup.EVERY_ROUND) <= set(lineup.ENTRANTS)


def test_only_its_own_section_of_a_document_is_replaced(tmp_path):
    document = tmp_path / "performance.md"
    document.write_text("a\n<!-- x -->\nold\n<!-- end -->\nb\n<!-- y -->\nkept\n<!-- end -->\n")

    report.replace_section(document, "x", "new")

    assert document.read_text() == (
        "a\n<!-- x -->\nnew\n<!-- end -->\nb\n<!-- y -->\nkept\n<!-- end -->\n"
    )
    with pytest.raises(ValueError, match="no section z"):
        report.replace_section(document, "z", "new")


def test_picture_is_well_formed_and_begins_with_the_longest_bar():
    bars = [plot.Bar("<slow>", 5.0), plot.Bar("fast & ours", 50.0, is_ours=True)]

    root = ElementTree.fromstring(plot.svg("Emails a second", bars))  # noqa: S314  # our own

    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert texts == ["Emails a second", "fast & ours", "50", "<slow>", "5.0"]


def test_trial_with_an_error_in_its_log_does_not_count(tmp_path):
    log = tmp_path / "log"
    log.write_text("ready\nTraceback (most recent call last):\n  somewhere\nKeyError: 'x'\n")

    with pytest.raises(TrialError, match="KeyError"):
        course.require_calm(log)


def test_order_number_is_in_the_envelope():
    assert json.loads(envelope(7))["subject"] == order_number(7) == "ORD-0000007"


def test_parts_of_the_profile_add_up_to_the_whole():
    sums = {
        "SQL: UPDATE emails_sendrate": [100, 100_000_000, 100_000_000, 0],
        "limiter": [100, 50_000_000, 150_000_000, 0],
        "botocore: SendEmail": [100, 20_000_000, 20_000_000, 0],
        "botocore: ReceiveMessage": [10, 10_000_000, 10_000_000, 0],
    }

    lines = consumer.parts_table(sums, replace(TRIAL, cpu_ms=2.0)).splitlines()

    assert "| database | 1.50 |" in lines
    assert "| call SES | 0.20 |" in lines
    assert "| receive from SQS, delete | 0.10 |" in lines
    assert "| the rest | 0.20 |" in lines


def test_sizing_says_how_many_processes_a_rate_needs():
    lines = report.sizing_table(2.0, 60.0).splitlines()

    assert lines[-1] == "| 1,000/s | 60.0 | 2.0 | 3 |"
