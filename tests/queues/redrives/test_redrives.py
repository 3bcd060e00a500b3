from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from queues.audit.staff_log import ActLog
from queues.dead_letters import causes, decisions
from queues.models import DeadLetter, OutboxEvent, Redrive, RedriveItem
from queues.redrives import jobs, releasing
from queues.redrives.leases import LEASE, Lease, LeaseLost
from queues.upkeep import old_rows
from tests.support import lanterns
from tests.support.lanterns import (
    advance,
    handle_all,
    make_dead_letter,
    make_dead_letters,
    outcomes,
    released,
    start,
)
from tests.support.threads import at_once

pytestmark = pytest.mark.django_db

State = Redrive.State


# --- Starting


def test_a_key_that_was_used_starts_nothing():
    make_dead_letters(2)
    first = start(key="token")
    make_dead_letter(3)

    second = start(key="token")

    assert second == first
    assert Redrive.objects.get().total == 2


def test_letters_in_another_redrive_are_left_out():
    make_dead_letters(3)
    first = start(DeadLetter.objects.all()[:1])

    second = start()

    assert (first.total, second.total, second.left_out) == (1, 2, 1)


def test_letters_whose_redrive_was_stopped_may_be_started_again():
    make_dead_letters(3)
    jobs.stop(start())

    assert start().total == 3


def test_only_open_letters_of_known_queues_are_taken():
    make_dead_letter(1, state=DeadLetter.State.DISCARDED)
    make_dead_letter(2, queue="parcels")

    redrive = start()

    redrive.refresh_from_db()
    assert (redrive.total, redrive.state) == (0, State.DONE)
    assert redrive.ended_at


def test_a_redrive_has_the_title_of_its_cause():
    make_dead_letter(cause=("UnknownType", "no handler for event type 'lantern.dimmed.v8'"))
    make_dead_letter(cause=("UnknownType", "no handler for event type 'lantern.dimmed.v8'"))

    redrive = start()

    [group] = causes.waiting()
    assert str(redrive) == f"2 dead letters: {group.title}"
    assert group.title == "Nobody handles lantern.dimmed.v8"


def test_a_title_names_no_person():
    make_dead_letter(cause=("Wet", "not dry: ada@example.com"))

    assert start().what == "An unexpected error in a handler: Wet: not dry: …"


@pytest.mark.parametrize(
    ("count", "end"), [(2, "Cause1"), (3, "; and 1 more cause"), (4, "; and 2 more causes")]
)
def test_the_most_frequent_of_several_causes_are_named(count, end):
    for number in range(count):
        make_dead_letter(cause=(f"Cause{number}", "x"))
        make_dead_letter(cause=("Cause0", "x"))

    what = start().what

    assert what.startswith("An unexpected error in a handler: Cause0: x; ")
    assert what.removesuffix(": x").endswith(end)


def test_each_letter_of_a_user_gets_an_entry_in_the_log():
    user = User.objects.create_user("ada")
    letters = make_dead_letters(2)
    redrive = start(by=user, canary=False)

    jobs.advance()

    entries = {(entry.object_id, entry.change_message) for entry in LogEntry.objects.all()}
    assert redrive.started_by == "ada"
    assert entries == {(str(redrive.pk), "Started: fixed")} | {
        (str(letter.pk), "Redriven: fixed") for letter in letters
    }


# --- Stopping


def test_stopping_releases_no_more_and_follows_what_was_released():
    make_dead_letters(3)
    redrive = start()
    advance()

    stopped = jobs.stop(redrive)
    advance()
    handle_all()
    Redrive.objects.update(next_at=Now())
    advance()

    redrive.refresh_from_db()
    assert stopped
    assert outcomes(redrive) == {"handled": 1, "skipped": 2}
    assert redrive.state == State.STOPPED
    assert redrive.ended_at


def test_what_does_not_run_cannot_be_stopped():
    redrive = start([])

    assert not jobs.stop(redrive)


# --- Whatever dies


def test_nobody_advances_a_redrive_while_another_does():
    make_dead_letters(2)
    redrive = start()
    Lease.take(redrive.pk)

    jobs.advance()

    assert released() == 0


def test_a_redrive_whose_consumer_was_killed_goes_on_when_the_lease_ends():
    make_dead_letters(2)
    redrive = start()
    Lease.take(redrive.pk)
    Redrive.objects.update(next_at=Now() - timedelta(seconds=1))

    jobs.advance()

    assert released() == 1


def test_a_consumer_that_was_frozen_past_its_lease_releases_nothing():
    make_dead_letters(2)
    redrive = start()
    frozen = Lease.take(redrive.pk)
    assert frozen
    Redrive.objects.update(next_at=Now() - LEASE)
    Lease.take(redrive.pk)

    with pytest.raises(LeaseLost):
        releasing.release(frozen)

    assert released() == 0


def test_a_letter_is_released_in_the_transaction_that_redrives_it(monkeypatch):
    make_dead_letters(2)
    user = User.objects.create_user("ada")
    redrive = start(by=user, canary=False)
    monkeypatch.setattr(ActLog, "write_each", lambda *args: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        jobs.advance()

    assert outcomes(redrive) == {"waiting": 2}
    assert set(DeadLetter.objects.values_list("state", flat=True)) == {"open"}
    assert released() == 0


def test_a_letter_redriven_by_somebody_else_is_skipped():
    make_dead_letters(1)
    redrive = start()
    decisions.redrive(DeadLetter.objects.all())

    advance()

    redrive.refresh_from_db()
    assert (outcomes(redrive), released()) == ({"skipped": 1}, 1)
    assert redrive.state == State.DONE


def test_a_letter_parked_before_its_turn_stays_where_it_is():
    letter = make_dead_letter(1)
    redrive = start(canary=False)
    decisions.park(
        DeadLetter.objects.all(), until=timezone.now() + timedelta(hours=1), note="later"
    )

    advance()

    letter.refresh_from_db()
    assert (letter.state, outcomes(redrive), released()) == ("open", {"skipped": 1}, 0)


def test_a_parked_letter_that_is_redriven_goes_back():
    make_dead_letter(1, parked_until=timezone.now() + timedelta(hours=1))
    redrive = start(canary=False)

    advance()

    assert outcomes(redrive) == {"pending": 1}


def test_an_outcome_is_known_even_where_the_outbox_row_is_gone():
    make_dead_letter()
    redrive = start()
    advance()
    OutboxEvent.objects.all().delete()

    advance()

    assert outcomes(redrive) == {"handled": 1}


def test_looking_when_nothing_runs_is_one_query(django_assert_num_queries):
    make_dead_letters(1)
    jobs.stop(start())

    with django_assert_num_queries(1):
        assert jobs.advance() == 0


def test_the_record_of_a_redrive_and_its_letters_goes_after_its_time():
    make_dead_letters(2)
    old, young = start(DeadLetter.objects.all()[:1]), start()
    advance()
    handle_all()
    advance()
    long_ago = timezone.now() - timedelta(days=91)
    DeadLetter.objects.update(collected_at=long_ago, redriven_at=long_ago)
    Redrive.objects.filter(pk=old.pk).update(ended_at=long_ago)

    old_rows.tidy()
    old_rows.tidy()

    assert Redrive.objects.get() == young
    assert DeadLetter.objects.get() == young.items.get().letter


# --- At once


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_many_who_start_with_one_key_start_one_redrive():
    make_dead_letters(3)

    found = at_once(4, lambda: start(key="token").pk)

    assert len(set(found)) == 1
    assert RedriveItem.objects.count() == 3


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_two_operators_who_take_the_same_letters_share_them():
    make_dead_letters(20)

    totals = at_once(2, lambda: start().total)

    assert sorted(totals) == [0, 20]


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_many_who_advance_at_once_release_each_letter_once():
    make_dead_letters(250)
    redrive = start(canary=False)

    at_once(4, lambda: [jobs.advance() for _ in range(3)])
    advance()

    events = OutboxEvent.objects.values_list("redrive_of", flat=True)
    assert len(events) == len(set(events)) == 250
    assert outcomes(redrive) == {"pending": 250}


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_letters_discarded_while_they_are_released_are_one_of_both():
    make_dead_letters(150)
    redrive = start(canary=False)
    waiting = DeadLetter.objects.open()

    at_once(3, lambda: (jobs.advance(), decisions.discard(waiting), jobs.advance()))
    advance()

    found = outcomes(redrive)
    assert found.get("pending", 0) == released()
    assert found.get("skipped", 0) == DeadLetter.objects.filter(state="discarded").count()
    assert sum(found.values()) == 150


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_letters_reopened_by_two_at_once_are_opened_once():
    make_dead_letters(20)
    decisions.discard(DeadLetter.objects.all())

    counts = at_once(2, lambda: decisions.reopen(DeadLetter.objects.all()))

    assert sum(counts) == DeadLetter.objects.open().count() == 20


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_a_stop_while_letters_are_released_leaves_each_letter_sent_back_or_open():
    make_dead_letters(250)
    redrive = start(canary=False)

    at_once(3, lambda: (jobs.advance(), jobs.stop(redrive), jobs.advance()))

    found = outcomes(redrive)
    assert found.get("pending", 0) == released()
    assert found.get("skipped", 0) == DeadLetter.objects.filter(state="open").count()
    assert sum(found.values()) == 250


@pytest.mark.parametrize("lost", ["lease", "state"])
def test_consumer_that_was_frozen_before_it_halts_a_redrive_halts_nothing(consume, lost):
    make_dead_letters(3)
    lanterns.broken.update({1: ("Wet", "the wick of lantern 1 is wet")})
    redrive = start()
    advance()
    consume("orders")
    changes = {"claim": uuid.uuid4()} if lost == "lease" else {"state": State.STOPPED}

    def freeze(execute, sql, params, *rest):
        found = execute(sql, params, *rest)
        # It has just read the failure that must halt the redrive.
        if sql.startswith("SELECT") and '"fingerprint" IN' in sql:
            Redrive.objects.filter(pk=redrive.pk).update(**changes)
        return found

    with connection.execute_wrapper(freeze):
        jobs.advance()

    redrive.refresh_from_db()
    assert redrive.state != State.HALTED
    assert outcomes(redrive)["waiting"] == 2
