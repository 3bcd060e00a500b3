"""Did everybody get their email?"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from emails.models import Notification
from notifier.overview import reconciliation
from notifier.overview.reconciliation import sentence
from queues.dead_letters import decisions
from queues.models import DeadLetter, OutboxEvent
from tests.support.builders import make_order
from tests.support.rows import make_dead_letter, make_notification, make_outbox_event, staff

pytestmark = pytest.mark.django_db

PAGE = reverse("reconciliation")
State = OutboxEvent.State


def counts():
    return {part.why.name: part.total for part in reconciliation.owed().counted if part.total}


def age(row, field, **since):
    type(row).objects.filter(pk=row.pk).update(**{field: timezone.now() - timedelta(**since)})


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (State.PENDING, "pending"),
        (State.CLAIMED, "pending"),
        (State.PUBLISHED, "published"),
        (State.HELD, "held"),
        (State.DEAD, "dead"),
        (State.REFUSED, "refused"),
        (State.HANDLED, None),
        (State.DISCARDED, None),
    ],
)
def test_an_event_is_owed_until_it_is_handled_or_discarded(state, why):
    make_outbox_event(state=state)

    assert counts() == ({why: 1} if why else {})


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("in_doubt", "doubt"),
        ("failed", "failed"),
        ("pending", "waiting"),
        ("sending", "sending"),
        ("sent", None),
        ("cancelled", None),
        ("suppressed", None),
    ],
)
def test_an_email_without_an_event_in_the_outbox_counts_itself(state, why):
    make_notification(state=state)

    assert counts() == ({why: 1} if why else {})


@pytest.mark.parametrize("state", ["in_doubt", "failed", "pending", "sending"])
@pytest.mark.parametrize("event", [State.PUBLISHED, State.DEAD, State.HELD])
def test_an_event_and_its_email_count_once(state, event):
    row = make_outbox_event(state=event)
    make_notification(event_id=row.event_id, state=state)

    assert sum(counts().values()) == 1


def test_an_email_in_doubt_is_owed_though_its_event_is_handled():
    event = make_outbox_event(state=State.HANDLED)
    make_notification(event_id=event.event_id, state="in_doubt")

    assert counts() == {"doubt": 1}


def test_a_redrive_does_not_count_twice():
    event = make_outbox_event(state=State.DEAD)
    make_dead_letter(event_id=event.event_id)

    decisions.redrive(DeadLetter.objects.all())

    assert counts() == {"pending": 1}


def test_what_was_discarded_is_owed_no_more():
    event = make_outbox_event(state=State.DEAD)
    make_dead_letter(event_id=event.event_id)
    make_notification(event_id=event.event_id, state="failed")

    decisions.discard(DeadLetter.objects.all())

    assert counts() == {}


def test_a_dead_letter_of_another_producer_counts_itself_once():
    letter = make_dead_letter()
    make_notification(event_id=letter.event_id, state="failed")

    assert counts() == {"foreign": 1}


@pytest.mark.parametrize("fields", [{"queue": "ses-events", "event_id": None}])
def test_a_report_of_ses_owes_nobody_an_email(fields):
    make_dead_letter(**fields)

    assert counts() == {}


def test_a_dead_letter_whose_email_was_sent_owes_none():
    letter = make_dead_letter()
    make_notification(event_id=letter.event_id, state="sent")

    assert counts() == {}


def test_a_dead_event_says_why_its_dead_letter_failed_and_all_ages_are_one_list(admin_client):
    for since in ({}, {"days": 3}):
        event = make_outbox_event(state=State.DEAD)
        OutboxEvent.objects.filter(pk=event.pk).update(
            recorded_at=timezone.now() - timedelta(**since)
        )
        make_dead_letter(event_id=event.event_id, code="RenderError", reason="no total")

    address = reverse("reconciliation-some", args=["dead", "all"])
    page = admin_client.get(address).content.decode()

    assert page.count("RenderError: no total") == 2
    assert address in admin_client.get(reverse("reconciliation")).content.decode()


def test_ages_are_counted_apart_and_each_number_is_as_long_as_its_list(admin_client):
    for since in ({}, {"minutes": 5}, {"minutes": 30}, {"hours": 5}, {"days": 3}, {"days": 9}):
        age(make_outbox_event(), "recorded_at", **since)
        age(make_notification(), "created_at", **since)

    owed = reconciliation.owed()

    parts = [part for part in owed.counted if part.total]
    assert [tuple(part.counts) for part in parts] == [(1, 1, 1, 1, 2)] * 2
    assert owed.late == 10
    for part in parts:
        for each, count in zip(reconciliation.AGES, part.counts, strict=True):
            page = admin_client.get(reverse("reconciliation-some", args=[part.why.name, each.name]))
            assert len(page.context["sections"][0].rows) == count


def test_every_reason_has_a_list_with_rows_that_lead_on(admin_client):
    make_dead_letter(event_id=None)
    for state in State.values:
        make_outbox_event(state=state)
    for state in Notification.State.values:
        make_notification(state=state)
    page = admin_client.get(PAGE).content.decode()

    lists = re.findall(r'href="(/admin/reconciliation/\w+/\w+/)"', page)

    # Of its age, and of all ages.
    assert len(lists) == 2 * len(reconciliation.reasons())
    for address in lists:
        assert "/change/" in admin_client.get(address).content.decode()


@pytest.mark.parametrize(
    "address", ["/admin/reconciliation/nope/day/", "/admin/reconciliation/dead/nope/"]
)
def test_a_list_that_does_not_exist_is_not_found(admin_client, address):
    assert admin_client.get(address).status_code == 404


def test_the_answer_is_in_words():
    assert re.fullmatch(
        r"Everybody has got their email, as of \S+ \S+ UTC\.", sentence(reconciliation.owed())
    )

    event = make_outbox_event()
    assert sentence(reconciliation.owed()).endswith("; 1 email is on the way since.")

    age(event, "recorded_at", hours=2)
    assert sentence(reconciliation.owed()).startswith("1 email is not sent yet; the oldest since ")

    make_outbox_event()
    assert sentence(reconciliation.owed()).startswith(
        "2 emails are not sent yet; the oldest since "
    )


def test_today_compares_what_was_recorded_with_what_ses_accepted(aws, consume):
    aws.verify("ada@example.com")
    make_order()
    consume("orders")
    make_order()
    make_outbox_event(event_id=uuid.UUID("01800000-0000-7000-8000-000000000000"))

    today = reconciliation.today()

    assert (today.recorded, today.emails, today.accepted) == (2, 1, 1)


def test_the_day_begins_with_the_first_of_two_midnights(monkeypatch, settings):
    settings.TIME_ZONE = "America/Havana"
    # 00:30 for the second time: at 01:00 clocks went back to 00:00.
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 11, 1, 5, 30, tzinfo=UTC))

    assert reconciliation.today().midnight.astimezone(UTC) == datetime(2026, 11, 1, 4, tzinfo=UTC)


def test_the_page_takes_the_right_to_see_all_that_it_counts(client):
    client.force_login(staff("view_notification", "view_outboxevent"))

    assert client.get(PAGE).status_code == 403


def test_the_page_costs_the_same_whatever_is_owed(admin_client, django_assert_max_num_queries):
    for _ in range(30):
        make_outbox_event()
        make_notification()
    admin_client.get(PAGE)

    with django_assert_max_num_queries(18):
        admin_client.get(PAGE)


@pytest.mark.locking
def test_what_is_done_is_not_read():
    asked = []

    def note(execute, sql, params, many, context):
        asked.append((sql, params))
        return execute(sql, params, many, context)

    make_outbox_event()
    make_notification()
    with connection.execute_wrapper(note):
        reconciliation.owed()
        reconciliation.today()

    assert len(asked) == len(reconciliation.reasons()) + 2
    with connection.cursor() as cursor:
        for sql, params in asked:
            if connection.vendor == "postgresql":
                cursor.execute("SET LOCAL enable_seqscan = off")
            explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
            cursor.execute(f"{explain} {sql}", params)
            plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
            # A partial index may be read whole: it holds what is not done, and nothing else.
            partial = r"outbox_\w+|notification_(?!recipient)\w+|dead_letter_open"
            assert not re.search(
                rf"(?m)^SCAN (?!.* USING (COVERING )?INDEX ({partial})\b)|Seq Scan", plan
            ), f"{sql}\n{plan}"


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_outbox_event(state=State.DEAD),
        lambda: make_outbox_event(state=State.REFUSED),
        lambda: make_dead_letter(),
        lambda: make_notification(state="failed"),
    ],
    ids=["dead", "refused", "foreign", "failed"],
)
def test_what_waits_for_a_person_is_not_on_the_way_however_young(make):
    make_outbox_event()
    make()

    owed = reconciliation.owed()

    assert owed.late == 1
    assert sentence(owed).startswith("2 emails are not sent yet; the oldest since ")
