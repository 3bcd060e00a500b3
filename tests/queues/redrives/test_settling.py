"""A redrive settles what became of the dead letters that it sent back."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db.models.functions import Now

from queues import registry
from queues.answers import Outcome, Verdict
from queues.dead_letters import decisions
from queues.models import DeadLetter, HandlingFailure, OutboxEvent, Redrive
from queues.models.dead_letters import DIED
from queues.redrives import jobs, settling
from tests.support import lanterns
from tests.support.lanterns import (
    LanternHung,
    advance,
    due,
    fail_again,
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


@pytest.fixture
def told(monkeypatch):
    """Outcomes of events as an upper app would tell them."""
    known: dict[UUID, Outcome] = {}
    tell = lambda event_ids: {pk: known[pk] for pk in event_ids if pk in known}  # noqa: E731
    monkeypatch.setattr(registry, "outcome_tellers", [tell])
    return known


# --- Failures that come back


def test_a_canary_halts_at_the_first_failed_receive_of_the_same_cause(consume):
    make_dead_letters(20)
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


def test_a_redrive_that_halts_halts_no_other(consume):
    letters = make_dead_letters(4)
    lanterns.broken.update({1: ("Wet", "the wick of lantern 1 is wet")})
    halting, other = start(letters[:2]), start(letters[2:])
    advance()

    consume("orders")
    advance()

    halting.refresh_from_db()
    other.refresh_from_db()
    assert (halting.state, other.state, other.why) == (State.HALTED, State.RUNNING, "")


def test_a_letter_is_followed_after_the_halt_to_its_return(consume):
    make_dead_letters(2)
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
    make_dead_letters(3)
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
    make_dead_letters(5)
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
    make_dead_letters(30)
    lanterns.broken.update({2: ("Wet", "the wick of lantern 2 is wet")})
    redrive = start(rate=1, canary=False)
    for _ in range(2):
        due(redrive)
        jobs.advance()
    hold(redrive)

    consume("orders")
    jobs.advance()

    redrive.refresh_from_db()
    assert redrive.state == State.HALTED
    assert outcomes(redrive)["skipped"] == 30 - released()


def test_a_failure_from_before_the_redrive_halts_nothing(consume):
    """A FIFO queue uses the same row again, and until it is published the same message id."""
    lanterns.broken.update({1: ("Wet", "the wick of lantern 1 is wet")})
    letter = make_dead_letter(1, data=LanternHung)
    decisions.redrive(DeadLetter.objects.all())
    fail_again(consume, "transactions")
    make_dead_letter(2, data=LanternHung)
    redrive = start()
    advance()

    advance()

    redrive.refresh_from_db()
    assert redrive.state == State.RUNNING
    assert HandlingFailure.objects.filter(event_id=letter.event_id).exists()


def test_the_mark_of_a_suspect_is_no_failure():
    make_dead_letter(cause=(DIED, "The consumer ended while it handled this message."))
    make_dead_letter()
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
    make_dead_letter()
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


def test_message_without_an_event_is_not_taken_for_another_that_came_back():
    """An event id that neither has is nothing in common."""
    for number in (1, 2):
        DeadLetter.objects.create(queue="orders", sqs_message_id=f"m-{number}", body="no envelope")
    redrive = start(canary=False)
    advance()
    for row in OutboxEvent.objects.order_by("id"):
        OutboxEvent.objects.filter(pk=row.pk).update(state="dead", sqs_message_id=f"n-{row.pk}")
    came_back = OutboxEvent.objects.order_by("id")[1].sqs_message_id
    DeadLetter.objects.create(queue="orders", sqs_message_id=came_back, body="no envelope")

    advance()

    assert outcomes(redrive) == {"returned": 1, "pending": 1}


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
    letter = make_dead_letter()
    redrive = start()
    advance()
    told[letter.event_id] = Outcome(verdict, "so they say")
    handle_all()

    advance()

    assert outcomes(redrive) == {outcome: 1}


def test_a_letter_in_doubt_holds_the_next_stage_until_the_doubt_ends(told):
    letters = make_dead_letters(3)
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
    letters = make_dead_letters(2)
    soon = Outcome(Verdict.ACCEPTED, "SES accepted it.", may_change=True)
    told.update({letter.event_id: soon for letter in letters})
    canary, rest = start(letters[:1]), start(letters[1:], canary=False)
    advance()
    handle_all()

    advance()

    assert (outcomes(canary), outcomes(rest)) == ({"pending": 1}, {"accepted": 1})


def test_a_bounce_proves_nothing_and_another_letter_goes(told):
    letters = make_dead_letters(3)
    redrive = start()
    advance()
    told[letters[0].event_id] = Outcome(Verdict.BOUNCED, "no such mailbox")
    handle_all()

    advance()

    assert outcomes(redrive) == {"bounced": 1, "pending": 1, "waiting": 1}


def test_an_email_that_was_sent_again_by_hand_and_failed_has_returned(told):
    letter = make_dead_letter()
    redrive = start()
    advance()
    told[letter.event_id] = Outcome(Verdict.PENDING, "not sent yet")
    handle_all()
    make_dead_letter(event_id=letter.event_id, cause=("Cracked", "cracked"))

    advance()

    assert redrive.items.get().detail == "Cracked: cracked"


@pytest.mark.parametrize("state", ["redriven", "discarded"])
def test_closed_letter_of_an_earlier_failure_is_not_how_it_came_back(state):
    """Its row is dead a little before its own letter is collected."""
    letter = make_dead_letter()
    redrive = start()
    advance()
    OutboxEvent.objects.update(state="dead", sqs_message_id="m-2")
    make_dead_letter(event_id=letter.event_id, state=state, cause=("Old", "long ago"))

    advance()
    assert outcomes(redrive) == {"pending": 1}

    make_dead_letter(event_id=letter.event_id, sqs_message_id="m-2", state=state)
    advance()
    assert outcomes(redrive) == {"returned": 1}


@pytest.mark.parametrize("fields", [{"queue": "transactions"}, {"event_id": UUID(int=7)}])
def test_letter_of_another_queue_or_event_is_not_how_it_came_back(fields):
    letter = make_dead_letter()
    redrive = start()
    advance()
    OutboxEvent.objects.update(state="dead", sqs_message_id="m-2")
    make_dead_letter(**{"event_id": letter.event_id, "sqs_message_id": "m-2"} | fields)

    advance()

    assert outcomes(redrive) == {"pending": 1}


def test_outcome_has_its_time_and_cause_and_what_is_pending_has_no_time(told):
    letters = make_dead_letters(3)
    redrive = start(canary=False)
    advance()
    told[letters[0].event_id] = Outcome(Verdict.BOUNCED, "no such mailbox")
    told[letters[1].event_id] = Outcome(Verdict.ACCEPTED, "SES accepted it.")
    told[letters[2].event_id] = Outcome(Verdict.PENDING, "in doubt")
    handle_all()

    advance()

    bounced, accepted, pending = redrive.items.order_by("position")
    assert (bounced.detail, accepted.detail) == ("no such mailbox", "SES accepted it.")
    assert bounced.fingerprint and not accepted.fingerprint
    assert bounced.settled_at and accepted.settled_at and not pending.settled_at
    assert pending.released_at


def failed(*codes, message="m", queue="orders"):
    for count, code in enumerate(codes, 1):
        HandlingFailure.objects.create(
            queue=queue, sqs_message_id=message, receive_count=count, code=code, reason="hot"
        )


def sent_again():
    """A redrive whose first letter SQS has taken as message m; another one waits."""
    make_dead_letters(2)
    redrive = start()
    advance()
    OutboxEvent.objects.update(state="published", published_at=Now(), sqs_message_id="m")
    return redrive


def test_last_failure_of_a_message_that_still_comes_back_is_shown():
    redrive = sent_again()
    failed("First", "Second")
    failed("Elsewhere", queue="transactions")
    failed("Another", message="m-2")

    advance()

    item = redrive.items.get(position=1)
    assert (item.outcome, item.detail, item.settled_at) == ("pending", "Second: hot", None)
    assert item.fingerprint


@pytest.mark.parametrize("changes", [{"queue": "transactions"}, {"sqs_message_id": "m-2"}])
def test_failure_of_another_message_is_not_shown(changes):
    redrive = sent_again()
    failed("First")
    HandlingFailure.objects.update(**changes)

    advance()

    assert redrive.items.get(position=1).detail == ""


def test_same_failure_seen_again_changes_nothing():
    sent_again()
    failed("First")
    advance()
    Redrive.objects.update(next_at=Now())

    assert jobs.advance() == 0


def test_more_letters_than_a_page_are_all_settled(monkeypatch):
    monkeypatch.setattr(settling, "PAGE", 2)
    make_dead_letters(5)
    redrive = start(canary=False)
    advance()
    handle_all()

    advance()

    assert outcomes(redrive) == {"handled": 5}


def test_letter_that_failed_again_and_was_discarded_has_returned():
    make_dead_letter()
    redrive = start()
    advance()
    OutboxEvent.objects.update(state="discarded")

    advance()

    item = redrive.items.get()
    assert item.outcome == "returned"
    assert "somebody discarded it" in item.detail
