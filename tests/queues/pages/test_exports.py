"""An export holds what the list's filter shows, for those who may, and the log says who took it."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from emails.models import Notification
from queues.models import DeadLetter
from queues.pages.listing import exports
from tests.support.rows import make_dead_letter, make_notification, staff

pytestmark = pytest.mark.django_db

LETTERS = reverse("admin:queues_deadletter_export")
EMAILS = reverse("admin:emails_notification_export")
RIGHTS = ("view_deadletter", "export_deadletter", "view_pii")


def rows_of(response):
    text = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_an_export_holds_what_the_filter_shows(admin_client):
    make_dead_letter(subject="A", code="KeyError")
    make_dead_letter(subject="B", code="RenderError")

    response = admin_client.post(f"{LETTERS}?code=KeyError")

    assert [row["subject"] for row in rows_of(response)] == ["A"]
    assert response["Content-Type"] == "text/csv; charset=utf-8"


def test_times_are_in_utc_and_say_so(admin_client):
    letter = make_dead_letter()
    admin_client.cookies["time_zone"] = "Asia/Tokyo"

    [row] = rows_of(admin_client.post(LETTERS))

    assert row["collected_at"] == letter.collected_at.isoformat()
    assert row["collected_at"].endswith("+00:00")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "'=1", "＝1"])  # noqa: RUF001
def test_no_cell_runs_as_a_formula(admin_client, text):
    make_dead_letter(subject=text)

    [row] = rows_of(admin_client.post(LETTERS))

    assert row["subject"] == f"'{text}"


def test_whoever_may_not_see_personal_data_gets_it_masked(client):
    client.force_login(staff("view_notification", "export_notification"))
    make_notification(recipient="ada@example.com", reason="ada@example.com refused")

    [row] = rows_of(client.post(EMAILS))

    assert row["recipient"] == "a***@e***.com"
    assert row["reason"] == "a***@e***.com refused"
    assert row["subject"] == "ORD-000001"


@pytest.mark.parametrize("missing", RIGHTS[:2])
def test_an_export_takes_its_own_right(client, missing):
    client.force_login(staff(*({*RIGHTS} - {missing})))

    assert client.post(LETTERS).status_code == 403
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    ("role", "may"), [("support", False), ("operator", True), ("auditor", False)]
)
def test_operators_export_emails_and_dead_letters(client, role, may):
    client.force_login(staff(role=role))

    for address in (LETTERS, EMAILS):
        assert client.post(address).status_code == (200 if may else 403)


def test_an_export_is_no_link_that_a_page_elsewhere_can_follow(admin_client):
    assert admin_client.get(LETTERS).status_code == 405


def test_a_filter_that_does_not_exist_is_no_export_of_everything(admin_client):
    make_dead_letter()

    assert admin_client.post(f"{LETTERS}?nonsense=1").status_code == 400
    assert admin_client.post(f"{LETTERS}?collected_at_from=x").status_code == 400


def test_the_log_says_who_exported_what_and_how_many_rows(admin_client, admin_user):
    make_dead_letter()

    b"".join(admin_client.post(f"{LETTERS}?state=open&q=ORD").streaming_content)

    entry = LogEntry.objects.get()
    assert entry.user == admin_user
    assert entry.object_repr == "dead letters as CSV"
    assert entry.change_message == "Exported dead letters, state: open; search “ORD”: all 1 row."


def test_the_log_knows_an_export_before_its_first_row(admin_client):
    make_dead_letter()

    admin_client.post(LETTERS)

    assert LogEntry.objects.get().change_message == "Exported dead letters, all: not finished."


def test_the_log_says_where_an_export_was_cut_off(admin_client, monkeypatch):
    monkeypatch.setattr("queues.audit.csv_cells._PIECE", 0)
    for _ in range(3):
        make_dead_letter()
    response = admin_client.post(LETTERS)

    next(iter(response.streaming_content))
    # As when the browser goes away; a real end of the request would close the database of the test.
    response._iterator.close()

    assert LogEntry.objects.get().change_message.endswith("stopped after 1 row.")


def test_batches_leave_out_and_repeat_nothing(admin_client, monkeypatch):
    monkeypatch.setattr(exports, "BATCH", 2)
    names = [f"ORD-{number}" for number in range(7)]
    for name in names:
        make_dead_letter(subject=name)

    rows = rows_of(admin_client.post(LETTERS))

    assert sorted(row["subject"] for row in rows) == names


def test_no_export_reads_bodies_or_asks_for_each_row(admin_client, django_assert_max_num_queries):
    for _ in range(20):
        make_notification()

    with django_assert_max_num_queries(16):
        rows = rows_of(admin_client.post(EMAILS))

    assert len(rows) == 20
    assert not {"context", "body"} & rows[0].keys()


def test_a_list_offers_the_export_to_those_who_may(client):
    address = reverse("admin:queues_deadletter_changelist")
    for rights, offered in ((RIGHTS, True), (RIGHTS[:1], False)):
        client.force_login(staff(*rights))
        assert (LETTERS in client.get(address).content.decode()) == offered


def test_exports_name_columns_that_exist():
    for model in (DeadLetter, Notification):
        pages: Any = admin.site.get_model_admin(model)

        assert {*pages.export.columns} <= {field.name for field in model._meta.get_fields()}
