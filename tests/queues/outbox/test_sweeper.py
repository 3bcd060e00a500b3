from datetime import timedelta

import pytest
from django.utils import timezone

from queues import registry
from queues.aws import sqs
from queues.errors import QueueUnavailable
from queues.models import DeadLetter, HandlingFailure, OutboxEvent
from queues.outbox import lost, relay
from queues.upkeep import sweeping
from tests.support.parcels import ParcelWeighed, record


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


@pytest.mark.django_db
@pytest.mark.parametrize("state", OutboxEvent.State)
def test_only_what_sqs_should_have_is_published_again(purged, state):
    OutboxEvent.objects.update(state=state)

    assert lost.republish_lost("orders") == (state == OutboxEvent.State.PUBLISHED)


@pytest.mark.django_db
def test_event_of_another_queue_is_left_alone(purged):
    OutboxEvent.objects.update(queue="transactions")

    assert lost.republish_lost("orders") == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("minutes", "count"), [(9, 0), (11, 1)], ids=["not yet stale", "just stale"]
)
def test_event_counts_as_lost_after_the_time_that_settings_name(purged, settings, minutes, count):
    settings.OUTBOX_STALE_SECONDS = 600
    OutboxEvent.objects.update(published_at=timezone.now() - timedelta(minutes=minutes))

    assert lost.republish_lost("orders") == count


@pytest.mark.django_db
@pytest.mark.parametrize("where", ["visible", "in flight", "delayed"])
def test_message_that_is_anywhere_in_the_queue_is_not_lost(purged, monkeypatch, where):
    counts = {"visible": (1, 0, 0), "in flight": (0, 1, 0), "delayed": (0, 0, 1)}
    empty = sqs.Depth(0, 0, 0)

    def depth(queue):
        return sqs.Depth(*counts[where]) if queue.name == "notifier-orders" else empty

    monkeypatch.setattr(sqs.Queue, "depth", depth)

    assert lost.republish_lost("orders") == 0


def letter(**fields):
    defaults = {"queue": "orders", "sqs_message_id": "m", "body": ""}
    return DeadLetter.objects.create(**defaults | fields)


@pytest.mark.django_db
def test_closed_dead_letter_does_not_keep_its_event_from_being_published(purged):
    letter(event_id=purged.event_id, state=DeadLetter.State.DISCARDED)
    letter(event_id=None, sqs_message_id="another")

    assert lost.republish_lost("orders") == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "is_same"),
    [
        ({}, True),
        ({"queue": "transactions"}, False),
        ({"sqs_message_id": "another"}, False),
    ],
)
def test_message_without_an_event_is_known_by_its_own_id(purged, fields, is_same):
    OutboxEvent.objects.update(event_id=None, sqs_message_id="m")
    letter(**fields)

    assert lost.republish_lost("orders") == (not is_same)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes",
    [{"queue": "transactions"}, {"state": "discarded"}, {"published_at": None}],
    ids=["another queue", "not handled", "never published"],
)
def test_event_counts_as_overtaken_only_by_what_this_queue_delivered_later(purged, changes):
    overtake(by=timedelta(minutes=11))
    OutboxEvent.objects.filter(state="handled").update(**changes)

    assert lost.republish_lost("orders") == 0


@pytest.mark.django_db
def test_failure_of_another_event_or_queue_excuses_nothing(purged):
    overtake(by=timedelta(minutes=11))
    for queue, event_id in [("orders", None), ("transactions", purged.event_id)]:
        HandlingFailure.objects.create(
            queue=queue, sqs_message_id="m", event_id=event_id, receive_count=1
        )

    assert lost.republish_lost("orders") == 1


@pytest.fixture
def buried(aws, settings):
    """An event of a FIFO queue that was marked dead, whose message SQS then lost."""
    settings.FIFO_POISON = "hold"
    row = record(data_type=ParcelWeighed)
    long_ago = timezone.now() - timedelta(hours=1)
    OutboxEvent.objects.update(state="dead", published_at=long_ago, recorded_at=long_ago)
    return row


@pytest.mark.django_db
def test_event_whose_dead_message_never_arrived_is_published_again(buried):
    assert lost.republish_lost("transactions") == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes",
    [
        {"published_at": timezone.now()},
        {"recorded_at": timezone.now()},
        {"state": "held"},
        {"queue": "orders"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_event_whose_dead_message_may_still_arrive_is_left_alone(buried, changes):
    OutboxEvent.objects.update(**changes)

    assert lost.republish_lost("transactions") == 0


@pytest.mark.django_db
def test_dead_event_with_its_letter_or_without_a_group_to_hold_is_left_alone(buried, settings):
    settings.FIFO_POISON = "skip"
    assert lost.republish_lost("transactions") == 0

    settings.FIFO_POISON = "hold"
    letter(queue="transactions", event_id=buried.event_id)
    assert lost.republish_lost("transactions") == 0


@pytest.mark.django_db
def test_dead_event_of_a_standard_queue_holds_nothing_and_is_left_alone(buried):
    OutboxEvent.objects.update(queue="orders")

    assert lost.republish_lost("orders") == 0
