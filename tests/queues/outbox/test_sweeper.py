from datetime import timedelta

import pytest
from django.utils import timezone

from queues import registry
from queues.aws import sqs
from queues.errors import QueueUnavailable
from queues.models import DeadLetter, HandlingFailure, OutboxEvent
from queues.outbox import lost, relay
from queues.upkeep import sweeping
from tests.support.parcels import record


@pytest.fixture
def published(aws):
    """An event published long ago."""
    row = record()
    relay.publish_pending()
    OutboxEvent.objects.update(published_at=timezone.now() - timedelta(hours=1))
    return row


@pytest.fixture
def purged(published):
    """The same, and its message is gone."""
    sqs.client().purge_queue(QueueUrl=sqs.queue("orders").url)
    return published


@pytest.mark.django_db
def test_event_whose_message_was_lost_is_published_again(purged):
    assert lost.republish_lost("orders") == 1

    assert relay.publish_pending() == 1
    assert sqs.queue("orders").depth().visible == 1


@pytest.mark.django_db
def test_event_whose_message_still_waits_is_left_alone(published):
    assert lost.republish_lost("orders") == 0


def overtake(*, by):
    """An event published so much later is handled, and another one waits in the queue."""
    for _ in range(2):
        later = record()
    relay.publish_pending()
    OutboxEvent.objects.filter(pk=later.pk).update(
        state=OutboxEvent.State.HANDLED, published_at=timezone.now() - timedelta(hours=1) + by
    )


@pytest.mark.django_db
def test_event_that_much_later_ones_overtook_is_published_again_under_traffic(purged):
    overtake(by=timedelta(minutes=11))

    assert lost.republish_lost("orders") == 1

    purged.refresh_from_db()
    assert purged.state == OutboxEvent.State.PENDING


@pytest.mark.django_db
def test_event_that_others_overtook_by_a_little_is_left_alone(purged):
    overtake(by=timedelta(minutes=9))

    assert lost.republish_lost("orders") == 0


@pytest.mark.django_db
def test_event_that_failed_is_still_in_the_queue_and_is_left_alone(purged):
    overtake(by=timedelta(minutes=11))
    HandlingFailure.objects.create(
        queue="orders", sqs_message_id="m", event_id=purged.event_id, receive_count=1
    )

    assert lost.republish_lost("orders") == 0


@pytest.mark.django_db
def test_nothing_is_published_again_while_a_dead_letter_is_not_collected(purged):
    overtake(by=timedelta(minutes=11))
    sqs.dead_letter_queue("orders").send_batch([sqs.Outgoing(key="1", body="x")])

    assert lost.republish_lost("orders") == 0


@pytest.mark.django_db
def test_event_published_just_now_is_left_alone(purged):
    OutboxEvent.objects.update(published_at=timezone.now())

    assert lost.republish_lost("orders") == 0


@pytest.mark.django_db
def test_event_with_an_open_dead_letter_waits_for_a_person(purged):
    DeadLetter.objects.create(queue="orders", sqs_message_id="m", event_id=purged.event_id, body="")

    assert lost.republish_lost("orders") == 0


@pytest.mark.django_db
def test_message_that_waits_in_the_dead_letter_queue_is_not_lost(purged):
    sqs.dead_letter_queue("orders").send_batch([sqs.Outgoing(key="1", body="x")])

    assert lost.republish_lost("orders") == 0


@pytest.mark.django_db
def test_step_that_aws_does_not_answer_keeps_no_other_from_running(aws, caplog, monkeypatch):
    ran = []

    def fail():
        raise QueueUnavailable("no answer")

    def run():
        ran.append(1)
        return 0

    monkeypatch.setattr(registry, "sweeps", [fail, run])
    sweeping.sweep()

    assert ran == [1]
    assert "sweep step failed: no answer" in caplog.text
