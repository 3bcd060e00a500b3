"""Our list and that of the SES account, which the local AWS has."""

import uuid
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from django.utils import timezone

from emails.models import Suppression, SuppressionSync
from emails.reputation import ses_sync, suppressions
from emails.reputation.suppressions import Entry, Source
from emails.ses import ses_api, suppression_list
from queues.models.live import Duty

pytestmark = [pytest.mark.processes, pytest.mark.django_db]

State = Suppression.State


@pytest.fixture(autouse=True)
def account(local_aws, settings):
    """SES as this process sees it, its list empty."""
    settings.AWS_ENDPOINT_URL = local_aws.endpoint
    ses_api.forget_clients()
    for listed in suppression_list.page().listed:
        suppression_list.delete(listed.address)
    yield
    ses_api.forget_clients()


@pytest.fixture
def answers(request):
    """Let SES answer a call with this error."""

    def install(operation, code, *, status=400):
        events = ses_api.api_v2().meta.events

        def answer(http_response, parsed, **kwargs):
            http_response.status_code = status
            parsed.clear()
            parsed["Error"] = {"Code": code, "Message": "as the test wants it"}
            parsed["ResponseMetadata"] = {"HTTPStatusCode": status}

        events.register(f"after-call.sesv2.{operation}", answer)
        request.addfinalizer(lambda: events.unregister(f"after-call.sesv2.{operation}", answer))

    return install


def new_address():
    return f"{uuid.uuid4().hex}@example.net"


def tell():
    Duty.objects.filter(pk=ses_sync.TELL).delete()
    return ses_sync.tell()


def read(*, later=timedelta()):
    Duty.objects.filter(pk=ses_sync.READ).delete()
    for sync in SuppressionSync.objects.exclude(done_at=None):
        sync.done_at -= later
        sync.full_at = sync.full_at and sync.full_at - later
        sync.save()
    return ses_sync.read()


def add(address, source=Source.STAFF):
    suppressions.add([Entry(address, source, "a test")], reactivate=True)
    return Suppression.objects.of([address]).get()


def test_what_staff_add_and_lift_is_told_to_ses():
    address = new_address()
    row = add(address)

    assert tell() == 1
    found = suppression_list.get(address)
    assert found and found.reason == "BOUNCE"

    suppressions.lift(Suppression.objects.filter(pk=row.pk))
    assert tell() == 1

    assert suppression_list.get(address) is None
    row.refresh_from_db()
    assert (row.ses_task, row.ses_error) == ("", "")


def test_lifted_address_that_ses_never_listed_is_done():
    row = add(new_address())
    suppressions.lift(Suppression.objects.filter(pk=row.pk))

    assert tell() == 1
    assert not Suppression.objects.exclude(ses_task="").exists()


def test_what_was_suppressed_is_not_sent_before_ses_knows_of_the_lift(answers):
    row = add(new_address())
    suppressions.lift(Suppression.objects.filter(pk=row.pk), sends_again=True)
    answers("DeleteSuppressedDestination", "TooManyRequestsException", status=429)

    tell()
    suppressions.send_lifted()

    row.refresh_from_db()
    assert (row.ses_task, row.sends_again) == ("remove", True)


def test_where_the_right_is_missing_it_is_named_and_sending_goes_on(answers):
    row = add(new_address())
    suppressions.lift(Suppression.objects.filter(pk=row.pk), sends_again=True)
    answers("DeleteSuppressedDestination", "AccessDeniedException", status=403)

    tell()
    suppressions.send_lifted()

    row.refresh_from_db()
    assert "the IAM permission ses:DeleteSuppressedDestination is missing" in row.ses_error
    assert (row.ses_task, row.sends_again) == ("", False)


def test_list_of_ses_is_read_page_by_page(monkeypatch):
    addresses = [new_address() for _ in range(5)]
    for address in addresses:
        suppression_list.put(address, "COMPLAINT")
    monkeypatch.setattr(suppression_list, "PAGE_SIZE", 2)

    assert read() == 5

    assert set(Suppression.objects.values_list("address", flat=True)) == set(addresses)
    assert {row.source for row in Suppression.objects.all()} == {Source.SES}
    assert SuppressionSync.objects.get().full_at


def test_a_piece_is_bounded_and_the_next_goes_on(monkeypatch):
    for _ in range(5):
        suppression_list.put(new_address(), "BOUNCE")
    monkeypatch.setattr(suppression_list, "PAGE_SIZE", 1)
    monkeypatch.setattr(ses_sync, "MOST_PAGES", 2)

    assert [read(), read(), read()] == [2, 2, 1]
    assert Suppression.objects.count() == 5


def test_between_whole_passes_only_what_is_new_is_asked_for():
    read()
    assert read() == 0
    address = new_address()
    suppression_list.put(address, "COMPLAINT")

    assert read(later=timedelta(minutes=10)) == 1

    sync = SuppressionSync.objects.get()
    assert (sync.error, bool(sync.listed_since)) == ("", True)
    assert Suppression.objects.of([address]).exists()


def test_ses_leaves_out_what_was_listed_before():
    suppression_list.put(new_address(), "BOUNCE")

    assert suppression_list.page(since=timezone.now() + timedelta(hours=1)).listed == []
    assert len(suppression_list.page(since=timezone.now() - timedelta(hours=1)).listed) == 1


def test_what_ses_has_no_more_is_lifted_by_a_whole_pass_unless_others_said_so():
    ours, theirs = new_address(), new_address()
    add(ours)
    tell()
    suppression_list.put(theirs, "BOUNCE")
    read()

    for address in (ours, theirs):
        suppression_list.delete(address)
    read(later=timedelta(minutes=10))
    assert Suppression.objects.of([theirs]).get().state == State.ACTIVE
    read(later=timedelta(days=2))

    assert Suppression.objects.of([theirs]).get().state == State.LIFTED
    assert Suppression.objects.of([ours]).get().state == State.ACTIVE


def test_lifted_here_stays_lifted_until_ses_lists_it_anew():
    address = new_address()
    suppression_list.put(address, "BOUNCE")
    read()
    suppressions.lift(Suppression.objects.of([address]))
    row = Suppression.objects.of([address])
    row.update(ses_task="", lifted_at=timezone.now() + timedelta(seconds=1))

    read(later=timedelta(days=2))
    assert row.get().state == State.LIFTED

    row.update(lifted_at=timezone.now() - timedelta(hours=1))
    read(later=timedelta(days=2))
    assert row.get().state == State.ACTIVE


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("AccessDeniedException", "the IAM permission ses:ListSuppressedDestinations is missing"),
        ("NotImplemented", "this endpoint does not answer ListSuppressedDestinations"),
        ("InternalServiceError", "as the test wants it"),
    ],
)
def test_list_that_is_not_to_be_had_is_told_and_asked_for_later(answers, code, words):
    answers("ListSuppressedDestinations", code)

    assert read() == 0

    assert words in SuppressionSync.objects.get().error
    assert ses_sync.read() == 0


def test_off_asks_nothing_and_pull_only_reads(settings, answers):
    address = new_address()
    settings.SUPPRESSION_SYNC = "pull"
    add(address)
    assert tell() == 0
    assert suppression_list.get(address) is None

    settings.SUPPRESSION_SYNC = "off"
    assert read() == 0
    assert not SuppressionSync.objects.exists()


def test_mail_to_a_listed_address_is_accepted_and_reported_as_not_tried(local_aws):
    address = new_address()
    suppression_list.put(address, "BOUNCE")
    client = local_aws.client("ses")
    local_aws.set_sandbox_rules(False)

    client.send_raw_email(
        Source="shop@example.com",
        Destinations=[address],
        RawMessage={"Data": b"Subject: x\r\n\r\nx"},
    )
    local_aws.set_sandbox_rules(True)

    assert not [mail for mail in local_aws.mail() if address in mail["to"]]


def test_no_address_is_refused_for_itself_alone():
    row = add(new_address())
    Suppression.objects.filter(pk=row.pk).update(address="no address")
    other = add(new_address())

    assert tell() == 2

    row.refresh_from_db()
    assert "Invalid email address" in row.ses_error
    assert suppression_list.get(other.address)


def test_unknown_address_cannot_be_deleted_twice(local_aws):
    with pytest.raises(ClientError, match="does not exist"):
        local_aws.client("sesv2").delete_suppressed_destination(EmailAddress=new_address())
