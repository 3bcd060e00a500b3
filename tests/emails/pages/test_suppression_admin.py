import csv
import io
import re
import uuid
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from emails.models import Notification, Suppression, SuppressionSync
from emails.reputation import csv_files
from emails.sending import guard
from emails.ses import ses_api, suppression_list
from queues.console import change_url, list_url
from tests.support.builders import make_order
from tests.support.rows import make_notification, make_suppression, staff

pytestmark = pytest.mark.django_db

LIST = "admin:emails_suppression_changelist"


@pytest.fixture
def operator(client):
    user = staff(role="operator")
    client.force_login(user)
    return user


@pytest.fixture
def refuses_v2(aws):
    """SES denies what is asked of its list."""
    events = ses_api.api_v2().meta.events

    def answer(**kwargs):
        error = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
        return SimpleNamespace(status_code=403), error | {"ResponseMetadata": {}}

    events.register("before-call.sesv2.GetSuppressedDestination", answer)
    yield
    events.unregister("before-call.sesv2.GetSuppressedDestination", answer)


def text(response):
    return " ".join(response.content.decode().split())


def upload(client, content, *, follow=True):
    file = SimpleUploadedFile("list.csv", content)
    data = {"file": file, "reason": "from the old shop"}
    return client.post(reverse("admin:emails_suppression_import"), data, follow=follow)


def lift(client, row, **fields):
    data = {"action": "lift", "_selected_action": row.pk, "confirmed": "yes", "from_row": "1"}
    return client.post(list_url(Suppression), data | fields, follow=True)


def test_page_of_an_address_says_why_and_shows_the_email_that_came_back(client, operator):
    email = make_notification()
    row = make_suppression(notification=email)

    page = text(client.get(change_url(row)))

    assert "An email to it hard-bounced" in page
    assert change_url(email) in page


def test_page_of_a_suppressed_email_leads_to_the_reason(client, operator):
    row = make_suppression(address="Ada@example.com")
    email = make_notification(state=Notification.State.SUPPRESSED)

    assert change_url(row) in text(client.get(change_url(email)))


def test_staff_without_the_right_to_personal_data_see_no_address(client):
    client.force_login(staff(role="auditor"))
    row = make_suppression()

    for address in (list_url(Suppression), change_url(row)):
        page = text(client.get(address))
        assert "ada@example.com" not in page
        assert "a***@e***.com" in page
        assert "Export" not in page


def test_adding_suppresses_with_name_and_reason(client, operator):
    data = {"address": "x@example.com", "reason": "asked by phone"}

    client.post(reverse("admin:emails_suppression_add"), data)

    row = Suppression.objects.get()
    assert (row.added_by, row.reason) == (operator.username, "asked by phone")
    assert LogEntry.objects.get().change_message == "Suppressed: asked by phone"


def test_adding_twice_changes_nothing_and_says_so(client, operator):
    make_suppression()
    data = {"address": "ADA@example.com", "reason": "again"}

    page = text(client.post(reverse("admin:emails_suppression_add"), data, follow=True))

    assert "was already suppressed" in page
    assert not LogEntry.objects.exists()


def test_lift_needs_a_reason(client, operator):
    row = make_suppression()

    assert "This field is required" in text(lift(client, row))
    row.refresh_from_db()
    assert row.state == Suppression.State.ACTIVE


@pytest.mark.parametrize("fields", [{}, {"sends_again": "on"}])
def test_lift_sends_what_was_suppressed_only_if_asked_to(client, operator, fields):
    row = make_suppression()

    lift(client, row, reason="the mailbox works again", **fields)

    row.refresh_from_db()
    assert (row.state, row.sends_again) == (Suppression.State.LIFTED, bool(fields))


def test_import_takes_what_is_right_and_names_what_is_wrong(client, operator):
    make_suppression(address="known@example.com")
    make_suppression(
        address="lifted@example.com", state=Suppression.State.LIFTED, lifted_at=timezone.now()
    )
    content = (
        "﻿Reason,EmailAddress\r\nbounced,new@example.com\r\n,Known@example.com\r\n\r\n"
        "x,lifted@example.com\r\nx,nobody\r\nx\r\n"
    )

    page = text(upload(client, content.encode()))

    assert "Newly suppressed: 1. Already suppressed: 1." in page
    assert "1 had been lifted before and stay lifted" in page
    assert "Skipped lines without an address: 6, 7." in page
    assert Suppression.objects.of(["new@example.com"]).get().reason == "bounced"


def test_import_without_a_heading_reads_the_first_column(client, operator):
    upload(client, b"a@example.com\nb@example.com;x\nb@example.com\n")

    assert set(Suppression.objects.values_list("address", "reason")) == {
        ("a@example.com", "from the old shop"),
        ("b@example.com", "from the old shop"),
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe\x00a", "not UTF-8 text"),
        (b"name,phone\nAda,1\n", "has no column"),
        (b'"' + b"x" * 200_000, "not CSV"),
        (b"a@example.com\n" * 20_001, "at most 20,000 at once"),
        (b"", "The submitted file is empty"),
    ],
)
def test_file_that_cannot_be_taken_says_why_and_changes_nothing(client, operator, content, words):
    assert words in text(upload(client, content))
    assert not Suppression.objects.exists()


def test_file_that_is_too_large_is_refused(client, operator):
    content = b"x" * (csv_files.MAX_BYTES + 1)

    assert "at most 2 MB at once" in text(upload(client, content))


def test_export_is_read_back_by_an_import_and_holds_no_formula(client, operator):
    make_suppression(address="+1@example.com", reason="=cmd()")
    response = client.post(reverse("admin:emails_suppression_export"))
    content = b"".join(response.streaming_content)

    [row] = csv.DictReader(io.StringIO(content.decode()))
    assert (row["address"], row["reason"]) == ("'+1@example.com", "'=cmd()")
    assert LogEntry.objects.get().change_message == "Exported: 1 addresses."
    Suppression.objects.all().delete()

    upload(client, content)

    assert Suppression.objects.get().address == "+1@example.com"


def test_page_says_what_ses_does_not_allow(client, operator):
    error = "Not available here: the IAM permission ses:ListSuppressedDestinations is missing."
    SuppressionSync.objects.create(pk=1, error=error)

    assert error in text(client.get(list_url(Suppression)))


def test_empty_list_and_settings_are_told_in_words(client, operator, settings):
    settings.SUPPRESS_ON, settings.SUPPRESSION_SYNC = [], "off"

    page = text(client.get(list_url(Suppression)))

    assert "Only staff add addresses" in page
    assert "Settings turn off reading SES's own list." in page


def test_customer_is_told_that_the_email_was_not_sent_and_not_why(client, aws, consume):
    make_suppression(source=Suppression.Source.COMPLAINT)
    order = make_order()
    consume()

    page = text(client.get(order.get_signed_url().replace("/?", "/email/?")))

    assert "This email was not sent: we cannot send to this address at the moment" in page
    assert "spam" not in page
    assert "suppress" not in page


def test_page_of_the_guard_shows_rates_and_what_waits(client, operator):
    make_notification(state=Notification.State.KEPT)
    guard.stop(reason="bounces 12.00 %")

    page = text(client.get(reverse("admin:emails_guard_changelist")))

    assert "the guard stopped it by itself" in page
    assert "1 email</a>" in page
    assert "Resume…" in page


def test_resume_is_logged_with_its_reason(client, operator):
    guard.stop(reason="bounces")

    client.post(reverse("admin:emails_guard_resume"), {"reason": "the list was cleaned"})

    assert not guard.is_stopped()
    assert LogEntry.objects.get().change_message == "Resumed: the list was cleaned"


def test_times_of_old_lifts_are_shown(client, operator):
    make_suppression(state=Suppression.State.LIFTED, lifted_at=timezone.now() - timedelta(days=400))

    assert "lifted" in text(client.get(list_url(Suppression)))


@pytest.mark.processes
def test_ses_is_asked_what_it_has_and_answers_in_words(client, operator, local_aws, settings):
    settings.AWS_ENDPOINT_URL = local_aws.endpoint
    ses_api.forget_clients()
    here, gone = (make_suppression(address=f"{uuid.uuid4().hex}@example.net") for _ in range(2))
    suppression_list.put(here.address, "COMPLAINT")
    data = {"action": "ask_ses", "_selected_action": [here.pk, gone.pk]}

    page = text(client.post(list_url(Suppression), data, follow=True))
    ses_api.forget_clients()

    assert re.search(f"SES has had {here.address} on its list since .*: complaint", page)
    assert f"SES does not have {gone.address} on its list" in page


def test_where_ses_cannot_be_asked_the_page_says_so(client, operator, refuses_v2):
    data = {"action": "ask_ses", "_selected_action": make_suppression().pk, "from_row": "1"}

    page = text(client.post(list_url(Suppression), data, follow=True))

    assert "the IAM permission ses:GetSuppressedDestination is missing" in page
