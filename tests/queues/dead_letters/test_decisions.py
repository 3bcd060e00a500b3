"""What staff decide about dead letters: each decision takes those it may take, and nothing else."""

import json
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from queues.dead_letters import decisions
from queues.models import DeadLetter, OutboxEvent
from tests.support.rows import make_dead_letter, make_outbox_event

pytestmark = pytest.mark.django_db

State = DeadLetter.State
Outbox = OutboxEvent.State
TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


def tomorrow():
    return timezone.now() + timedelta(days=1)


def just_now(moment):
    return abs(moment - timezone.now()) < timedelta(seconds=10)


DECISIONS = [
    (decisions.redrive, State.OPEN, State.REDRIVEN),
    (decisions.discard, State.OPEN, State.DISCARDED),
    (decisions.reopen, State.DISCARDED, State.OPEN),
    (lambda rows: decisions.park(rows, until=tomorrow(), note="later"), State.OPEN, State.OPEN),
    (decisions.unpark, State.OPEN, State.OPEN),
]
NAMES = ["redrive", "discard", "reopen", "park", "unpark"]


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize(("decide", "allowed", "after"), DECISIONS, ids=NAMES)
def test_decision_changes_the_letters_it_may_and_no_other(decide, allowed, after, before):
    chosen, bystander = (make_dead_letter(state=before) for _ in range(2))

    count = decide(DeadLetter.objects.filter(pk=chosen.pk))

    chosen.refresh_from_db()
    assert count == (before == allowed)
    assert chosen.state == (after if before == allowed else before)
    bystander_now = DeadLetter.objects.get(pk=bystander.pk)
    assert (bystander_now.state, bystander_now.parked_until) == (before, None)
    assert OutboxEvent.objects.count() == int(decide is decisions.redrive and count)


def test_redriven_letter_becomes_an_event_with_all_that_it_was():
    letter = make_dead_letter(group="g", message_attributes={"traceparent": TRACE})

    decisions.redrive(DeadLetter.objects.all())

    row = OutboxEvent.objects.get()
    assert (row.event_id, row.type, row.subject) == (letter.event_id, letter.type, letter.subject)
    assert (row.queue, row.group, row.body) == ("orders", "g", letter.body)
    assert (row.traceparent, row.redrive_of) == (TRACE, letter)
    assert row.available_at <= timezone.now() + timedelta(milliseconds=10)
    letter.refresh_from_db()
    assert just_now(letter.redriven_at)


def test_letters_are_redriven_in_the_order_in_which_they_died():
    for number in (3, 1, 2):
        make_dead_letter(id=uuid.UUID(int=number))

    decisions.redrive(DeadLetter.objects.all())

    rows = OutboxEvent.objects.order_by("id").values_list("redrive_of", flat=True)
    assert list(rows) == [uuid.UUID(int=number) for number in (1, 2, 3)]


def test_letter_that_is_parked_is_not_redriven_before_its_time():
    parked, over = make_dead_letter(), make_dead_letter()
    DeadLetter.objects.filter(pk=parked.pk).update(parked_until=tomorrow())
    DeadLetter.objects.filter(pk=over.pk).update(parked_until=timezone.now() - timedelta(days=1))

    assert decisions.redrive(DeadLetter.objects.all()) == 1

    assert OutboxEvent.objects.get().redrive_of == over


def test_letter_of_a_fifo_queue_goes_out_from_the_newest_row_of_its_event():
    letter = make_dead_letter(queue="transactions", body=json.dumps({"corrected": True}))
    fields = {"queue": "transactions", "event_id": letter.event_id, "group": "g"}
    older, newer = (make_outbox_event(state=Outbox.DEAD, **fields) for _ in range(2))

    decisions.redrive(DeadLetter.objects.all())

    older.refresh_from_db()
    newer.refresh_from_db()
    assert (older.state, newer.state) == (Outbox.DEAD, Outbox.PENDING)
    assert (newer.body, newer.redrive_of) == (letter.body, letter)


@pytest.mark.parametrize("state", Outbox)
def test_discarded_letter_closes_its_event_if_nothing_else_is_done_with_it(state):
    letter = make_dead_letter()
    mine = make_outbox_event(event_id=letter.event_id, state=state)
    other = make_outbox_event(state=state)

    decisions.discard(DeadLetter.objects.all())

    mine.refresh_from_db()
    other.refresh_from_db()
    is_closed = state in (Outbox.PUBLISHED, Outbox.DEAD)
    assert mine.state == (Outbox.DISCARDED if is_closed else state)
    assert bool(mine.handled_at and just_now(mine.handled_at)) == is_closed
    assert (other.state, other.handled_at) == (state, None)


@pytest.mark.parametrize("state", Outbox)
def test_reopened_letter_waits_for_a_person_again_and_so_does_its_event(state):
    letter = make_dead_letter(state=State.DISCARDED, parked_until=tomorrow())
    closed = timezone.now() - timedelta(hours=1)
    mine = make_outbox_event(event_id=letter.event_id, state=state, handled_at=closed)
    other = make_outbox_event(state=state, handled_at=closed)

    decisions.reopen(DeadLetter.objects.all())

    for row in (letter, mine, other):
        row.refresh_from_db()
    is_reopened = state == Outbox.DISCARDED
    assert letter.parked_until is None
    assert mine.state == (Outbox.DEAD if is_reopened else state)
    assert mine.handled_at == (None if is_reopened else closed)
    assert (other.state, other.handled_at) == (state, closed)


def test_parked_letter_has_its_time_and_note_and_keeps_the_note():
    letter, until = make_dead_letter(), tomorrow()

    decisions.park(DeadLetter.objects.all(), until=until, note="asked the bank")
    letter.refresh_from_db()
    assert (letter.parked_until, letter.note) == (until, "asked the bank")

    decisions.unpark(DeadLetter.objects.all())
    letter.refresh_from_db()
    assert (letter.parked_until, letter.note) == (None, "asked the bank")
