import os
import socket
import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from queues import outbox, registry
from queues.events.envelope import Event, EventData
from queues.models.live import Duty, LiveConsumer
from queues.outbox import relay
from queues.threads import writer
from queues.upkeep import watching
from queues.upkeep.heartbeats import Heartbeats, Load
from tests.support.living import make_consumer, make_silent
from tests.support.processes import wait_until

pytestmark = pytest.mark.django_db

# Above what Linux gives.
NO_PID = 2**22 + 1


def make_heartbeats(load=Load, **options):
    return Heartbeats(LiveConsumer.Kind.CONSUMER, ["orders"], load, **options)


def test_each_beat_renews_the_one_row_of_its_process(settings):
    settings.RELEASE = "1.2"
    loads = iter([Load(8, 0, 1), Load(16, 30, 2)])
    mine = make_heartbeats(lambda: next(loads))
    mine.heartbeat()
    first = LiveConsumer.objects.get()

    mine.heartbeat()

    row = LiveConsumer.objects.get()
    assert (row.pid, row.release, row.queues) == (os.getpid(), "1.2", ["orders"])
    assert (row.threads, row.handled, row.in_flight) == (16, 30, 2)
    assert row.started_at == first.started_at
    assert row.beat_at >= first.beat_at


def test_beat_says_what_cannot_be_received_and_that_it_can_again():
    loads = iter([Load(troubles={"orders": "no answer"}), Load()])
    mine = make_heartbeats(lambda: next(loads))

    found = [mine.heartbeat() or LiveConsumer.objects.get().troubles for _ in range(2)]

    assert found == [{"orders": "no answer"}, {}]


def test_rate_is_what_was_handled_since_the_last_beat():
    times = iter([0.0, 5.0, 10.0])
    loads = iter([Load(handled=10), Load(handled=110)])
    mine = make_heartbeats(lambda: next(loads), clock=lambda: next(times))

    mine.heartbeat()
    mine.heartbeat()

    assert LiveConsumer.objects.get().rate == 20


def test_a_consumer_without_a_beat_for_half_a_minute_is_silent():
    gone, here = make_silent(pid=NO_PID), make_consumer(host="elsewhere", pid=NO_PID)

    assert list(LiveConsumer.objects.silent()) == [gone]
    assert list(LiveConsumer.objects.alive()) == [here]
    assert {row.pk: row.is_silent for row in LiveConsumer.objects.with_silence()} == {
        gone.pk: True,
        here.pk: False,
    }


def test_row_that_was_tidied_away_comes_back_with_the_next_beat():
    mine = make_heartbeats()
    mine.heartbeat()
    started_at = LiveConsumer.objects.get().started_at
    LiveConsumer.objects.all().delete()

    mine.heartbeat()

    assert LiveConsumer.objects.get().started_at == started_at


def test_whoever_starts_takes_the_place_of_the_dead_of_its_host():
    host = socket.gethostname()
    make_consumer(host=host, pid=NO_PID)
    living = make_consumer(host=host, pid=os.getppid())
    elsewhere = make_consumer(host="elsewhere", pid=NO_PID)

    make_heartbeats().heartbeat()

    pids = set(LiveConsumer.objects.values_list("pid", flat=True))
    assert pids == {living.pid, elsewhere.pid, os.getpid()}
    assert LiveConsumer.objects.count() == 3


def test_lost_beat_stops_nothing(monkeypatch, caplog):
    def fail(write):
        raise DatabaseError("locked")

    monkeypatch.setattr(writer, "call", fail)

    assert make_heartbeats().heartbeat() == 0
    assert "no heartbeat: DatabaseError" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_row_goes_with_a_clean_stop():
    mine = make_heartbeats()
    mine.start()
    wait_until(LiveConsumer.objects.exists, what="a heartbeat")

    mine.stop()

    assert not LiveConsumer.objects.exists()
    connection.close()


class GongStruck(EventData, type="gong.struck.v1", queue="orders", source="/tests"):
    """An event for the test below."""


seen: list[LiveConsumer] = []


def beside_consumer():
    names = {"sweeper", "watcher", "relay", "collector", "heartbeats"}
    return [thread for thread in threading.enumerate() if thread.name in names]


def strike():
    with transaction.atomic():
        outbox.record(Event.of(GongStruck(), subject="G-1", partition_key="g"))


@registry.handles("gong.struck.v1")
def look(event):
    wait_until(LiveConsumer.objects.exists, what="a heartbeat")
    seen.extend(LiveConsumer.objects.all())


@pytest.mark.django_db(transaction=True)
def test_consumer_has_a_row_while_it_works_and_none_afterwards(aws):
    seen.clear()
    strike()
    relay.publish_pending()

    call_command("consume_queue", "orders", "--max-messages=1", "--concurrency=3")

    # What runs beside it is not waited for at a stop, and would go on into the next test.
    wait_until(lambda: not beside_consumer(), what="the end of its chores")
    [row] = seen
    assert (row.kind, row.pid, row.queues, row.threads) == ("consumer", os.getpid(), ["orders"], 3)
    assert not LiveConsumer.objects.exists()


def test_step_that_fails_keeps_no_other_from_being_done(monkeypatch, caplog):
    done = []

    def fail():
        raise ZeroDivisionError

    def tell():
        done.append("told")
        return 1

    monkeypatch.setattr(registry, "watches", [fail, tell])

    assert watching.watch() == 0

    assert done == ["told"]
    assert "watch step failed" in caplog.text


def test_rows_that_nobody_looks_at_any_more_are_tidied():
    old, young = make_silent(pid=NO_PID), make_silent(pid=NO_PID)
    LiveConsumer.objects.filter(pk=old.pk).update(beat_at=timezone.now() - timedelta(days=2))
    Duty.objects.create(name="told", taken_at=timezone.now() - timedelta(days=31))

    assert watching.tidy() == 2

    assert list(LiveConsumer.objects.all()) == [young]
    assert list(Duty.objects.values_list("name", flat=True)) == ["tidy"]
