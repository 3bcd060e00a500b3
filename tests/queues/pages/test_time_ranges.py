"""Lists are filtered by time in the reader's zone, by what the database has in an index."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from emails.models import Notification
from orders.models import Transaction
from queues import uuid7
from queues.console import list_url
from queues.models import DeadLetter, OutboxEvent
from queues.pages.listing import time_range
from queues.pages.listing.time_range import CreatedFilter
from tests.support.rows import make_dead_letter, make_notification, make_outbox_event

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def today(monkeypatch):
    monkeypatch.setattr("queues.pages.listing.time_range.timezone.now", lambda: NOW)


def letter(subject, at):
    """A dead letter that was collected then."""
    row = make_dead_letter(id=uuid7.first_of(at), subject=subject)
    DeadLetter.objects.filter(pk=row.pk).update(collected_at=at)


@pytest.fixture
def letters(db):
    for name, ago in {"minutes": 0.5, "hours": 7, "days": 30, "weeks": 24 * 20}.items():
        letter(name, NOW - timedelta(hours=ago))


def found(client, query, model=DeadLetter):
    response = client.get(f"{list_url(model)}?{query}")
    return [row.subject for row in response.context["cl"].result_list]


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("hour", ["minutes"]),
        ("today", ["minutes", "hours"]),
        ("week", ["minutes", "hours", "days"]),
    ],
)
def test_a_preset_goes_back_so_far(admin_client, letters, preset, expected):
    assert found(admin_client, f"collected_at_in={preset}") == expected


def test_today_begins_at_the_readers_midnight(admin_client, letters):
    admin_client.cookies["time_zone"] = "America/New_York"
    letter("yesterday in New York", NOW.replace(hour=4, minute=59))

    assert found(admin_client, "collected_at_in=today") == ["minutes", "hours"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("collected_at_from=2026-12-01T11:00", ["minutes"]),
        ("collected_at_to=2026-12-01T11:00", ["hours", "days", "weeks"]),
        ("collected_at_from=2026-11-30&collected_at_to=2026-11-30", ["days"]),
        ("collected_at_from=2026-12-01T05:00&collected_at_to=2026-12-01T05:01", ["hours"]),
        ("collected_at_from=&collected_at_to=", ["minutes", "hours", "days", "weeks"]),
    ],
)
def test_a_range_holds_its_first_moment_and_not_its_last(admin_client, letters, query, expected):
    assert found(admin_client, query) == expected


def test_from_and_to_are_in_the_readers_zone(admin_client, letters):
    admin_client.cookies["time_zone"] = "Asia/Tokyo"

    assert found(admin_client, "collected_at_from=2026-12-01T20:00") == ["minutes"]


def test_a_time_that_cannot_be_read_is_no_filter(admin_client, letters):
    response = admin_client.get(f"{list_url(DeadLetter)}?collected_at_from=yesterday")

    assert response.url.endswith("?e=1")


def test_the_list_says_by_what_it_is_filtered(admin_client, letters):
    admin_client.cookies["time_zone"] = "Asia/Tokyo"

    page = admin_client.get(f"{list_url(DeadLetter)}?collected_at_from=2026-12-01T20:00&q=min")

    text = page.content.decode()
    assert "collected: from 2026-12-01 20:00:00 JST · search “min”" in text
    assert "Times in Asia/Tokyo" in text


def test_a_form_of_the_range_keeps_the_other_filters(admin_client, letters):
    response = admin_client.get(f"{list_url(DeadLetter)}?state=open&collected_at_in=week&p=1")

    [spec] = [spec for spec in response.context["cl"].filter_specs if hasattr(spec, "others")]
    assert spec.others == [("state", "open")]


def test_a_range_reads_by_key_where_the_time_has_no_index(admin_client):
    make_notification()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        admin_client.get(f"{list_url(Notification)}?created_at_in=week")

    [rows] = [q["sql"] for q in queries if "ORDER BY" in q["sql"] and '"context"' in q["sql"]]
    assert '"emails_notification"."id" >= ' in rows


@pytest.mark.parametrize("gap", [range(0), range(3, 8), range(10)])
def test_a_numbered_row_is_found_by_halving_whatever_is_missing(gap):
    for number in range(10):
        row = make_outbox_event(subject=str(number))
        OutboxEvent.objects.filter(pk=row.pk).update(recorded_at=NOW + timedelta(hours=number))
    OutboxEvent.objects.filter(subject__in=map(str, gap)).delete()
    rows = OutboxEvent.objects.filter(recorded_at__gte=NOW + timedelta(hours=6))

    key = time_range._first_number(OutboxEvent, "recorded_at", NOW + timedelta(hours=6))

    assert list(OutboxEvent.objects.filter(pk__gte=key)) == list(rows)


def test_a_key_of_a_time_is_not_above_any_made_then():
    before = uuid7.first_of(timezone.now())

    assert before <= uuid7.uuid7()


def test_every_list_with_a_time_can_be_filtered_by_it():
    lacking = {
        page.model.__name__
        for page in admin.site._registry.values()
        if hasattr(page, "export") and not any(map(is_time, page.list_filter))
    }

    assert lacking == {"Product", "BankAccount", "User", "Group"}
    assert (("posted_at", CreatedFilter)) in admin.site.get_model_admin(Transaction).list_filter


def is_time(chosen):
    return isinstance(chosen, tuple) and issubclass(chosen[1], time_range.TimeFilter)
