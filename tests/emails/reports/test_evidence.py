from datetime import timedelta

import pytest
from django.utils import timezone

from emails.errors import InDoubt
from emails.models import DeliveryEvent, EventChannel, Notification
from emails.reports import evidence
from emails.sending import states
from queues.aws import sqs
from queues.models import DeadLetter, OutboxEvent
from tests.support.owed import claimed, only, owed, place

pytestmark = pytest.mark.django_db

State = Notification.State
HOUR = timedelta(hours=1)


@pytest.fixture
def doubt(aws, consume):
    """An email in doubt for an hour, its message gone."""
    notification = owed(place())
    states.doubt(claimed(notification), InDoubt("lost"))
    consume()
    aws.verify("success@simulator.amazonses.com")
    started = timezone.now() - HOUR
    Notification.objects.update(attempt_started_at=started)
    return started


def proved(doubt):
    """Everything that must be so before silence proves something."""
    evidence.saw([doubt + timedelta(seconds=451)])
    evidence.resolve_doubts()
    assert only().safe_at is not None
    Notification.objects.update(safe_at=timezone.now() - timedelta(seconds=1))


def send_unread(queue):
    queue.send_batch([sqs.Outgoing(key="1", body="x")])


def have_read(count):
    """Read so many other events, just now."""
    now = timezone.now()
    for n in range(count):
        DeliveryEvent.objects.create(
            provider_message_id=f"ses-{n}", type="Send", happened_at=now, raw={}
        )


def test_proven_silence_sends_the_email_again(doubt, aws, consume):
    proved(doubt)
    before = len(aws.accepted)

    assert evidence.resolve_doubts() == 1
    consume()

    assert only().state == State.SENT
    assert len(aws.accepted) == before + 1


def test_silence_of_a_channel_that_told_of_nothing_later_proves_nothing(doubt):
    evidence.saw([doubt + timedelta(seconds=449)])

    evidence.resolve_doubts()

    assert only().safe_at is None


def test_silence_within_the_grace_proves_nothing(doubt):
    Notification.objects.update(attempt_started_at=timezone.now() - timedelta(seconds=600))
    evidence.saw([timezone.now()])

    evidence.resolve_doubts()

    assert only().safe_at is None


def test_silence_is_not_proved_before_the_drain(doubt):
    evidence.saw([doubt + timedelta(seconds=451)])

    evidence.resolve_doubts()
    evidence.resolve_doubts()

    assert only().state == State.IN_DOUBT


@pytest.mark.parametrize("obstacle", ["queue", "in hand", "dead-letter queue", "dead letter"])
def test_silence_is_not_proved_while_an_event_waits_or_is_dead(doubt, obstacle):
    proved(doubt)
    if obstacle == "dead letter":
        DeadLetter.objects.create(queue="ses-events", sqs_message_id="m", body="")
    elif obstacle == "dead-letter queue":
        send_unread(sqs.dead_letter_queue("ses-events"))
    else:
        send_unread(sqs.queue("ses-events"))
    if obstacle == "in hand":
        sqs.queue("ses-events").receive(limit=10, wait_seconds=0)

    assert evidence.resolve_doubts() == 0
    assert only().state == State.IN_DOUBT


@pytest.mark.parametrize(
    ("read", "told_after", "sends"),
    [(3, 451, True), (3, 449, False), (2, 451, False)],
    ids=["read on", "not long enough", "a backlog"],
)
def test_under_traffic_silence_is_proved_by_what_was_read_meanwhile(doubt, read, told_after, sends):
    proved(doubt)
    for _ in range(3):
        send_unread(sqs.queue("ses-events"))
    have_read(read)
    Notification.objects.update(safe_at=timezone.now() - timedelta(seconds=told_after))
    evidence.saw([timezone.now()])

    assert evidence.resolve_doubts() == sends


def test_what_was_read_long_ago_does_not_show_that_events_are_read_now(doubt):
    proved(doubt)
    send_unread(sqs.queue("ses-events"))
    have_read(1)
    DeliveryEvent.objects.update(recorded_at=timezone.now() - timedelta(seconds=91))
    Notification.objects.update(safe_at=timezone.now() - HOUR)
    evidence.saw([timezone.now()])

    assert evidence.resolve_doubts() == 0


def test_event_that_comes_after_all_ends_the_doubt(doubt):
    proved(doubt)
    states.accept(only().pk, 1, "ses-1")

    assert evidence.resolve_doubts() == 0
    assert only().state == State.SENT


def test_mark_of_the_channel_only_rises(aws):
    later, earlier = timezone.now(), timezone.now() - HOUR

    evidence.saw([later])
    evidence.saw([earlier])

    assert EventChannel.objects.get().newest_sent_at == later


def test_one_canary_in_half_a_minute_and_only_while_something_is_in_doubt(doubt, aws):
    for _ in range(3):
        evidence.resolve_doubts()

    canaries = [mail for mail in aws.accepted if "success@simulator" in str(mail.destinations)]
    assert len(canaries) == 1
    assert "kind=canary" in canaries[0].raw_data

    Notification.objects.update(state=State.SENT)
    EventChannel.objects.update(canary_at=None)
    evidence.resolve_doubts()
    assert (
        len([mail for mail in aws.accepted if "success@simulator" in str(mail.destinations)]) == 1
    )


def test_what_is_sent_again_has_one_new_outbox_row(doubt):
    proved(doubt)

    counts = [evidence.resolve_doubts() for _ in range(2)]

    assert counts == [1, 0]
    assert OutboxEvent.objects.filter(state="pending").count() == 1


def test_event_from_the_future_does_not_raise_the_mark(aws, caplog):
    evidence.saw([timezone.now() + HOUR])

    assert not EventChannel.objects.filter(newest_sent_at__isnull=False).exists()
    assert "from the future" in caplog.text
