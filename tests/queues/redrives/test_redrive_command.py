from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from queues.dead_letters import collecting
from queues.models import DeadLetter, OutboxEvent, Redrive
from queues.redrives import jobs
from tests.support import lanterns
from tests.support.lanterns import handle_all, make_dead_letter, make_dead_letters, outcomes, start

pytestmark = pytest.mark.django_db


@pytest.fixture
def meanwhile(monkeypatch):
    """Do these things elsewhere while the command waits, in turn; then it may wait no more."""

    def install(*steps):
        left = iter(steps)
        monkeypatch.setattr(
            "queues.management.commands.redrive.sleep", lambda seconds: next(left)()
        )

    return install


def test_it_wants_to_know_which():
    make_dead_letter()

    with pytest.raises(CommandError, match="name the dead letters"):
        call_command("redrive")

    assert not Redrive.objects.exists()


def test_a_dry_run_changes_nothing(capsys):
    make_dead_letters(2)

    call_command("redrive", "--code=Wet", "--dry-run")

    assert capsys.readouterr().out == "would redrive 2 dead letter(s)\n"
    assert not Redrive.objects.exists()


@pytest.mark.parametrize(
    "condition",
    [
        "--queue=transactions",
        "--subject=L-7",
        "--code=Dim",
        f"--fingerprint={collecting.fingerprint('Dim', 'no oil')}",
    ],
)
def test_each_condition_chooses_its_letters(condition):
    make_dead_letters(2)
    chosen = make_dead_letter(7, data=lanterns.LanternHung, cause=("Dim", "no oil"))

    call_command("redrive", condition)

    assert [item.letter for item in Redrive.objects.get().items.all()] == [chosen]


def test_it_sends_back_what_may_go_now_and_leaves_the_rest_to_consumers(capsys):
    make_dead_letters(3)

    call_command("redrive", "--all", "--reason=dried")

    redrive = Redrive.objects.get()
    assert (redrive.started_by, redrive.reason) == ("manage.py redrive", "dried")
    assert outcomes(redrive) == {"pending": 1, "waiting": 2}
    assert capsys.readouterr().out.splitlines() == [
        f"redrive {redrive.pk} of 3 dead letter(s) started",
        "2 waiting, 1 pending; consumers continue it",
    ]


def test_without_a_canary_all_are_sent_back_at_once():
    make_dead_letters(30)

    call_command("redrive", "--all", "--no-canary")

    assert OutboxEvent.objects.count() == 30


def test_a_rate_holds_the_rest_back():
    make_dead_letters(3)

    call_command("redrive", "--all", "--no-canary", "--rate=1")

    assert Redrive.objects.get().rate == 1
    assert OutboxEvent.objects.count() < 3


@pytest.mark.parametrize("rate", ["0", "-1", "fast"])
def test_a_rate_is_a_whole_number_above_nothing(rate):
    with pytest.raises(CommandError):
        call_command("redrive", "--all", f"--rate={rate}")


def test_it_says_what_is_in_another_redrive(capsys):
    start(make_dead_letters(2))

    call_command("redrive", "--all")

    assert capsys.readouterr().out.splitlines()[1:] == [
        "2 left out: already in another redrive",
        "nothing to redrive",
    ]


def test_waiting_ends_well_when_all_came_through(capsys, meanwhile):
    make_dead_letters(12)
    meanwhile(handle_all, handle_all, handle_all)

    call_command("redrive", "--all", "--wait")

    assert capsys.readouterr().out.splitlines()[1:] == [
        "11 waiting, 1 pending",
        "1 waiting, 10 pending, 1 handled",
        "1 pending, 11 handled",
        "12 handled",
    ]


def test_waiting_fails_with_the_cause_when_it_halts(consume, meanwhile):
    make_dead_letters(3)
    lanterns.broken.update({1: ("Wet", "the wick of lantern 1 is wet")})

    def bury():
        for _ in range(4):
            consume("orders")
        collecting.collect("orders")
        Redrive.objects.update(next_at="2026-01-01T00:00:00Z")

    meanwhile(lambda: consume("orders"), bury)

    with pytest.raises(CommandError, match=r"halted: Wet: the wick of lantern \* is wet"):
        call_command("redrive", "--all", "--wait")


def test_waiting_fails_when_a_letter_came_back(consume, meanwhile):
    make_dead_letter(1)
    lanterns.broken.update({1: ("Cracked", "cracked")})

    def bury():
        for _ in range(4):
            consume("orders")
        collecting.collect("orders")

    meanwhile(bury)

    with pytest.raises(CommandError, match="1 dead letter"):
        call_command("redrive", "--all", "--wait")


def test_waiting_fails_when_somebody_stops_it(meanwhile):
    make_dead_letters(2)

    def stop():
        handle_all()
        jobs.stop(Redrive.objects.get())

    meanwhile(stop)

    with pytest.raises(CommandError, match="stopped by a person"):
        call_command("redrive", "--all", "--wait")


@pytest.mark.django_db(transaction=True)
def test_a_consumer_that_empties_its_queues_carries_redrives_out(aws):
    make_dead_letters(15)
    redrive = start()

    call_command("consume_queue", "orders", "--until-empty")

    redrive.refresh_from_db()
    assert (redrive.state, outcomes(redrive)) == ("done", {"handled": 15})
    assert sorted(lanterns.handled) == list(range(1, 16))
    assert not DeadLetter.objects.filter(state="open").exists()
