"""The arithmetic of ``make bench-scale``: what a rate needs, computed from given parts."""

from dataclasses import replace

import pytest

from benchmarks.grow import needs
from benchmarks.grow.needs import Parts

# With 0.7 of a core in use: a consumer does 1,000 emails a second, a core of PostgreSQL feeds 3,500.
PARTS = Parts(
    consumers=2,
    rate=1500.0,
    consumer_ms=0.7,
    connections=6.5,
    recording_ms=0.08,
    server_ms=0.12,
    statements=2.5,
    commits=0.1,
    reservations=0.04,
    wal_bytes=10_000.0,
    commit_ms=2.0,
    row_bytes={"queues_outboxevent": 1_500.0, "emails_notification": 2_000.0},
)


def test_rate_needs_its_share_of_each_part():
    found = needs.needs(PARTS, 10_000)

    assert (found.processes, found.server_cores, found.connections) == (10, 3, 65)
    assert found.rows_a_day == 864_000_000
    assert found.wal_mb == pytest.approx(100.0)
    assert found.gb_a_day == pytest.approx(3_024.0)


def test_what_is_deleted_is_kept_for_its_days_and_notifications_for_good():
    found = needs.needs(PARTS, 100)

    assert found.gb_kept == pytest.approx(8_640_000 * 90 * 1_500 / 1e9)
    assert found.gb_kept_a_year == pytest.approx(8_640_000 * 365 * 2_000 / 1e9)


def test_core_of_the_database_feeds_as_many_consumers_as_their_rates_fit_into_its_own():
    assert PARTS.consumers_of_a_core == pytest.approx(3.5)


def test_slow_commits_limit_a_consumer_before_its_core_does():
    slow = replace(PARTS, commit_ms=20.0)

    assert slow.rate_of_one == pytest.approx(500.0)
    assert needs.needs(slow, 1_000).processes == 2


def test_what_limits_first_is_named_first():
    lines = needs.limits_text(replace(PARTS, server_ms=0.92)).splitlines()

    assert "feeds 0.7 consumers" in lines[0]
    assert lines[2] == "- a core of PostgreSQL: 700/s"


def test_tables_have_a_column_for_each_run_and_each_rate():
    parts = needs.parts_table([PARTS, replace(PARTS, consumers=4)]).splitlines()
    rates = needs.needs_table(PARTS, [100, 1_000]).splitlines()

    assert parts[0] == "| of one email | consumers: 2 | consumers: 4 |"
    assert "| bytes of WAL | 10,000 | 10,000 |" in parts
    assert rates[0] == "|  | 100/s | 1,000/s |"
    assert "| consumers, with a core each | 1 | 1 |" in rates
