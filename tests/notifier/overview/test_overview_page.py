from __future__ import annotations

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from emails.models import Attempt, EventChannel, Notification, SenderCheck, SendRate
from emails.sending import breakers
from notifier.alerts import concerns
from notifier.overview import charts
from notifier.overview.charts import Mark, Series, draw, times
from queues import registry
from queues.consumer import pausing
from queues.models import DeadLetter, OutboxEvent
from queues.models.live import Duty, Figure, QueueDepth
from queues.upkeep import figures, watching
from tests.support.living import make_consumer, make_silent
from tests.support.owed import owed, place
from tests.support.rows import staff

INDEX = reverse("admin:index")
LIVE = reverse("overview-live")
HOSTILE = "<script>alert(1)</script>"
# Docs say how many: docs/how-to/watch-the-overview.md.
MOST_QUERIES = 32


def make_dead_letters(count: int, **fields: Any) -> None:
    defaults = {"queue": "orders", "body": "{}", "code": "X", "fingerprint": "f"} | fields
    DeadLetter.objects.bulk_create(
        DeadLetter(sqs_message_id=str(uuid.uuid4()), **defaults) for _ in range(count)
    )


def counted(seconds: int, *, ago: timedelta, **counts: int) -> None:
    begins_at = figures.floor(timezone.now() - ago, seconds)
    Figure.objects.update_or_create(
        seconds=seconds, begins_at=begins_at, defaults={"counts": counts}
    )


def page(client: Any, address: str = LIVE) -> str:
    return str(client.get(address).content.decode())


def titles(client: Any) -> list[str]:
    return [concern.title for concern in concerns_of(client.get(LIVE))]


def concerns_of(response: Any) -> list[Any]:
    return [problem.concern for problem in response.context["problems"]]


def tile(client: Any, label: str) -> Any:
    [found] = [tile for tile in client.get(LIVE).context["tiles"] if tile.label == label]
    return found


@pytest.mark.django_db
def test_open_breaker_is_on_the_overview(admin_client):
    breakers.trip(breakers.CONFIGURATION, code="ExpiredToken", reason="the token is too old")

    found = page(admin_client, INDEX)

    assert "Sending has stopped: configuration" in found
    assert "ExpiredToken: the token is too old" in found
    assert "All is well" not in found


@pytest.mark.django_db
def test_closed_breaker_is_not_shown(admin_client):
    breakers.trip(breakers.QUOTA, code="Quota", reason="used up")
    breakers.reset(breakers.QUOTA)

    assert "Sending has stopped" not in page(admin_client)


@pytest.mark.django_db
def test_email_whose_message_is_a_dead_letter_does_not_pretend_to_wait_in_the_queue(admin_client):
    notification = owed(place())
    DeadLetter.objects.create(
        queue="orders", sqs_message_id="m", event_id=notification.event_id, body="{}"
    )

    found = page(admin_client, f"/admin/emails/notification/{notification.pk}/change/")

    assert "its message failed too often and is a dead letter" in found
    assert "waits in the queue" not in found


@pytest.mark.django_db
def test_without_a_consumer_the_overview_says_how_to_start_one(admin_client):
    assert titles(admin_client) == ["No consumer runs"]
    assert "python manage.py consume_queue" in page(admin_client)


@pytest.mark.django_db
def test_a_relay_is_no_consumer(admin_client):
    make_consumer(kind="relay")

    assert titles(admin_client) == ["No consumer runs"]


@pytest.mark.django_db
def test_queue_that_nobody_reads_is_named(admin_client):
    make_consumer(queues=["orders", "ses-events"])

    assert titles(admin_client) == ["No consumer of transactions"]


@pytest.mark.django_db
def test_of_queues_that_lambda_reads_no_consumer_is_missed(admin_client, settings):
    settings.LAMBDA_QUEUES = list(settings.QUEUES)

    assert titles(admin_client) == []


@pytest.mark.django_db
def test_silent_consumer_is_named_and_counts_as_none(admin_client):
    make_consumer(host="alive")
    make_silent(host="gone")

    found = admin_client.get(LIVE)

    [concern] = concerns_of(found)
    assert (concern.title, concern.count) == ("Silent consumers", 1)
    assert "consumer gone:17, last heard" in found.content.decode()
    assert {row.consumers for row in found.context["queues"]} == {1}


@pytest.mark.django_db
def test_dead_letters_are_told_by_cause_the_largest_first(admin_client):
    make_consumer()
    for number, count in enumerate([1, 4, 2, 3]):
        make_dead_letters(
            count, fingerprint=f"f{number}", code=f"Cause{number}", reason="no ada@x.org"
        )

    response = admin_client.get(LIVE)

    [concern] = concerns_of(response)
    assert concern.count == 10
    assert [cause.count for cause, _ in concern.named] == [4, 3, 2]
    assert concern.unnamed == 1
    cause, address = concern.named[0]
    assert cause.text == "Cause1: no a***@x***.org"
    assert admin_client.get(address).context["group"].count == 4
    assert "and 1 more" in response.content.decode()


@pytest.mark.django_db
def test_counting_ends_where_nobody_cares_any_more(admin_client, monkeypatch):
    monkeypatch.setattr(concerns, "MOST", 3)
    make_consumer()
    make_dead_letters(9)

    [concern] = concerns_of(admin_client.get(LIVE))

    assert concern.number == "3+"


@pytest.mark.django_db
def test_what_stops_emails_comes_before_what_can_wait(admin_client: Any) -> None:
    make_consumer()
    make_silent(host="gone")
    breakers.trip(breakers.QUOTA, code="Quota", reason="used up")

    assert titles(admin_client) == ["Sending has stopped: quota", "Silent consumers"]


def test_unverified_sender_is_a_concern_until_ses_says_otherwise(admin_client):
    make_consumer()
    check = SenderCheck.objects.create(
        pk=1, address="shop@example.com", is_verified=False, asked_at=timezone.now()
    )
    assert titles(admin_client) == ["The sender is not verified"]

    for fields in ({"is_verified": True}, {"is_verified": False, "address": "old@example.com"}):
        SenderCheck.objects.filter(pk=check.pk).update(**fields)

        assert titles(admin_client) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("accepted_ago", "reported_ago", "is_silent"),
    [(40, None, True), (40, 60, True), (40, 20, False), (5, None, False)],
)
def test_channel_is_silent_when_emails_were_accepted_and_no_report_came(
    admin_client, accepted_ago, reported_ago, is_silent
):
    make_consumer()
    counted(600, ago=timedelta(minutes=accepted_ago), accepted=3)
    if reported_ago is not None:
        EventChannel.objects.create(
            pk=1, newest_sent_at=timezone.now() - timedelta(minutes=reported_ago)
        )

    assert ("SES reports nothing" in titles(admin_client)) == is_silent


@pytest.mark.django_db
def test_figures_of_the_last_minute_and_of_a_day(admin_client, settings):
    settings.SES_MAX_SEND_RATE = 2
    SendRate.objects.create(
        pk=1,
        step_us=1,
        max_send_rate=2,
        max_24_hour_send=1000,
        sent_last_24_hours=950,
        refresh_at=timezone.now(),
    )
    last = {"orders": 12, "accepted": 60, "latency 0": 60}
    counted(60, ago=timedelta(minutes=2), **last)
    counted(600, ago=timedelta(hours=3), accepted=1000, bounced=60, complained=0)

    assert tile(admin_client, "Orders a minute").value == "12"
    assert tile(admin_client, "Emails a minute").value == "60"
    assert tile(admin_client, "Order to SES, p50").value == "1.0 s"
    assert tile(admin_client, "Sending rate used").value == "50%"
    quota, bounces = tile(admin_client, "Quota used"), tile(admin_client, "Bounces")
    assert (quota.value, quota.is_high) == ("95%", True)
    assert (bounces.value, bounces.note) == ("6.00%", "60 of 1,000 in 24 hours")
    assert bounces.is_high
    assert not tile(admin_client, "Complaints").is_high


@pytest.mark.django_db
def test_before_anything_is_counted_the_figures_say_so(admin_client):
    assert tile(admin_client, "Orders a minute").note == "not counted yet"
    assert tile(admin_client, "Bounces").value == "—"
    assert "none is running" in page(admin_client)


@pytest.mark.django_db
def test_nobody_is_asked_for_a_consumer_while_one_runs(admin_client):
    make_consumer()

    found = page(admin_client)

    assert "Figures come within two minutes." in found
    assert "none is running" not in found


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("window", "seconds", "steps", "total"),
    [("1h", 60, 60, "6 in all"), ("24h", 600, 144, "6 in all"), ("7d", 3600, 168, "6 in all")],
)
def test_chart_has_a_step_for_each_span_of_its_window(admin_client, window, seconds, steps, total):
    # Each in a span of its own that has ended.
    for number in range(1, 4):
        counted(seconds, ago=timedelta(seconds=seconds * number + seconds + 15), accepted=number)

    found = admin_client.get(f"{LIVE}?window={window}").context["charts"][0]

    accepted = found.lines[0]
    assert accepted.summary.startswith(total)
    # A line through three points, the last of them near the right end.
    assert accepted.path.count("L") == 2
    last_x = float(accepted.path.rpartition("L")[2].split()[0])
    assert last_x >= charts.WIDTH * (steps - 4) / (steps - 1)


@pytest.mark.django_db
def test_unknown_window_is_the_first_one(admin_client):
    assert admin_client.get(f"{LIVE}?window={HOSTILE}").context["window"] == "1h"


def test_line_is_broken_where_nobody_counted():
    chart = draw("t", [Series("a", [1, 2, None, 4])], clocks=["1", "2", "3", "4"])

    assert chart.lines[0].path == "M0.0 90.0h0L200.0 60.0M600.0 0.0h0"
    assert [(tick.at, tick.label) for tick in chart.rows] == [(100, "0"), (50, "2"), (0, "4")]


def test_chart_tells_in_words_what_it_shows():
    clocks = ["10:00", "10:01"]
    marks = [Mark(1, "R", "2 dead letters redriven by ada")]
    chart = draw("Emails", [Series("sent", [1, 2], "3 in all")], clocks=clocks, marks=marks)

    assert chart.description == (
        "Emails, 10:00 to 10:01. sent: 3 in all. 10:01: 2 dead letters redriven by ada."
    )
    assert chart.last == "10:01: sent 2"
    assert chart.points == [["10:00", "1"], ["10:01", "2"]]
    assert not chart.is_empty
    assert draw("Emails", [Series("sent", [None])], clocks=["1"]).is_empty


def test_one_slow_minute_does_not_flatten_a_chart_of_times():
    lines = [Series("p95", [0.05, 0.2, 400])]

    chart = draw("t", lines, clocks=["1", "2", "3"], scale=times(lines, str))

    assert [tick.label for tick in chart.rows] == ["0.01", "0.1", "1", "10", "60", "600"]
    fast, slower, slowest = (
        float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", chart.lines[0].path)
    )
    assert fast - slower > 10
    assert slower - slowest > 10


@pytest.mark.parametrize("values", [[0.5, 0.5], [0.0], [None], [1e9, 1e-9]])
def test_a_chart_of_times_takes_any_time(values):
    lines = [Series("p95", values)]

    chart = draw("t", lines, clocks=["1"] * len(values), scale=times(lines, str))

    assert "nan" not in chart.lines[0].path


@pytest.mark.parametrize(
    ("value", "top"), [(0.03, 0.03), (1, 1), (1.01, 2), (57, 60), (81, 100), (1000, 1000)]
)
def test_scale_ends_at_a_round_number(value, top):
    assert charts.ceiling(value) == pytest.approx(top)


@pytest.mark.django_db
def test_queues_show_what_sqs_said_last(admin_client):
    now = timezone.now()
    QueueDepth.objects.create(
        alias="orders",
        visible=40,
        delayed=2,
        in_flight=7,
        dead=3,
        oldest_at=now - timedelta(minutes=5),
        asked_at=now,
        error=f"no answer {HOSTILE}",
    )

    found = page(admin_client)

    assert "<span>42</span>" in found
    assert "5 min ago" in found
    assert "SQS did not answer: no answer &lt;script&gt;" in found
    assert HOSTILE not in found


@pytest.mark.django_db
def test_staff_who_may_not_see_consumers_see_no_figures_either(client):
    make_silent()
    client.force_login(staff("view_deadletter"))

    response = client.get(LIVE)

    assert response.status_code == 200
    assert "tiles" not in response.context
    assert titles(client) == []


@pytest.mark.django_db
@pytest.mark.parametrize("address", [LIVE, reverse("queue-pause", args=["orders"])])
def test_nobody_but_staff_sees_it(client, address):
    assert client.get(address).status_code == 302


@pytest.mark.django_db
def test_fragment_is_what_the_page_shows(admin_client):
    make_consumer()
    make_dead_letters(2)

    whole, fragment = page(admin_client, INDEX), page(admin_client)

    assert "<html" not in fragment
    assert 'data-live="/admin/overview/?window=1h"' in whole
    for text in ("Open dead letters", "web-1:17"):
        assert text in whole
        assert text in fragment


def ask(client: Any, address: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert client.get(address).status_code == 200
    return len(asked)


@pytest.mark.django_db
@pytest.mark.parametrize("window", ["1h", "7d"])
def test_page_asks_the_database_as_often_with_many_rows_as_with_few(client, window):
    def add(count: int) -> None:
        for number in range(count):
            make_consumer(pid=number)
            make_silent(pid=1000 + number)
            make_dead_letters(3, fingerprint=f"f{count}-{number}")
        OutboxEvent.objects.bulk_create(
            OutboxEvent(queue="orders", body="{}", state=state, available_at=timezone.now())
            for state in ("pending", "refused", "held", "handled")
            for _ in range(count)
        )
        Notification.objects.bulk_create(
            Notification(
                event_id=uuid.uuid4(),
                template="t",
                recipient="a@example.com",
                context={},
                next_at=timezone.now(),
                state=state,
                attempt_started_at=timezone.now(),
            )
            for state in ("in_doubt", "failed", "sent")
            for _ in range(count)
        )

    views = ("view_outboxevent", "view_consumer", "view_deadletter", "view_notification")
    client.force_login(staff(*views, "pause_queue", "forget_consumer"))
    address = f"{LIVE}?window={window}"
    add(1)
    pausing.pause("orders", by="grace", reason="r")
    for seconds in (60, 600, 3600):
        counted(seconds, ago=timedelta(minutes=30), accepted=1)
    ask(client, address)
    few = ask(client, address)
    add(40)
    for seconds in (60, 600, 3600):
        for number in range(1, 12):
            counted(seconds, ago=timedelta(minutes=30, seconds=seconds * number), accepted=1)

    # Where emails stand is asked only of those that are not sent.
    assert ask(client, address) <= few <= MOST_QUERIES


LARGE = "queues_outboxevent|queues_deadletter|emails_notification|emails_attempt|emails_deliveryevent|orders_order"
READS_ALL = rf"(?m)SCAN ({LARGE}|U\d)$|Seq Scan on ({LARGE})"


@pytest.mark.locking
@pytest.mark.django_db
def test_neither_the_page_nor_what_counts_for_it_reads_a_whole_table(admin_client):
    asked: list[tuple[str, Any]] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, many, context)

    now = timezone.now()
    with connection.execute_wrapper(note):
        admin_client.get(LIVE)
        for measure in registry.measures:
            measure(now - timedelta(minutes=1), now)

    explaining = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # It takes a table as small as a test's whole, else.
            cursor.execute("SET LOCAL enable_seqscan = off")
        for sql, params in asked:
            cursor.execute(f"{explaining} {sql}", params)
            plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
            assert not re.search(READS_ALL, plan), f"{sql}\n{plan}"
    assert len(asked) > 20


@pytest.mark.django_db
def test_looking_changes_nothing(admin_client):
    make_dead_letters(1)

    with CaptureQueriesContext(connection) as asked:
        admin_client.get(LIVE)

    assert not [query for query in asked if not query["sql"].startswith("SELECT")]


@pytest.mark.django_db
def test_what_one_round_of_watching_finds_is_on_the_overview(admin_client, consume):
    make_consumer()
    place()
    consume()
    Attempt.objects.update(finished_at=timezone.now() - timedelta(minutes=3))

    watching.watch()
    Duty.objects.filter(pk="figures").update(taken_at=timezone.now() - timedelta(minutes=1))
    while figures.fill():
        Duty.objects.filter(pk="figures").update(taken_at=timezone.now() - timedelta(minutes=1))

    assert titles(admin_client) == []
    assert "As SQS counted 0 s ago" in page(admin_client)
    accepted = admin_client.get(LIVE).context["charts"][0].lines[0]
    assert accepted.summary == "1 in all, at most 1 a minute"
