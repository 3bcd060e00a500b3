"""Events that go back into the outbox, and those that should have left it."""

from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone

from queues.aws import sqs
from queues.models import OutboxEvent
from queues.outbox import claims, relay
from tests.support.parcels import ParcelWeighed, record
from tests.support.processes import wait_until

pytestmark = pytest.mark.django_db

State = OutboxEvent.State
WAITING = {State.PENDING, State.CLAIMED}


def due_seconds(row):
    return (row.available_at - timezone.now()).total_seconds()


def done(**fields):
    """A row that a relay and a consumer have finished with."""
    row = record()
    defaults = {
        "state": State.HANDLED,
        "available_at": timezone.now() + timedelta(hours=1),
        "error": "once",
        "handled_at": timezone.now(),
    }
    OutboxEvent.objects.filter(pk=row.pk).update(**defaults | fields)
    row.refresh_from_db()
    return row


@pytest.mark.parametrize("state", State)
def test_event_is_published_again_unless_it_waits_for_a_relay(state):
    row, bystander = done(state=state), done(state=state)

    count = relay.publish_again(OutboxEvent.objects.filter(pk=row.pk))

    again, other = (OutboxEvent.objects.get(pk=it.pk) for it in (row, bystander))
    assert count == (state not in WAITING)
    assert other.deduplication_id == bystander.deduplication_id
    if state not in WAITING:
        assert (again.state, again.error, again.handled_at) == (State.PENDING, "", None)
        assert (again.claim, again.lease_until) == (None, None)
        assert due_seconds(again) <= 0.01
        assert again.event_id == row.event_id
        assert again.deduplication_id != row.deduplication_id


def test_more_rows_than_one_statement_takes_are_all_published_again(monkeypatch):
    monkeypatch.setattr(relay, "AGAIN_ROWS", 2)
    rows = [done() for _ in range(5)]

    assert relay.publish_again(OutboxEvent.objects.all()) == 5
    assert OutboxEvent.objects.filter(state=State.PENDING).count() == len(rows)


@pytest.mark.parametrize("seconds", [0, 60])
def test_row_that_is_put_back_is_due_when_it_should_be(seconds):
    row, bystander = done(state=State.PUBLISHED), done(state=State.PUBLISHED)

    assert relay.put_back(row, seconds=seconds)

    again = OutboxEvent.objects.get(pk=row.pk)
    assert (again.state, again.error, again.handled_at) == (State.PENDING, "", None)
    assert seconds - 10 < due_seconds(again) <= seconds + 0.01
    assert again.deduplication_id != row.deduplication_id
    assert OutboxEvent.objects.get(pk=bystander.pk).state == State.PUBLISHED


def test_row_that_changed_meanwhile_is_not_put_back():
    row = done(state=State.PUBLISHED)
    OutboxEvent.objects.update(state=State.HANDLED)

    assert relay.put_back(row) is False
    assert OutboxEvent.objects.get().state == State.HANDLED


@pytest.fixture
def refuses(aws, request):
    """Let SQS refuse every entry; before it answers, something else happens."""

    def install(*, sender_fault, meanwhile=lambda: None):
        def answer(parsed, **kwargs):
            meanwhile()
            parsed["Failed"] = [
                {
                    "Id": entry["Id"],
                    "Code": "InvalidMessageContents",
                    "Message": "no",
                    "SenderFault": sender_fault,
                }
                for entry in parsed.pop("Successful")
            ]

        events = sqs.client().meta.events
        events.register("after-call.sqs.SendMessageBatch", answer)
        request.addfinalizer(lambda: events.unregister("after-call.sqs.SendMessageBatch", answer))

    return install


@pytest.mark.parametrize(("sender_fault", "state"), [(False, State.PENDING), (True, State.REFUSED)])
def test_event_that_sqs_does_not_take_gives_its_claim_back(refuses, sender_fault, state):
    record()
    refuses(sender_fault=sender_fault)

    assert relay.publish_pending() == 0

    row = OutboxEvent.objects.get()
    assert (row.state, row.claim, row.lease_until, row.error) == (
        state,
        None,
        None,
        "InvalidMessageContents: no",
    )


def test_event_waits_longer_with_every_try(refuses):
    record()
    refuses(sender_fault=False)
    waits = []

    for tries in (0, 3, 6):
        OutboxEvent.objects.update(tries=tries, available_at=timezone.now() - timedelta(seconds=1))
        relay.publish_pending()
        waits.append(due_seconds(OutboxEvent.objects.get()))

    assert 0 < waits[0] < waits[1] < waits[2]


@pytest.mark.parametrize("sender_fault", [False, True])
def test_late_answer_changes_nothing_of_what_another_relay_has_claimed(refuses, sender_fault):
    record()

    def another_relay_takes_it():
        OutboxEvent.objects.update(lease_until="2020-01-01T00:00Z")
        claims.release_expired()
        claims.take_oldest("orders", most=1)

    refuses(sender_fault=sender_fault, meanwhile=another_relay_takes_it)
    relay.publish_pending()

    row = OutboxEvent.objects.get()
    assert (row.state, row.tries, row.error) == (State.CLAIMED, 2, "")


def test_late_answer_changes_nothing_of_what_is_no_longer_claimed(refuses):
    record()
    refuses(sender_fault=False, meanwhile=lambda: OutboxEvent.objects.update(state=State.DISCARDED))

    relay.publish_pending()

    assert OutboxEvent.objects.get().state == State.DISCARDED


def is_late(row):
    return relay.late(OutboxEvent.objects.filter(pk=row.pk)).exists()


@pytest.mark.parametrize("state", State)
def test_event_is_late_once_a_relay_should_have_published_it(state):
    row = record()
    now = timezone.now()
    OutboxEvent.objects.update(state=state, recorded_at=now - timedelta(seconds=70))
    assert is_late(row) == (state in WAITING)

    OutboxEvent.objects.update(recorded_at=now - timedelta(seconds=50))
    assert not is_late(row)


@pytest.mark.parametrize(
    ("poison", "first", "waits"),
    [
        ("skip", "held", True),
        ("skip", "dead", False),
        ("hold", "dead", True),
        ("skip", "pending", False),
        ("skip", "claimed", False),
        ("skip", "published", False),
    ],
)
def test_event_behind_one_that_holds_its_group_is_not_late(settings, poison, first, waits):
    settings.FIFO_POISON = poison
    ahead, behind = (record(data_type=ParcelWeighed) for _ in range(2))
    other = record(group="h", data_type=ParcelWeighed)
    OutboxEvent.objects.update(recorded_at=timezone.now() - timedelta(hours=1))
    OutboxEvent.objects.filter(pk=ahead.pk).update(state=first)

    assert is_late(behind) == (not waits)
    assert is_late(other)


def test_event_before_one_that_is_held_is_late_and_so_is_one_of_another_queue():
    ahead, held = (record(data_type=ParcelWeighed) for _ in range(2))
    elsewhere, ungrouped = record(), record(group="")
    OutboxEvent.objects.update(recorded_at=timezone.now() - timedelta(hours=1))
    OutboxEvent.objects.filter(pk=held.pk).update(state=State.HELD)
    OutboxEvent.objects.filter(pk=ungrouped.pk).update(queue="transactions")

    assert [is_late(row) for row in (ahead, held, elsewhere, ungrouped)] == [
        True,
        False,
        True,
        True,
    ]


@pytest.mark.django_db(transaction=True)
def test_error_of_publishing_on_commit_is_logged_and_the_relay_publishes_the_event(
    aws, settings, caplog, monkeypatch
):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("broken")

    settings.OUTBOX_PUBLISH_ON_COMMIT = True
    with monkeypatch.context() as patch:
        patch.setattr(sqs.Queue, "send_batch", fail)
        record()
        relay._publisher().submit(lambda: None).result(5)
    assert "not published on commit: broken" in caplog.text

    OutboxEvent.objects.update(lease_until="2020-01-01T00:00Z")
    assert relay.publish_pending() == 1


# A page must not wait for a slow SQS: one try of at most three seconds.
@pytest.mark.django_db(transaction=True)
def test_event_is_published_at_its_commit_by_the_client_that_gives_up_soon(aws, settings, request):
    settings.OUTBOX_PUBLISH_ON_COMMIT = True
    asked = []
    for hurried in (True, False):
        events = sqs.client(hurried=hurried).meta.events
        tell = partial(lambda hurried, **event: asked.append(hurried), hurried)
        events.register("before-call.sqs.SendMessageBatch", tell)
        request.addfinalizer(partial(events.unregister, "before-call.sqs.SendMessageBatch", tell))

    record()
    wait_until(lambda: asked, what="a call to SQS")

    assert asked == [True]


def test_event_without_a_group_is_late_whatever_died_before_it(settings):
    settings.FIFO_POISON = "hold"
    dead, behind = record(group=""), record(group="")
    OutboxEvent.objects.update(recorded_at=timezone.now() - timedelta(hours=1))
    OutboxEvent.objects.filter(pk=dead.pk).update(state=State.DEAD)

    assert is_late(behind)
