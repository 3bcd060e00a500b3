"""The harness of ``make bench-snapshot``: events go all the way, and its table compares two runs."""

import pytest

from benchmarks.grow import old_snapshot
from benchmarks.grow.whole_path import FIFO_EVERY, WholePath
from emails.models import Notification
from queues.models import OutboxEvent


@pytest.mark.django_db
def test_events_of_both_queues_go_all_the_way(aws):
    events = 2 * (FIFO_EVERY + 1)

    rate = WholePath().run(events, together=2)

    assert rate > 0
    handled = OutboxEvent.objects.filter(state=OutboxEvent.State.HANDLED)
    assert handled.count() == events
    assert set(handled.values_list("queue", flat=True)) == {"orders", "transactions"}
    assert Notification.objects.filter(state=Notification.State.SENT).count() == events


def test_table_compares_rates_and_times_and_leaves_fast_chores_out():
    free = {"rate": 300.0, "times": {"relay: claim": [2.0] * 20, "chore: look": [1.0] * 20}}
    held = {"rate": 270.0, "times": {"relay: claim": [3.0] * 20, "chore: look": [5.0] * 20}}

    lines = old_snapshot.table(free, held).splitlines()

    assert "| **events/s** | 300 | 270 | 0.90 |" in lines
    assert lines[-1] == "| relay: claim | 2.0 | 3.0 | 1.5 |"


def test_percentile_is_that_of_the_nearest_rank():
    assert old_snapshot.p95([float(number) for number in range(100)]) == 95.0
