"""One consumer at a time advances a redrive, and staff are told when none does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from queues.consumer import pausing
from queues.models import DeadLetter, Redrive
from queues.redrives import standstill
from queues.redrives.leases import LEASE, Lease, LeaseLost
from tests.support.lanterns import make_dead_letter, make_dead_letters, start
from tests.support.rows import make_redrive

pytestmark = pytest.mark.django_db

State = Redrive.State


def past(seconds=1):
    return timezone.now() - timedelta(seconds=seconds)


def left(redrive):
    redrive.refresh_from_db()
    return (redrive.next_at - timezone.now()).total_seconds()


@pytest.fixture
def redrive():
    """A redrive that is due, beside another."""
    make_redrive(next_at=past())
    return make_redrive(next_at=past())


@pytest.fixture
def lease(redrive):
    found = Lease.take(redrive.pk)
    assert found
    return found


def bystander(redrive):
    return Redrive.objects.exclude(pk=redrive.pk).get()


def test_lease_is_taken_by_one_for_its_time(redrive):
    first, second = (Lease.take(redrive.pk) for _ in range(2))

    assert first and second is None
    assert first.redrive.claim == first.token
    assert 0 < left(redrive) <= LEASE.total_seconds()
    assert bystander(redrive).claim is None


def test_lease_of_a_redrive_that_has_ended_is_not_taken(redrive):
    Redrive.objects.update(ended_at=past())

    assert Lease.take(redrive.pk) is None


def test_transaction_renews_the_lease(lease):
    Redrive.objects.update(next_at=past())

    with lease.transaction(state=State.RUNNING):
        pass

    assert 0 < left(lease.redrive) <= LEASE.total_seconds()
    assert bystander(lease.redrive).next_at < timezone.now()


@pytest.mark.parametrize("lost", ["taken by another", "stopped"])
def test_transaction_without_its_lease_does_nothing(lease, lost):
    if lost == "stopped":
        Redrive.objects.update(state=State.STOPPED)
    else:
        Redrive.objects.update(next_at=past())
        assert Lease.take(lease.redrive.pk)

    with pytest.raises(LeaseLost), lease.transaction(state=State.RUNNING):
        Redrive.objects.update(why="changed")

    assert not Redrive.objects.filter(why="changed").exists()


def test_change_is_undone_where_its_transaction_fails(lease):
    with pytest.raises(ZeroDivisionError), lease.transaction():
        Redrive.objects.update(why="changed")
        raise ZeroDivisionError

    assert not Redrive.objects.filter(why="changed").exists()


@pytest.mark.parametrize("seconds", [0, 5])
def test_lease_that_is_given_back_is_free_after_the_pause(lease, seconds):
    lease.end(pause=timedelta(seconds=seconds))

    assert seconds - 3 < left(lease.redrive) <= seconds + 0.01
    assert lease.redrive.claim is None
    assert bool(Lease.take(lease.redrive.pk)) == (seconds == 0)


def test_lease_that_another_has_is_not_given_back(lease):
    Redrive.objects.filter(pk=lease.redrive.pk).update(next_at=past())
    other = Lease.take(lease.redrive.pk)
    assert other

    lease.end(pause=timedelta())

    lease.redrive.refresh_from_db()
    assert lease.redrive.claim == other.token


# --- What staff are told


def seen(redrive, **changes):
    Redrive.objects.filter(pk=redrive.pk).update(**changes)
    redrive.refresh_from_db()
    return standstill.of(redrive)


def in_seconds(seconds):
    return timezone.now() + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("is_claimed", "seconds", "words"),
    [
        (False, -11, "No consumer works on this redrive"),
        (False, -8, ""),
        (True, -11, "No consumer works on this redrive"),
        (True, 6.5, "is slow"),
        (True, 9, ""),
        (False, 6.5, ""),
    ],
)
def test_redrive_that_nobody_advances_is_told(redrive, lease, is_claimed, seconds, words):
    claim = lease.token if is_claimed else None

    told = seen(redrive, claim=claim, next_at=in_seconds(seconds))

    assert (words in told) if words else told == ""


def test_redrive_that_is_over_stands_still_for_good(redrive):
    assert seen(redrive, next_at=in_seconds(-60), ended_at=past()) == ""


def test_redrive_whose_queue_nobody_reads_is_told_with_the_reason():
    paused = make_dead_letters(2)
    elsewhere = make_dead_letter(queue="transactions")
    pausing.pause("orders", by="ada", reason="ask bob@example.com")

    told = seen(start(paused))

    assert "receive nothing from orders (" in told
    assert "bob@example.com" not in told
    assert seen(start([elsewhere])) == ""
    assert standstill.why_not_received(DeadLetter.objects.filter(pk=elsewhere.pk)) == ""
