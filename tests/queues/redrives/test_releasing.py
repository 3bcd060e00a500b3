"""A redrive sends its dead letters back in stages and at its rate."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from queues.dead_letters import decisions
from queues.models import DeadLetter, OutboxEvent, Redrive
from queues.redrives import jobs, releasing
from tests.support import lanterns
from tests.support.lanterns import (
    LanternHung,
    advance,
    due,
    handle_all,
    hold,
    make_dead_letter,
    make_dead_letters,
    outcomes,
    released,
    start,
)

pytestmark = pytest.mark.django_db

State = Redrive.State


def test_step_tells_how_many_moved():
    """Consumers look again at once while something moves."""
    make_dead_letters(3)
    start(canary=False)

    assert jobs.advance() == 3
    assert jobs.advance() == 0


# --- Stages


def test_a_canary_grows_as_its_letters_come_through():
    make_dead_letters(150)
    redrive = start()

    grown = []
    for _ in range(4):
        advance()
        grown.append(released())
        handle_all()
    advance()

    redrive.refresh_from_db()
    assert grown == [1, 11, 111, 150]
    assert (redrive.state, outcomes(redrive)) == (State.DONE, {"handled": 150})


def test_the_next_stage_waits_for_all_of_the_last_one():
    make_dead_letters(20)
    start()
    advance()
    handle_all()
    advance()
    handle_all()
    OutboxEvent.objects.filter(pk=OutboxEvent.objects.latest("id").pk).update(state="published")

    advance()

    assert released() == 11


def test_without_a_canary_all_go_at_once():
    make_dead_letters(30)
    start(canary=False)

    advance()

    assert released() == 30


def test_a_letter_that_was_skipped_proves_nothing_and_another_takes_its_place():
    letters = make_dead_letters(3)
    redrive = start()
    decisions.discard(DeadLetter.objects.filter(pk=letters[0].pk))

    advance()

    assert outcomes(redrive) == {"skipped": 1, "pending": 1, "waiting": 1}


def test_letters_of_a_fifo_group_keep_their_order(consume):
    for number in range(1, 6):
        make_dead_letter(number, data=LanternHung)
    start()

    for _ in range(8):
        advance()
        consume("transactions")

    assert lanterns.handled == [1, 2, 3, 4, 5]


# --- Rate


@pytest.mark.parametrize(
    ("rate", "since", "due"),
    [
        (10, None, 1),
        (10, timedelta(milliseconds=50), 0),
        (10, timedelta(milliseconds=500), 5),
        (10, timedelta(hours=1), 10),
        (10, timedelta(seconds=-5), -50),
        (3, timedelta(microseconds=333_333), 1),
        (None, None, releasing.BATCH),
    ],
)
def test_a_rate_lets_through_what_is_due_and_makes_up_for_nothing(rate, since, due):
    now = timezone.now()
    redrive = Redrive(rate=rate, paced_at=None if since is None else now - since)

    assert releasing.due(redrive, now) == due


def test_a_rate_holds_letters_back_until_they_are_due():
    make_dead_letters(50)
    redrive = start(rate=1, canary=False)
    hold(redrive)
    advance()
    before = released()
    due(redrive)

    jobs.advance()

    assert before == 0
    assert released() == 1
    assert Redrive.objects.filter(paced_at__gt=Now() - timedelta(seconds=30)).exists()


def test_once_the_canary_is_through_a_new_cause_that_comes_twice_halts_nothing(consume):
    make_dead_letters(1 + 10 + 100 + 5)
    redrive = start()
    for _ in range(3):
        advance()
        handle_all()
    lanterns.broken.update(dict.fromkeys(range(112, 117), ("Cracked", "glass")))
    advance()
    assert released() == 116

    for _ in range(4):
        consume("orders")
    advance()

    redrive.refresh_from_db()
    assert (redrive.state, redrive.stage) == (State.RUNNING, releasing.LAST_STAGE)


def test_released_letter_has_its_stage_time_and_message():
    letters = make_dead_letters(2)
    redrive = start()

    advance()

    first, second = redrive.items.order_by("position")
    assert (first.letter, first.stage, second.stage) == (letters[0], 0, None)
    assert first.outbox_event == OutboxEvent.objects.get()
    assert first.released_at and not second.released_at


def test_letter_that_is_not_sent_back_says_why_and_when():
    letters = make_dead_letters(2)
    redrive = start()
    decisions.discard(DeadLetter.objects.filter(pk=letters[0].pk))

    advance()

    first, second = redrive.items.order_by("position")
    assert (first.outcome, second.outcome) == ("skipped", "pending")
    assert "no longer open" in first.detail
    assert first.settled_at and not first.released_at


def test_one_lease_sends_back_so_many_that_others_have_their_turn(monkeypatch):
    monkeypatch.setattr(releasing, "BATCH", 2)
    monkeypatch.setattr(releasing, "LEASE_BATCH", 5)
    make_dead_letters(9)
    start(canary=False)

    counts = []
    for _ in range(2):
        jobs.advance()
        counts.append(released())

    assert counts == [6, 9]
