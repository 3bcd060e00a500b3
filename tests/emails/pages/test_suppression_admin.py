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

from emails.models import Notification, Suppression, SuppressionImport, SuppressionSync
from emails.reputation import imports
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


def upload(client, content):
    """Upload a file; the answer is the page that says what it would do."""
    file = SimpleUploadedFile("list.csv", content)
    data = {"file": file, "reason": "from the old shop"}
    return client.post(reverse("admin:emails_suppression_import"), data, follow=True)


def confirm(client, **fields):
    upload = SuppressionImport.objects.get()
    address = reverse("admin:emails_suppression_import_preview", args=[upload.pk])
    return client.post(address, fields or {"confirm": "yes"}, follow=True)


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


MIXED = (
    "\ufeffReason,EmailAddress\r\nbounced,new@example.com\r\n,Known@example.com\r\n\r\n"
    "x,lifted@example.com\r\nx,nobody\r\nx\r\nagain,NEW@example.com\r\n"
).encode()


@pytest.fixture
def known():
    make_suppression(address="known@example.com")
    return make_suppression(address="lifted@example.com", state="lifted", lifted_at=timezone.now())


def test_a_file_is_shown_line_by_line_and_changes_nothing_before_somebody_confirms(
    client, operator, known
):
    before = list(Suppression.objects.order_by("pk").values())

    response = upload(client, MIXED)

    page = text(response)
    assert [count for count, _ in response.context["outcomes"]] == [1, 1, 1, 1, 2]
    assert response.context["found"].wrong == [6, 7]
    assert "“nobody” is not an email address." in page
    assert "The addresses are in the column “EmailAddress”, the reasons in “Reason”." in page
    assert list(Suppression.objects.order_by("pk").values()) == before
    assert not LogEntry.objects.exists()


def test_import_does_what_the_preview_said(client, operator, known):
    upload(client, MIXED)

    page = text(confirm(client))

    assert "1 newly suppressed" in page
    assert "1 unchanged" in page
    assert "1 lifted here before, and they stay lifted" in page
    assert "2 not imported" in page
    assert Suppression.objects.of(["new@example.com"]).get().reason == "bounced"
    assert Suppression.objects.get(pk=known.pk).state == "lifted"
    assert LogEntry.objects.get().change_message.startswith("Imported list.csv: 1 newly suppressed")
    assert not SuppressionImport.objects.exists()


def test_lifted_addresses_are_suppressed_again_if_somebody_says_so(client, operator, known):
    upload(client, MIXED)

    page = text(confirm(client, confirm="yes", reactivate="on"))

    assert "1 suppressed again" in page
    assert not Suppression.objects.filter(state="lifted").exists()


def test_a_discarded_file_is_deleted_and_changes_nothing(client, operator):
    upload(client, MIXED)

    page = text(confirm(client, discard="yes"))

    assert "Nothing was imported" in page
    assert not SuppressionImport.objects.exists()
    assert not Suppression.objects.exists()


def test_a_file_is_confirmed_once_and_by_whoever_uploaded_it(client, operator):
    address = upload(client, MIXED).request["PATH_INFO"]
    client.force_login(staff(role="operator"))
    assert "no longer here" in text(client.get(address, follow=True))
    client.force_login(operator)
    confirm(client)

    assert "no longer here" in text(client.post(address, {"confirm": "yes"}, follow=True))
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize("role", ["support", "auditor"])
def test_who_may_not_import_confirms_no_file_either(client, role):
    user = staff(role=role)
    client.force_login(user)
    kept = imports.keep(MIXED, name="a.csv", reason="r", user_id=user.pk)
    address = reverse("admin:emails_suppression_import_preview", args=[kept.pk])

    for fields in ({"confirm": "yes"}, {"discard": "yes"}):
        assert client.post(address, fields).status_code == 403
    assert SuppressionImport.objects.exists()
    assert not Suppression.objects.exists()


def test_a_file_that_nobody_confirms_is_forgotten_after_a_day(client, operator):
    upload(client, MIXED)
    assert imports.forget_old() == 0
    SuppressionImport.objects.update(uploaded_at=timezone.now() - timedelta(hours=25))

    assert imports.forget_old() == 1


def test_another_upload_replaces_the_first(client, operator):
    upload(client, MIXED)
    upload(client, b"a@example.com\n")

    confirm(client)

    assert [row.address for row in Suppression.objects.all()] == ["a@example.com"]


def test_where_nothing_would_change_nothing_is_asked(client, operator, known):
    page = text(upload(client, b"known@example.com\n"))

    assert "There is nothing to import." in page
    assert 'name="confirm"' not in page


def test_own_export_of_a_lifted_address_suppresses_nobody(client, operator):
    upload(
        client,
        b"address,state,source,reason,since,added_by,lifted_at\r\n"
        b"ada@example.com,lifted,bounce,550,2026-01-01T00:00:00+00:00,root,2026-02-01T00:00:00+00:00\r\n",
    )

    page = text(confirm(client))

    assert "1 recorded as lifted" in page
    assert not Suppression.objects.active().exists()
    row = Suppression.objects.get()
    assert (row.source, row.added_by, row.ses_task) == ("bounce", "root", "")


def test_a_file_lifts_nobody(client, operator):
    row = make_suppression()
    upload(
        client,
        b"address,state,lifted_at\nada@example.com,lifted,2026-02-01T00:00:00+00:00\nb@example.com,,\n",
    )

    page = text(confirm(client))

    assert "1 lifted in the file and suppressed here: they stay suppressed" in page
    row.refresh_from_db()
    assert row.state == "active"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name,phone\nAda,1\n", "has no column"),
        (b'email,reason\na@example.com,"550\n', "Line 2 opens a quote that is never closed"),
        (b"", "The submitted file is empty"),
    ],
)
def test_file_that_cannot_be_taken_says_why_and_is_not_kept(client, operator, content, words):
    assert words in text(upload(client, content))
    assert not SuppressionImport.objects.exists()
    assert not Suppression.objects.exists()


def test_file_that_is_too_large_is_refused(client, operator):
    content = b"x" * (imports.MAX_BYTES + 1)

    assert "at most 16 MB at once" in text(upload(client, content))


def test_export_is_read_back_by_an_import_and_holds_no_formula(client, operator):
    make_suppression(address="+1@example.com", reason="=cmd()")
    response = client.post(reverse("admin:emails_suppression_export"))
    content = b"".join(response.streaming_content)

    [row] = csv.DictReader(io.StringIO(content.decode()))
    assert (row["address"], row["reason"]) == ("'+1@example.com", "'=cmd()")
    assert LogEntry.objects.get().change_message == "Exported: 1 addresses."
    Suppression.objects.all().delete()

    upload(client, content)
    confirm(client)

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

    assert "We can&#x27;t email this address at the moment." in page
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
