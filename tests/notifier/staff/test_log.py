"""Auditors read who did what and when, on which row, in words; and find, follow and export it."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse
from django.utils import timezone

from emails.models import Suppression
from queues.audit.staff_log import ActLog
from queues.console import change_url, list_url
from queues.models import DoctorRun, PausedQueue
from tests.support.builders import make_customer, make_order
from tests.support.rows import make_dead_letter, make_redrive, make_suppression, staff

pytestmark = pytest.mark.django_db

LOG = reverse("admin:admin_logentry_changelist")
EXPORT = reverse("admin:admin_logentry_export")


@pytest.fixture
def grace(db):
    return User.objects.create_user("grace")


@pytest.fixture
def auditor(client, db):
    client.force_login(staff(role="auditor"))
    return client


def write(user, row, message="Changed.", flag=CHANGE, **fields):
    LogEntry.objects.log_actions(user.pk, [row], flag, message, single_object=True)
    newest = LogEntry.objects.order_by("-pk")[:1]
    LogEntry.objects.filter(pk__in=list(newest.values_list("pk", flat=True))).update(
        **fields or {"action_flag": flag}
    )


def rows(response):
    """What the list's rows are about, with their links."""
    shows = response.context["cl"].model_admin
    return [str(shows.what(row)) for row in response.context["cl"].result_list]


def test_rows_are_named_in_staffs_words(auditor, grace):
    write(grace, make_redrive(what="SES sandbox: not verified", total=26), flag=ADDITION)
    write(grace, PausedQueue(alias="orders"), "Paused: maintenance")
    write(grace, make_order(), "Added.")

    page = auditor.get(LOG).content.decode()

    assert "Redrive of 26 dead letters: SES sandbox: not verified" in page
    assert "Queue orders" in page
    assert "Order ORD-000001" in page


def test_what_is_nobodys_personal_data_is_not_masked_and_what_is_stays_so(auditor, grace):
    write(grace, make_customer(name="Ada Lovelace", email="ada@example.com"))
    write(grace, make_suppression(address="ada@example.com"), "Lifted: ada@example.com asked")
    write(grace, make_dead_letter(subject="ORD-000007"), "Parked: tomorrow")

    page = auditor.get(LOG).content.decode()

    assert "Lovelace" not in page
    assert "ada@" not in page
    assert "Suppression a***@e***.com" in page
    assert "Lifted: a***@e***.com asked" in page
    assert "Dead letter order.placed.v1 ORD-000007" in page


def test_a_kind_that_nobody_knows_is_masked(auditor, grace):
    write(grace, ContentType.objects.first())

    assert "Content type ***" in rows(auditor.get(LOG))


def test_a_row_links_to_what_it_is_about_while_that_is_there(auditor, grace):
    letter, gone = make_dead_letter(), make_dead_letter()
    write(grace, letter)
    write(grace, gone)
    gone.delete()

    page = rows(auditor.get(LOG))

    assert [f'href="{change_url(letter)}"' in row for row in page] == [False, True]


def test_rows_without_a_page_of_their_own_lead_to_what_shows_them(admin_client, grace):
    run = DoctorRun.objects.create(kind="doctor", asked_by="ada", asked_at=timezone.now())
    write(grace, run)
    write(grace, PausedQueue(alias="orders"))
    LogEntry.objects.create(
        user=grace, content_type=ContentType.objects.get_for_model(Suppression),
        object_repr="suppression list", action_flag=CHANGE,
    )  # fmt: skip

    suppressions, queue, doctor = rows(admin_client.get(LOG))

    assert list_url(Suppression) in suppressions
    assert f'href="{reverse("admin:index")}"' in queue
    assert reverse("doctor-run", args=[run.pk]) in doctor


def test_no_link_leads_where_the_reader_may_not_go(auditor, grace):
    order = make_order()
    write(grace, order)

    assert change_url(order) not in auditor.get(LOG).content.decode()


def test_links_take_no_query_for_each_row(admin_client, grace, django_assert_max_num_queries):
    for _ in range(30):
        write(grace, make_dead_letter())

    with django_assert_max_num_queries(25):
        admin_client.get(LOG)


def test_an_act_on_many_is_one_row_that_counts_and_its_page_lists_them(auditor, grace):
    letters = [make_dead_letter(subject=f"ORD-{number}") for number in range(3)]
    log = ActLog(grace.pk, is_bulk=True)
    log.write(letters[:2], "Parked until tomorrow: maintenance")
    log.write(letters[2:], "Parked until tomorrow: maintenance")

    [row] = auditor.get(LOG).context["cl"].result_list
    page = auditor.get(change_url(row)).content.decode()

    assert (row.object_repr, row.change_message) == (
        "3 dead letters",
        "Parked until tomorrow: maintenance",
    )
    for letter in letters:
        assert f'href="{change_url(letter)}"' in page
        history = auditor.get(reverse("admin:queues_deadletter_history", args=[letter.pk]))
        assert "Parked until tomorrow: maintenance" in history.content.decode()


def test_two_acts_on_many_keep_their_rows_apart(auditor, grace):
    first, second = make_dead_letter(subject="A"), make_dead_letter(subject="B")
    for letter in (first, second):
        ActLog(grace.pk, is_bulk=True).write([letter, letter], "Parked.")

    newest = auditor.get(LOG).context["cl"].result_list[0]
    page = auditor.get(change_url(newest)).content.decode()

    assert change_url(second) in page
    assert change_url(first) not in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=grace", 3),
        ("q=ORD-000007", 1),
        ("q=000007", 1),
        ("q=dead", 0),
        ("q=nobody", 0),
        ("act=park", 1),
        ("act=pause", 1),
        ("act=nonsense", 3),
        ("kind=queues.deadletter", 1),
        ("kind=nonsense", 3),
        ("action_time_in=hour", 2),
        ("action_time_in=week", 3),
        ("act=park&action_time_in=hour&q=grace", 1),
    ],
)
def test_the_log_is_searched_and_filtered_by_person_act_row_and_date(
    auditor, grace, query, expected
):
    write(grace, make_dead_letter(subject="ORD-000007"), "Parked until tomorrow: maintenance")
    write(grace, PausedQueue(alias="orders"), "Paused: maintenance")
    write(grace, make_redrive(), "Started.", action_time=timezone.now() - timedelta(days=3))

    assert auditor.get(f"{LOG}?{query}").context["cl"].result_count == expected


def test_the_log_is_filtered_by_its_people(auditor, grace):
    write(grace, make_redrive())

    assert auditor.get(f"{LOG}?user__id__exact={grace.pk}").context["cl"].result_count == 1
    assert auditor.get(f"{LOG}?user__id__exact={grace.pk + 99}").context["cl"].result_count == 0


def test_an_auditor_finds_no_person_by_a_part_and_a_reason_not_at_all(auditor, grace):
    write(grace, make_customer(name="Ada Lovelace"), "Changed: Lovelace called")
    write(grace, make_suppression(address="ada@example.com"))
    write(grace, make_dead_letter(subject="ada@example.com"))

    for part in ("Lovelace", "called", "ada", "example.com"):
        assert auditor.get(f"{LOG}?q={part}").context["cl"].result_count == 0, part


def test_an_auditor_exports_the_log_without_addresses_and_names(auditor, grace):
    write(grace, make_customer(name="Ada Lovelace"))
    write(grace, make_suppression(address="ada@example.com"), "Lifted: ada@example.com asked")
    write(grace, PausedQueue(alias="orders"), "Paused: maintenance")

    response = auditor.post(f"{EXPORT}?action_time_in=week")
    text = b"".join(response.streaming_content).decode()

    found = list(csv.DictReader(io.StringIO(text)))
    assert "Lovelace" not in text
    assert "ada@" not in text
    assert [row["row"] for row in found[1:]] == [
        "Queue orders",
        "Suppression a***@e***.com",
        "Customer ***",
    ]
    assert found[1] | {"time": ""} == {
        "time": "", "person": "grace", "act": "Paused: maintenance", "kind": "paused queue",
        "id": "orders", "row": "Queue orders",
    }  # fmt: skip


def test_an_export_and_its_number_of_rows_is_in_the_log_itself(auditor, grace):
    write(grace, make_redrive())

    b"".join(auditor.post(EXPORT).streaming_content)

    newest = auditor.get(LOG).context["cl"].result_list[0]
    assert newest.object_repr == "log entries as CSV"
    assert newest.change_message == "Exported log entries, all: all 2 rows."


def test_what_somebody_searched_for_is_masked_in_the_log_of_their_export(auditor, admin_client):
    make_dead_letter()
    admin_client.post(f"{reverse('admin:queues_deadletter_export')}?q=Lovelace")

    page = auditor.get(LOG).content.decode()

    assert "Lovelace" not in page
    assert "search “***”" in page


@pytest.mark.parametrize("role", ["support", "operator"])
def test_only_auditors_export_the_log(client, role):
    client.force_login(staff(role=role))

    assert client.post(EXPORT).status_code == 403
