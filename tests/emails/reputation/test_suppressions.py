import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from emails.errors import NotSent
from emails.models import Attempt, Notification, Suppression
from emails.reports import feedback, ses_events
from emails.reputation import suppressions
from emails.reputation.suppressions import Entry, Source
from emails.sending import claims, states, trials
from emails.sending.planning import Owed
from queues.answers import Bucket
from queues.models import DeadLetter, OutboxEvent
from queues.redrives import preflight
from queues.upkeep import sweeping
from tests.emails.reports.test_feedback import bounce, ses_event
from tests.support.owed import claimed, only, owed, place
from tests.support.rows import make_dead_letter

pytestmark = pytest.mark.django_db

State = Notification.State
ADA = "ada@example.com"


def suppress(address=ADA, **fields):
    defaults = {"source": Source.STAFF, "since": timezone.now()}
    return Suppression.objects.create(address=address, **defaults | fields)


def tell(*events):
    feedback.record([(ses_events.parsed(raw), raw) for raw in events])


def complaint(**options):
    return ses_event("Complaint", complainedRecipients=[{"emailAddress": ADA}], **options)


@pytest.fixture
def sent(aws, consume):
    place()
    consume()
    return only()


@pytest.mark.parametrize("spelling", [ADA, "Ada@Example.COM"])
def test_suppressed_address_gets_no_email_and_its_event_is_handled(aws, consume, spelling):
    suppress(spelling)
    place()

    consume()

    assert aws.accepted == []
    assert (only().state, only().attempts) == (State.SUPPRESSED, 0)
    assert not Attempt.objects.exists()
    assert OutboxEvent.objects.get().state == OutboxEvent.State.HANDLED


@pytest.mark.parametrize("spelling", ["josé@example.com", "JOSé@Example.com"])
def test_address_with_other_letters_is_found_whatever_the_case_of_the_rest(spelling):
    suppress("José@example.com")

    assert suppressions.listed([spelling]) == {"josé@example.com"}
    assert Suppression.objects.of([spelling]).count() == 1


def test_lifted_address_gets_emails_again(aws, consume):
    suppress(state=Suppression.State.LIFTED, lifted_at=timezone.now())
    place()

    consume()

    assert only().state == State.SENT


def test_of_emails_that_are_claimed_together_only_the_suppressed_one_is_not_sent(aws):
    suppress("b@example.com")
    wanted = [
        Owed(place(recipient=address), "order_confirmation", address)
        for address in ("a@example.com", "b@example.com", "c@example.com")
    ]

    granted = claims.claim_owed(wanted)

    assert [claim is not None for claim in granted] == [True, False, True]
    assert Attempt.objects.count() == 2


def test_email_that_was_put_back_is_suppressed_when_it_comes_again(aws):
    notification = owed(place())
    states.put_back(claimed(notification), NotSent("later"), seconds=0)
    suppress()

    assert claims.claim(notification) is None

    assert (only().state, only().attempts) == (State.SUPPRESSED, 1)


def test_claiming_asks_nothing_more_for_the_list(aws, django_assert_num_queries):
    wanted = [
        Owed(place(recipient=f"{number}@example.com"), "order_confirmation", "a@b.example")
        for number in range(5)
    ]

    # On PostgreSQL one statement does it all. On SQLite: a savepoint, the time, the rows, their attempts, its end.
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 5):
        claims.claim_owed(wanted)


def test_hard_bounce_suppresses_with_the_words_of_the_mail_server(sent):
    event = bounce(notification=sent)
    event["bounce"]["bouncedRecipients"][0]["diagnosticCode"] = "smtp; 550 5.1.1 user unknown"

    tell(event)

    found = Suppression.objects.get()
    assert (found.address, found.source) == (ADA, Source.BOUNCE)
    assert (found.reason, found.notification) == ("550 5.1.1 user unknown", sent)


def test_complaint_suppresses_and_is_the_graver_reason(sent):
    tell(bounce(notification=sent), complaint(notification=sent))

    tell(complaint(notification=sent, moment="2026-11-22T10:01:00.000Z"))

    assert Suppression.objects.get().source == Source.COMPLAINT


@pytest.mark.parametrize(
    "raw",
    [
        bounce("Transient"),
        ses_event("Delivery"),
        complaint(complaintFeedbackType="not-spam"),
    ],
)
def test_what_is_no_hard_bounce_or_complaint_suppresses_nobody(sent, raw):
    raw["mail"]["messageId"] = sent.provider_message_id

    tell(raw)

    assert not Suppression.objects.exists()


@pytest.mark.parametrize("event", [bounce(), complaint()])
def test_settings_say_what_suppresses(sent, settings, event):
    settings.SUPPRESS_ON = []
    event["mail"]["messageId"] = sent.provider_message_id

    tell(event)

    assert not Suppression.objects.exists()


def test_bounce_of_an_email_that_is_not_ours_suppresses_nobody(aws):
    tell(bounce(message_id="of somebody else"))

    assert not Suppression.objects.exists()


def test_address_on_the_list_of_ses_is_no_bounce_and_is_suppressed_here_too(sent):
    tell(bounce(notification=sent, bounceSubType="OnAccountSuppressionList"))

    assert only().delivery_status == Notification.Delivery.SUPPRESSED
    assert (
        Suppression.objects.get().reason == "The address is on the SES account's suppression list."
    )


def test_old_news_does_not_add_again_what_was_lifted(sent):
    tell(bounce(notification=sent))
    suppressions.lift(Suppression.objects.all())

    tell(bounce(notification=sent), bounce(notification=sent, moment="2026-11-22T10:00:06.000Z"))

    assert Suppression.objects.get().state == Suppression.State.LIFTED


def test_bounce_after_the_lift_adds_it_again(sent):
    tell(bounce(notification=sent))
    suppressions.lift(Suppression.objects.all())
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()

    tell(bounce(notification=sent, moment=later))

    assert Suppression.objects.get().state == Suppression.State.ACTIVE


def test_bounce_while_the_next_email_is_in_flight_lets_that_one_go(sent, aws):
    held = claimed(owed(place()))

    tell(bounce(notification=sent))
    states.accept(held.notification.pk, held.attempt, "ses-2")

    assert Notification.objects.filter(state=State.SENT).count() == 2


def test_lifting_sends_again_what_was_suppressed_once(aws, consume, settings):
    settings.SUPPRESSION_SYNC = "off"
    suppress()
    place()
    consume()

    suppressions.lift(Suppression.objects.all(), sends_again=True)
    assert suppressions.send_lifted() == 1
    assert suppressions.send_lifted() == 0
    consume()

    assert only().state == State.SENT
    assert len(aws.accepted) == 1


def test_lifting_alone_sends_nothing(aws, consume):
    suppress()
    place()
    consume()

    suppressions.lift(Suppression.objects.all())
    sweeping.sweep()
    consume()

    assert only().state == State.SUPPRESSED


def test_what_was_suppressed_long_ago_is_not_sent_after_a_lift(aws, consume, settings):
    settings.SUPPRESSION_SYNC = "off"
    suppress()
    place()
    consume()
    Notification.objects.update(created_at=timezone.now() - timedelta(days=8))

    suppressions.lift(Suppression.objects.all(), sends_again=True)

    assert suppressions.send_lifted() == 0


def test_redrive_to_a_suppressed_address_closes_the_letter_and_sends_nothing(aws, consume):
    event = place()
    letter = make_dead_letter(event_id=event.id, body=event.to_json())
    suppress()

    assert list(preflight.sort(DeadLetter.objects.all()).buckets) == [Bucket.SUPPRESSED]
    consume()

    assert only().state == State.SUPPRESSED
    assert preflight.of(event) == Bucket.SUPPRESSED
    assert letter.pk


def test_redrive_after_the_lift_sends(aws, consume):
    notification = owed(place())
    states.put_back(claimed(notification), NotSent("later"), seconds=0)
    suppress()
    suppressions.lift(Suppression.objects.all())

    consume()

    assert only().state == State.SENT


def test_test_email_to_a_suppressed_address_is_suppressed(aws, consume):
    suppress()
    trials.request(ADA.upper(), by="ada")

    consume()

    assert aws.accepted == []
    assert only().state == State.SUPPRESSED


def test_adding_counts_what_is_new_and_what_was_lifted():
    suppress("lifted@example.com", state=Suppression.State.LIFTED, lifted_at=timezone.now())
    suppress("known@example.com")
    entries = [
        Entry(address, Source.IMPORT)
        for address in (
            "new@example.com",
            "NEW@example.com",
            "LIFTED@example.com",
            "known@example.com",
        )
    ]

    assert suppressions.add(entries, reactivate=False) == (1, 1)
    assert Suppression.objects.active().count() == 2
    assert suppressions.add(entries, reactivate=True) == (0, 1)
    assert Suppression.objects.active().count() == 3


def test_events_told_together_or_twice_make_one_entry(sent):
    events = [bounce(notification=sent), complaint(notification=sent)] * 2

    tell(*events)
    for event in events:
        feedback.take(json.dumps(event))

    assert Suppression.objects.get().source == Source.COMPLAINT
