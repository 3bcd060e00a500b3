from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.utils import timezone

from queues import dead_letters, housekeeping, redrives, registry, releasing
from queues.models import DeadLetter, HandlingFailure, OutboxEvent, Redrive, RedriveItem
from queues.outcomes import Outcome, Verdict
from queues.suspects import DIED
from queues.turns import LEASE, Turn, TurnLost
from tests import lanterns
from tests.lanterns import (
    LanternHung,
    handle_all,
    make_letter,
    make_letters,
    outcomes,
    start,
)
from tests.threads import at_once

pytestmark = pytest.mark.django_db

State = Redrive.State


def advance() -> None:
    """Until nothing more is to be done now."""
    while redrives.advance():
        pass


def fail_again(consume, alias="orders") -> None:
    """Until its message is a dead letter again."""
    for _ in range(4):
        consume(alias)
    dead_letters.collect(alias)


def released() -> int:
    return OutboxEvent.objects.count()


@pytest.fixture(autouse=True)
def mended():
    lanterns.mend()


@pytest.fixture
def told(monkeypatch):
    """Outcomes of events as an upper app would tell them."""
    known: dict[UUID, Outcome] = {}
    tell = lambda event_ids: {pk: known[pk] for pk in event_ids if pk in known}  # noqa: E731
    monkeypatch.setattr(registry, "_tellers", [tell])
    return known


# --- Starting


def test_a_key_that_was_used_starts_nothing():
    make_letters(2)
    first = start(key="token")
    make_letter(3)

    second = start(key="token")

    assert second == first
    assert Redrive.objects.get().total == 2


def test_letters_in_another_redrive_are_left_out():
    make_letters(3)
    first = start(DeadLetter.objects.all()[:1])

    second = start()

    assert (first.total, second.total, second.left_out) == (1, 2, 1)


def test_letters_whose_redrive_was_stopped_may_be_started_again():
    make_letters(3)
    redrives.stop(start())

    assert start().total == 3


def test_only_open_letters_of_known_queues_are_taken():
    make_letter(1, state=DeadLetter.State.DISCARDED)
    make_letter(2, queue="parcels")

    redrive = start()

    redrive.refresh_from_db()
    assert (redrive.total, redrive.state) == (0, State.DONE)
    assert redrive.ended_at


def test_one_cause_is_named_in_words_without_what_names_a_person():
    make_letter(cause=("MessageRejected", "Email address is not verified: ada@example.com"))
    make_letter(cause=("MessageRejected", "Email address is not verified: bob@example.com"))

    assert start().what == "MessageRejected: Email address is not verified: *"


def test_several_causes_are_named_by_their_codes():
    make_letter(cause=("Wet", "wet"))
    make_letter(cause=("Broken", "glass"))

    assert start().what == "Broken, Wet"


def test_each_letter_of_a_user_gets_an_entry_in_the_log():
    user = User.objects.create_user("ada")
    letters = make_letters(2)
    redrive = start(by=user, canary=False)

    redrives.advance()

    entries = {(entry.object_id, entry.change_message) for entry in LogEntry.objects.all()}
    assert redrive.started_by == "ada"
    assert entries == {(str(redrive.pk), "Started: mended")} | {
        (str(letter.pk), "Redriven: mended") for letter in letters
    }


# --- Stages


def test_a_canary_grows_as_its_letters_come_through():
    make_letters(150)
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
    make_letters(20)
    start()
    advance()
    handle_all()
    advance()
    handle_all()
    OutboxEvent.objects.filter(pk=OutboxEvent.objects.latest("id").pk).update(state="published")

    advance()

    assert released() == 11


def test_without_a_canary_all_go_at_once():
    make_letters(30)
    start(canary=False)

    advance()

    assert released() == 30


def test_a_letter_that_was_skipped_proves_nothing_and_another_takes_its_place():
    letters = make_letters(3)
    redrive = start()
    dead_letters.discard(DeadLetter.objects.filter(pk=letters[0].pk))

    advance()

    assert outcomes(redrive) == {"skipped": 1, "pending": 1, "waiting": 1}


def test_letters_of_a_fifo_group_keep_their_order(consume):
    for number in range(1, 6):
        make_letter(number, data=LanternHung)
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
    make_letters(50)
    redrive = start(rate=1, canary=False)
    hold(redrive)
    advance()
    before = released()
    due(redrive)

    redrives.advance()

    assert before == 0
    assert released() == 1
    assert Redrive.objects.filter(paced_at__gt=Now() - timedelta(seconds=30)).exists()


def hold(redrive: Redrive) -> None:
    """Nothing is due for an hour."""
    Redrive.objects.filter(pk=redrive.pk).update(paced_at=Now() + timedelta(hours=1))


def due(redrive: Redrive) -> None:
    """One letter is."""
    Redrive.objects.filter(pk=redrive.pk).update(paced_at=None)


# --- Failures that come back


def test_a_canary_halts_at_the_first_failed_receive_of_the_same_cause(consume):
    make_letters(20)
    lanterns.broken.update({1: ("Wet", "the wick of lantern 1 is wet")})
    redrive = start()
    advance()

    consume("orders")
    advance()

    redrive.refresh_from_db()
    assert redrive.state == State.HALTED
    assert redrive.why == "Wet: the wick of lantern * is wet"
    assert outcomes(redrive) == {"pending": 1, "skipped": 19}
    assert DeadLetter.objects.filter(state="open").count() == 19


def test_a_letter_is_followed_after_the_halt_to_its_return(consume):
    make_letters(2)
    lanterns.broken.update({1: ("Wet", "the wick of lantern 1 is wet")})
    redrive = start()
    advance()
    consume("orders")
    advance()

    fail_again(consume)
    Redrive.objects.update(next_at=Now())
    advance()

    redrive.refresh_from_db()
    item = redrive.items.get(outcome="returned")
    assert redrive.ended_at
    assert (redrive.state, item.position) == (State.HALTED, 1)
    assert item.detail == "Wet: the wick of lantern * is wet"


def test_another_cause_counts_as_returned_and_halts_nothing(consume):
    make_letters(3)
    lanterns.broken.update({1: ("Cracked", "cracked glass")})
    redrive = start()
    advance()

    fail_again(consume)
    advance()

    redrive.refresh_from_db()
    assert redrive.state == State.RUNNING
    assert outcomes(redrive) == {"returned": 1, "pending": 1, "waiting": 1}
    assert redrive.items.get(outcome="returned").detail == "Cracked: cracked glass"


def test_a_canary_halts_when_the_same_new_cause_comes_twice(consume):
    make_letters(5)
    lanterns.broken.update({number: ("Cracked", f"glass {number}") for number in range(1, 6)})
    redrive = start()

    for _ in range(2):
        advance()
        fail_again(consume)
    advance()

    redrive.refresh_from_db()
    assert (redrive.state, redrive.why) == (State.HALTED, "Cracked: glass *")
    assert outcomes(redrive) == {"returned": 2, "skipped": 3}


def test_the_rest_halts_too_when_its_failure_is_back(consume):
    make_letters(30)
    lanterns.broken.update({2: ("Wet", "the wick of lantern 2 is wet")})
    redrive = start(rate=1, canary=False)
    for _ in range(2):
        due(redrive)
        redrives.advance()
    hold(redrive)

    consume("orders")
    redrives.advance()

    redrive.refresh_from_db()
    assert redrive.state == State.HALTED
    assert outcomes(redrive)["skipped"] == 30 - released()


def test_a_failure_from_before_the_redrive_halts_nothing(consume):
    """On a FIFO queue the same row, and until it is published the same message id, is used again."""
    lanterns.broken.update({1: ("Wet", "the wick of lantern 1 is wet")})
    letter = make_letter(1, data=LanternHung)
    dead_letters.redrive(DeadLetter.objects.all())
    fail_again(consume, "transactions")
    make_letter(2, data=LanternHung)
    redrive = start()
    advance()

    advance()

    redrive.refresh_from_db()
    assert redrive.state == State.RUNNING
    assert HandlingFailure.objects.filter(event_id=letter.event_id).exists()


def test_the_mark_of_a_suspect_is_no_failure():
    make_letter(cause=(DIED, "The consumer ended while it handled this message."))
    make_letter()
    redrive = start()
    advance()
    OutboxEvent.objects.update(state="published", published_at=Now(), sqs_message_id="m")
    HandlingFailure.objects.create(
        queue="orders",
        sqs_message_id="m",
        receive_count=1,
        code=DIED,
        reason="The consumer ended while it handled this message.",
    )

    advance()

    redrive.refresh_from_db()
    assert redrive.state == State.RUNNING


def test_a_letter_that_sqs_refuses_counts_as_returned():
    make_letter()
    redrive = start()
    advance()
    OutboxEvent.objects.update(state="refused", error="too long")

    advance()

    redrive.refresh_from_db()
    assert redrive.state == State.DONE
    assert redrive.items.get().detail == "Refused: too long"


def test_a_message_without_an_event_is_followed_too(consume):
    DeadLetter.objects.create(
        queue="ses-events", sqs_message_id="m-1", body='{"eventType": "Subscription"}'
    )
    DeadLetter.objects.create(queue="orders", sqs_message_id="m-2", body="no envelope")
    redrive = start(canary=False)
    advance()

    consume("ses-events")
    fail_again(consume)
    advance()

    assert outcomes(redrive) == {"handled": 1, "returned": 1}


# --- What upper apps tell


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (Verdict.ACCEPTED, "accepted"),
        (Verdict.UNSENT, "handled"),
        (Verdict.BOUNCED, "bounced"),
        (Verdict.FAILED, "returned"),
        (Verdict.PENDING, "pending"),
    ],
)
def test_what_became_of_its_email_is_the_outcome(told, verdict, outcome):
    letter = make_letter()
    redrive = start()
    advance()
    told[letter.event_id] = Outcome(verdict, "so they say")
    handle_all()

    advance()

    assert outcomes(redrive) == {outcome: 1}


def test_a_letter_in_doubt_holds_the_next_stage_until_the_doubt_ends(told):
    letters = make_letters(3)
    start()
    advance()
    told[letters[0].event_id] = Outcome(Verdict.PENDING, "in doubt")
    handle_all()

    advance()
    while_in_doubt = released()
    told[letters[0].event_id] = Outcome(Verdict.ACCEPTED, "SES accepted it.")
    advance()

    assert (while_in_doubt, released()) == (1, 3)


def test_a_canary_waits_for_news_that_an_app_expects_and_the_rest_does_not(told):
    letters = make_letters(2)
    soon = Outcome(Verdict.ACCEPTED, "SES accepted it.", may_change=True)
    told.update({letter.event_id: soon for letter in letters})
    canary, rest = start(letters[:1]), start(letters[1:], canary=False)
    advance()
    handle_all()

    advance()

    assert (outcomes(canary), outcomes(rest)) == ({"pending": 1}, {"accepted": 1})


def test_a_bounce_proves_nothing_and_another_letter_goes(told):
    letters = make_letters(3)
    redrive = start()
    advance()
    told[letters[0].event_id] = Outcome(Verdict.BOUNCED, "no such mailbox")
    handle_all()

    advance()

    assert outcomes(redrive) == {"bounced": 1, "pending": 1, "waiting": 1}


def test_an_email_that_was_sent_again_by_hand_and_failed_has_returned(told):
    letter = make_letter()
    redrive = start()
    advance()
    told[letter.event_id] = Outcome(Verdict.PENDING, "not sent yet")
    handle_all()
    make_letter(event_id=letter.event_id, cause=("Cracked", "cracked"))

    advance()

    assert redrive.items.get().detail == "Cracked: cracked"


# --- Stopping


def test_stopping_releases_no_more_and_follows_what_was_released():
    make_letters(3)
    redrive = start()
    advance()

    stopped = redrives.stop(redrive)
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

    assert not redrives.stop(redrive)


# --- Whatever dies


def test_nobody_advances_a_redrive_while_another_does():
    make_letters(2)
    redrive = start()
    Turn.take(redrive.pk)

    redrives.advance()

    assert released() == 0


def test_a_redrive_whose_consumer_was_killed_goes_on_when_the_lease_ends():
    make_letters(2)
    redrive = start()
    Turn.take(redrive.pk)
    Redrive.objects.update(next_at=Now() - timedelta(seconds=1))

    redrives.advance()

    assert released() == 1


def test_a_consumer_that_was_frozen_past_its_lease_releases_nothing():
    make_letters(2)
    redrive = start()
    frozen = Turn.take(redrive.pk)
    assert frozen
    Redrive.objects.update(next_at=Now() - LEASE)
    Turn.take(redrive.pk)

    with pytest.raises(TurnLost):
        releasing.release(frozen)

    assert released() == 0


def test_a_letter_is_released_in_the_transaction_that_redrives_it(monkeypatch):
    make_letters(2)
    user = User.objects.create_user("ada")
    redrive = start(by=user, canary=False)
    monkeypatch.setattr(LogEntry.objects, "log_actions", lambda *args, **kwargs: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        redrives.advance()

    assert outcomes(redrive) == {"waiting": 2}
    assert set(DeadLetter.objects.values_list("state", flat=True)) == {"open"}
    assert released() == 0


def test_a_letter_redriven_by_somebody_else_is_skipped():
    make_letters(1)
    redrive = start()
    dead_letters.redrive(DeadLetter.objects.all())

    advance()

    redrive.refresh_from_db()
    assert (outcomes(redrive), released()) == ({"skipped": 1}, 1)
    assert redrive.state == State.DONE


def test_an_outcome_is_known_even_where_the_outbox_row_is_gone():
    make_letter()
    redrive = start()
    advance()
    OutboxEvent.objects.all().delete()

    advance()

    assert outcomes(redrive) == {"handled": 1}


def test_looking_when_nothing_runs_is_one_query(django_assert_num_queries):
    make_letters(1)
    redrives.stop(start())

    with django_assert_num_queries(1):
        assert redrives.advance() == 0


def test_the_record_of_a_redrive_and_its_letters_goes_after_its_time():
    make_letters(2)
    old, young = start(DeadLetter.objects.all()[:1]), start()
    advance()
    handle_all()
    advance()
    long_ago = timezone.now() - timedelta(days=91)
    DeadLetter.objects.update(collected_at=long_ago)
    Redrive.objects.filter(pk=old.pk).update(ended_at=long_ago)

    housekeeping.tidy()
    housekeeping.tidy()

    assert Redrive.objects.get() == young
    assert DeadLetter.objects.get() == young.items.get().letter


# --- At once


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_many_who_start_with_one_key_start_one_redrive():
    make_letters(3)

    found = at_once(4, lambda: start(key="token").pk)

    assert len(set(found)) == 1
    assert RedriveItem.objects.count() == 3


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_two_operators_who_take_the_same_letters_share_them():
    make_letters(20)

    totals = at_once(2, lambda: start().total)

    assert sorted(totals) == [0, 20]


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_many_who_advance_at_once_release_each_letter_once():
    make_letters(250)
    redrive = start(canary=False)

    at_once(4, lambda: [redrives.advance() for _ in range(3)])
    advance()

    events = OutboxEvent.objects.values_list("redrive_of", flat=True)
    assert len(events) == len(set(events)) == 250
    assert outcomes(redrive) == {"pending": 250}


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_a_stop_while_letters_are_released_leaves_each_letter_sent_back_or_open():
    make_letters(250)
    redrive = start(canary=False)

    at_once(3, lambda: (redrives.advance(), redrives.stop(redrive), redrives.advance()))

    found = outcomes(redrive)
    assert found.get("pending", 0) == released()
    assert found.get("skipped", 0) == DeadLetter.objects.filter(state="open").count()
    assert sum(found.values()) == 250
