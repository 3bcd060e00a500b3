"""What adding, learning and lifting write to an address, and which addresses they leave alone."""

from datetime import timedelta

import pytest
from django.utils import timezone

from emails.models import Notification, Suppression
from emails.reputation import suppressions
from emails.reputation.suppressions import Entry, News, Source
from queues.models import OutboxEvent
from queues.upkeep import sweeping
from tests.support.rows import make_notification

pytestmark = pytest.mark.django_db

State = Suppression.State
Task = Suppression.Task
ADA, BOB = "ada@example.com", "bob@example.com"


def suppress(address=ADA, **fields):
    defaults = {"source": Source.STAFF, "since": long_ago()}
    return Suppression.objects.create(address=address, **defaults | fields)


def long_ago(**back):
    return timezone.now() - timedelta(**back or {"days": 30})


def row(address=ADA):
    return Suppression.objects.get(address=address)


def is_just_now(moment):
    return abs(moment - timezone.now()) < timedelta(seconds=10)


def lifted(address=ADA, **fields):
    defaults = {
        "state": State.LIFTED,
        "lifted_at": long_ago(days=1),
        "ses_error": "old",
        "sends_again": True,
        "reason": "old",
    }
    return suppress(address, **defaults | fields)


@pytest.fixture(params=["both", "off"])
def task(request, settings):
    """The task of SES that a change of staff leads to: by settings, it is told of it or not."""
    settings.SUPPRESSION_SYNC = request.param
    return (lambda name: name) if request.param == "both" else (lambda name: Task.NONE)


def test_added_address_has_who_added_it_and_why_and_ses_is_told_if_settings_say_so(task):
    suppressions.add([Entry(ADA, Source.STAFF, "x" * 400, "grace")], reactivate=False)

    found = row()
    assert (found.state, found.source, found.added_by) == (State.ACTIVE, Source.STAFF, "grace")
    assert (found.reason, found.ses_task) == ("x" * 300, task(Task.ADD))
    assert is_just_now(found.since)


def test_address_that_is_added_again_is_suppressed_as_if_it_were_new(task):
    lifted(), lifted(BOB)

    counts = suppressions.add([Entry(ADA, Source.IMPORT, "new", "grace")], reactivate=True)

    found = row()
    assert counts == (0, 1)
    assert (found.state, found.source, found.added_by) == (State.ACTIVE, Source.IMPORT, "grace")
    assert (found.reason, found.ses_task, found.ses_error) == ("new", task(Task.ADD), "")
    assert (found.lifted_at, found.sends_again) == (None, False)
    assert is_just_now(found.since)
    assert row(BOB).state == State.LIFTED


def test_address_that_is_active_keeps_its_reason_when_it_is_added_again():
    suppress(reason="first")

    assert suppressions.add([Entry(ADA, Source.IMPORT, "second")], reactivate=True) == (0, 0)

    assert (row().source, row().reason) == (Source.STAFF, "first")


def test_lists_longer_than_one_statement_are_added_whole(monkeypatch):
    monkeypatch.setattr(suppressions, "ADDED", 2)
    entries = [Entry(f"{number}@example.com", Source.IMPORT) for number in range(5)]

    assert suppressions.add(entries, reactivate=False) == (5, 0)
    assert suppressions.listed([entry.address for entry in entries]) == {
        entry.address for entry in entries
    }


def test_nobody_is_listed_if_nobody_is_asked_for(django_assert_num_queries):
    suppress()

    with django_assert_num_queries(0):
        assert suppressions.listed([]) == set()


def test_only_active_addresses_that_are_asked_for_are_listed():
    suppress(), lifted(BOB), suppress("third@example.com")

    assert suppressions.listed([ADA, BOB]) == {ADA}


# --- What SES reports


def news(source, *, reason="reported", ago=0, address=ADA):
    moment = timezone.now() - timedelta(seconds=ago)
    return News(Entry(address, source, reason), make_notification(recipient=address).pk, moment)


def test_reported_address_has_when_and_by_which_email_it_happened_and_ses_is_told_nothing():
    told = news(Source.BOUNCE, ago=3600)

    suppressions.learn([told])

    found = row()
    assert (found.state, found.source, found.reason) == (State.ACTIVE, Source.BOUNCE, "reported")
    assert (found.since, found.notification_id) == (told.happened_at, told.notification_id)
    assert found.ses_task == Task.NONE


def test_of_two_reports_about_an_address_the_later_counts():
    suppressions.learn(
        [news(Source.COMPLAINT, reason="later", ago=1), news(Source.BOUNCE, reason="sooner", ago=9)]
    )

    assert (row().source, row().reason) == (Source.COMPLAINT, "later")


@pytest.mark.parametrize(
    ("known", "reported", "counts"),
    [
        (Source.BOUNCE, Source.COMPLAINT, True),
        (Source.BOUNCE, Source.BOUNCE, False),
        (Source.COMPLAINT, Source.BOUNCE, False),
        (Source.STAFF, Source.COMPLAINT, False),
    ],
)
def test_graver_reason_takes_the_place_of_a_milder_one(known, reported, counts):
    suppress(source=known, reason="known")
    suppress(BOB, source=known, reason="known")
    told = news(reported)

    suppressions.learn([told])

    found = row()
    assert (found.source, found.reason) == ((reported, "reported") if counts else (known, "known"))
    assert found.notification_id == (told.notification_id if counts else None)
    assert (row(BOB).source, row(BOB).reason) == (known, "known")


def test_lifted_address_is_suppressed_again_only_by_what_happened_since():
    lifted(lifted_at=long_ago(hours=1)), lifted(BOB, lifted_at=long_ago(hours=1))

    suppressions.learn([news(Source.BOUNCE, ago=60), news(Source.BOUNCE, ago=7200, address=BOB)])

    assert (row().state, row().reason, row().lifted_at) == (State.ACTIVE, "reported", None)
    assert (row(BOB).state, row(BOB).reason) == (State.LIFTED, "old")


def test_report_of_a_kind_that_settings_do_not_name_suppresses_nobody(settings):
    settings.SUPPRESS_ON = ["complaint"]

    suppressions.learn(
        [news(Source.BOUNCE), news(Source.COMPLAINT, address=BOB), news(Source.BOUNCE, address=BOB)]
    )

    assert [found.address for found in Suppression.objects.all()] == [BOB]


# --- Lifting


@pytest.mark.parametrize("sends_again", [True, False])
def test_lifted_address_gets_email_again_and_ses_is_told_if_settings_say_so(task, sends_again):
    suppress(ses_error="old"), suppress(BOB)

    rows = Suppression.objects.filter(address=ADA)
    counts = [suppressions.lift(rows, sends_again=sends_again) for _ in range(2)]

    found = row()
    assert counts == [1, 0]
    assert (found.state, found.sends_again) == (State.LIFTED, sends_again)
    assert (found.ses_task, found.ses_error) == (task(Task.REMOVE), "")
    assert is_just_now(found.lifted_at)
    assert row(BOB).state == State.ACTIVE


@pytest.mark.parametrize(
    "changes",
    [
        {"sends_again": False},
        {"state": State.ACTIVE, "lifted_at": None},
        {"ses_task": Task.REMOVE},
    ],
    ids=["nobody asked", "active again", "SES is not told yet"],
)
def test_suppressed_emails_are_sent_only_when_they_may_and_should_be(changes):
    make_notification(state=Notification.State.SUPPRESSED)
    lifted(**changes)

    assert suppressions.send_lifted() == 0
    assert not OutboxEvent.objects.exists()


def test_only_suppressed_emails_of_the_last_week_to_this_address_are_sent_and_only_once():
    fields = {"state": Notification.State.SUPPRESSED}
    mine, old, other = (make_notification(recipient=to, **fields) for to in (ADA, ADA, BOB))
    failed = make_notification(state=Notification.State.FAILED)
    Notification.objects.filter(pk=old.pk).update(created_at=long_ago(days=7, minutes=1))
    Notification.objects.filter(pk=mine.pk).update(created_at=long_ago(days=6, hours=23))
    lifted(), lifted("third@example.com")

    assert [suppressions.send_lifted() for _ in range(2)] == [1, 0]

    states = dict(Notification.objects.values_list("pk", "state"))
    assert states == {
        mine.pk: "pending",
        old.pk: "suppressed",
        other.pk: "suppressed",
        failed.pk: "failed",
    }
    assert not Suppression.objects.filter(sends_again=True).exists()


def test_consumer_sends_to_lifted_addresses_by_itself():
    kept = make_notification(state=Notification.State.SUPPRESSED)
    lifted()

    sweeping.sweep()

    assert Notification.objects.get(pk=kept.pk).state == "pending"


def test_newest_emails_are_sent_where_there_are_more_than_one_step_sends(monkeypatch):
    monkeypatch.setattr(suppressions, "MOST_AGAIN", 2)
    rows = [make_notification(state=Notification.State.SUPPRESSED) for _ in range(3)]
    lifted()

    assert suppressions.send_lifted() == 2

    sent = Notification.objects.filter(state="pending").values_list("pk", flat=True)
    assert set(sent) == {made.pk for made in rows[1:]}


def test_addresses_wait_for_the_next_step_where_there_are_many(monkeypatch):
    monkeypatch.setattr(suppressions, "BATCH", 1)
    for address in (ADA, BOB):
        make_notification(recipient=address, state=Notification.State.SUPPRESSED)
        lifted(address)

    assert [suppressions.send_lifted() for _ in range(3)] == [1, 1, 0]
