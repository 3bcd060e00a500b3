"""A FIFO group and one of its events that cannot be finished."""

import json
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from queues import registry
from queues.aws import sqs
from queues.consumer import fifo_groups
from queues.dead_letters import collecting, decisions
from queues.errors import Hold, Reject
from queues.events.envelope import Event, EventData
from queues.models import DeadLetter, HandlingFailure, OutboxEvent
from queues.outbox import relay
from queues.upkeep import sweeping
from tests.support.parcels import record

pytestmark = pytest.mark.django_db

ALIAS = "transactions"


class DrumBeaten(EventData, type="drum.beaten.v1", queue=ALIAS, source="/tests"):
    """Handled unless its note is named below."""

    note: str = ""


class Drums:
    """The handler's instructions for each note, and the notes that it was given."""

    held: set[str] = set()
    rejected: set[str] = set()
    heard: list[str] = []


@registry.handles("drum.beaten.v1")
def hear(event):
    note = event.data["note"]
    if note in Drums.held:
        raise Hold("not yet")
    if note in Drums.rejected:
        raise Reject("a broken drum", code="Broken")
    Drums.heard.append(note)


@pytest.fixture(autouse=True)
def drums():
    Drums.held, Drums.rejected, Drums.heard = set(), set(), []


@pytest.fixture
def beaten(aws):
    """Three events of one group, published."""
    for note in "abc":
        record(note, data_type=DrumBeaten)
    while relay.publish_pending():
        pass


def put(note, *, group="g"):
    """Send a note as a producer that keeps no outbox here."""
    event = Event.of(DrumBeaten(note=note), subject=note, partition_key=group)
    message = sqs.Outgoing(
        key="1", body=event.to_json(), group=group, deduplication_id=uuid.uuid4().hex
    )
    sqs.queue(ALIAS).send_batch([message])


def states():
    rows = OutboxEvent.objects.order_by("id")
    return [f"{json.loads(row.body)['data']['note']} {row.state}" for row in rows]


def consume_all(consume):
    for _ in range(12):
        consume(ALIAS)


def test_what_comes_after_a_held_event_waits_in_the_outbox(beaten, consume):
    Drums.held = {"a"}

    consume_all(consume)

    assert Drums.heard == []
    assert states() == ["a held", "b pending", "c pending"]
    assert sqs.queue(ALIAS).depth() == sqs.Depth(0, 0, 0)
    assert not HandlingFailure.objects.exists()


def test_held_event_comes_first_when_its_hold_ends(beaten, consume):
    Drums.held = {"a"}
    consume_all(consume)
    record("d", data_type=DrumBeaten)

    Drums.held = set()
    assert fifo_groups.end_holds(fifo_groups.held()) == 1
    consume_all(consume)

    assert Drums.heard == ["a", "b", "c", "d"]
    assert {state.split()[1] for state in states()} == {"handled"}


@pytest.mark.parametrize("poison", ["skip", "hold"])
def test_message_still_in_sqs_does_not_overtake_what_was_published_again(
    beaten, consume, settings, poison
):
    settings.FIFO_POISON = poison
    Drums.held = {"a"}
    for _ in range(2):
        consume(ALIAS)
    assert states() == ["a held", "b pending", "c published"]

    Drums.held = set()
    fifo_groups.end_holds(fifo_groups.held())
    consume_all(consume)

    assert Drums.heard == ["a", "b", "c"]


def test_older_copy_of_a_message_does_not_overtake_either(beaten, consume):
    Drums.held = {"a"}
    relay.publish_again(OutboxEvent.objects.filter(body__contains='"b"'))
    for _ in range(2):
        consume(ALIAS)
    assert states() == ["a held", "b pending", "c published"]

    Drums.held = set()
    fifo_groups.end_holds(fifo_groups.held())
    consume_all(consume)

    # The last copy comes behind, and a handler may be called again.
    assert Drums.heard == ["a", "b", "c", "b"]


@pytest.mark.parametrize("poison", ["skip", "hold"])
def test_message_of_a_producer_elsewhere_does_not_overtake_either(aws, consume, settings, poison):
    settings.FIFO_POISON = poison
    Drums.held = {"a"}
    for note in "abc":
        put(note)
    for _ in range(2):
        consume(ALIAS)
    assert states() == ["a held", "b pending"]

    Drums.held = set()
    fifo_groups.end_holds(fifo_groups.held())
    consume_all(consume)

    assert Drums.heard == ["a", "b", "c"]


def test_other_groups_do_not_wait(beaten, consume):
    Drums.held = {"a"}
    record("x", group="other", data_type=DrumBeaten)

    consume_all(consume)

    assert Drums.heard == ["x"]


def test_events_of_a_producer_elsewhere_keep_their_order_too(aws, consume):
    Drums.held = {"a"}
    for note in "abc":
        put(note)
    consume_all(consume)
    assert states() == ["a held", "b pending", "c pending"]

    Drums.held = set()
    fifo_groups.end_holds(fifo_groups.held())
    consume_all(consume)

    assert Drums.heard == ["a", "b", "c"]


def test_message_of_an_event_that_is_done_does_not_wait(beaten, consume):
    consume_all(consume)
    relay.publish_again(OutboxEvent.objects.filter(body__contains='"c"'))
    relay.publish_pending()
    OutboxEvent.objects.filter(body__contains='"c"').update(state="handled")
    OutboxEvent.objects.filter(body__contains='"a"').update(state="held")

    consume_all(consume)

    assert states() == ["a held", "b handled", "c handled"]


@pytest.mark.parametrize("where", ["the queue", "the database"])
def test_dead_message_that_sqs_lost_holds_its_group_for_a_person_alone(
    beaten, consume, settings, where
):
    settings.FIFO_POISON = "hold"
    Drums.rejected = {"a"}
    while "a dead" not in states():
        consume(ALIAS)
    if where == "the database":
        consume_all(consume)
        collecting.collect(ALIAS)
    else:
        sqs.client().purge_queue(QueueUrl=sqs.queue(ALIAS).url)
    long_ago = timezone.now() - timedelta(hours=1)
    OutboxEvent.objects.update(published_at=long_ago, recorded_at=long_ago)

    Drums.rejected = set()
    sweeping.sweep()
    consume_all(consume)

    assert Drums.heard == ([] if where == "the database" else ["a", "b", "c"])


def test_dead_letter_lets_its_group_pass(beaten, consume):
    Drums.rejected = {"a"}

    consume_all(consume)
    collecting.collect(ALIAS)

    assert Drums.heard == ["b", "c"]
    assert states() == ["a dead", "b handled", "c handled"]


@pytest.fixture
def holding(settings):
    """Dead letters hold their groups."""
    settings.FIFO_POISON = "hold"


@pytest.fixture
def poisoned(holding, beaten, consume):
    """The first event of three is a dead letter."""
    Drums.rejected = {"a"}
    consume_all(consume)
    collecting.collect(ALIAS)
    return consume


def test_dead_letter_holds_its_group_where_settings_say_so(poisoned):
    assert Drums.heard == []
    assert states() == ["a dead", "b pending", "c pending"]
    assert [letter.code for letter in DeadLetter.objects.all()] == ["Broken"]


def test_group_follows_its_dead_letter_once_that_is_redriven(poisoned):
    Drums.rejected = set()

    assert decisions.redrive(DeadLetter.objects.all()) == 1
    consume_all(poisoned)

    assert Drums.heard == ["a", "b", "c"]


def test_redriven_letter_that_dies_again_holds_its_group_again(poisoned):
    decisions.redrive(DeadLetter.objects.all())
    consume_all(poisoned)
    collecting.collect(ALIAS)

    assert Drums.heard == []
    assert states() == ["a dead", "b pending", "c pending"]
    assert DeadLetter.objects.filter(state="open").count() == 1


def test_group_goes_on_without_a_dead_letter_that_is_discarded(poisoned):
    assert decisions.discard(DeadLetter.objects.all()) == 1
    consume_all(poisoned)

    assert Drums.heard == ["b", "c"]
    assert states()[0] == "a discarded"


def test_message_that_died_with_its_process_holds_its_group(holding, beaten, consume):
    queue = sqs.queue(ALIAS)
    for _ in range(3):
        [message] = queue.receive(limit=1, wait_seconds=0)
        queue.hide(message, seconds=0)

    consume_all(consume)

    assert Drums.heard == []
    assert states() == ["a dead", "b pending", "c pending"]


def test_event_that_sqs_lost_is_published_before_those_behind_it(holding, beaten, consume):
    queue = sqs.queue(ALIAS)
    queue.delete_batch(queue.receive(limit=1, wait_seconds=0))

    consume_all(consume)

    assert Drums.heard == ["a", "b", "c"]


def test_poison_that_is_no_event_holds_its_group_until_it_is_discarded(holding, aws, consume):
    message = sqs.Outgoing(key="1", body="poison", group="g", deduplication_id="p")
    sqs.queue(ALIAS).send_batch([message])
    put("b")
    consume_all(consume)
    collecting.collect(ALIAS)
    assert Drums.heard == []

    decisions.discard(DeadLetter.objects.all())
    consume_all(consume)

    assert Drums.heard == ["b"]


def test_discarded_event_is_not_published_again_as_lost(beaten, consume):
    Drums.rejected = {"a"}
    consume_all(consume)
    collecting.collect(ALIAS)

    decisions.discard(DeadLetter.objects.all())

    assert states()[0] == "a discarded"


def received(row):
    """The message of a row, as SQS would hand it out now."""
    return sqs.Received(id=row.sqs_message_id, receipt="r", body=row.body, group=row.group)


@pytest.mark.parametrize("state", ["published", "claimed"])
def test_event_with_nothing_before_it_costs_one_query(beaten, django_assert_num_queries, state):
    first = OutboxEvent.objects.order_by("id")[0]
    OutboxEvent.objects.filter(pk=first.pk).update(state=state)

    with django_assert_num_queries(1):
        assert not fifo_groups.must_wait(sqs.queue(ALIAS), received(first))


@pytest.mark.parametrize("change", [{"queue": "orders"}, {"group": "other"}])
def test_held_event_of_another_queue_or_group_holds_nobody_here(beaten, change):
    """The dead letter before it makes the consumer look closely, and blocks nobody itself."""
    dead, held, mine = OutboxEvent.objects.order_by("id")
    OutboxEvent.objects.filter(pk=dead.pk).update(state="dead")
    OutboxEvent.objects.filter(pk=held.pk).update(state="held", **change)

    assert not fifo_groups.must_wait(sqs.queue(ALIAS), received(mine))


@pytest.mark.parametrize(
    "before",
    ["published", "claimed", "dead", "pending"],
)
def test_event_that_must_wait_is_published_again_under_an_id_new_to_sqs(beaten, before):
    """Its message is deleted, and SQS drops a repeat of its deduplication id without a word.

    A row is pending while its message is in SQS if its relay died before it could save SQS's answer.
    """
    held, mine, _ = OutboxEvent.objects.order_by("id")
    OutboxEvent.objects.filter(pk=held.pk).update(state="held")
    OutboxEvent.objects.filter(pk=mine.pk).update(state=before)

    assert fifo_groups.must_wait(sqs.queue(ALIAS), received(mine))

    row = OutboxEvent.objects.get(pk=mine.pk)
    assert row.state == "pending"
    assert row.deduplication_id != mine.deduplication_id


def test_held_event_that_must_wait_stays_held(beaten):
    held, mine, _ = OutboxEvent.objects.order_by("id")
    OutboxEvent.objects.filter(pk__in=[held.pk, mine.pk]).update(state="held")

    assert fifo_groups.must_wait(sqs.queue(ALIAS), received(mine))

    assert OutboxEvent.objects.get(pk=mine.pk).state == "held"
