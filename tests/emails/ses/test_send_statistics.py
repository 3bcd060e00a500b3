from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from emails.ses import statistics
from emails.ses.statistics import WINDOWS


def point(*, hours: float, sent: int = 0, bounces: int = 0, complaints: int = 0, rejects: int = 0):
    begin = timezone.now() - timedelta(hours=hours)
    return [begin.isoformat(), sent, bounces, complaints, rejects]


def test_points_are_put_where_they_belong_and_quiet_times_are_zero():
    points = [point(hours=0.1, sent=3), point(hours=0.2, sent=2), point(hours=23.9, sent=1)]

    found = statistics.of(points, WINDOWS["24h"])

    [sent] = found.sent
    assert (sent.values[0], sent.values[-1], sum(sent.values)) == (1, 5, 6)
    assert (len(sent.values), sent.summary) == (48, "6")


def test_what_is_older_than_the_window_is_left_out():
    found = statistics.of([point(hours=30, sent=5)], WINDOWS["24h"])

    assert sum(found.sent[0].values) == 0
    assert sum(statistics.of([point(hours=30, sent=5)], WINDOWS["14d"]).sent[0].values) == 5


def test_shares_are_said_in_words():
    found = statistics.of(
        [point(hours=1, sent=1000, bounces=20, complaints=1, rejects=3)], WINDOWS["24h"]
    )

    assert [line.summary for line in found.trouble] == ["20 (2.00%)", "1 (0.10%)", "3"]


@pytest.mark.parametrize(
    ("counts", "warnings"),
    [
        ({"sent": 1000, "bounces": 49}, 0),
        ({"sent": 1000, "bounces": 50}, 1),
        ({"sent": 1000, "bounces": 50, "complaints": 1}, 2),
        ({"sent": 6, "bounces": 6}, 0),
        ({}, 0),
    ],
)
def test_what_makes_aws_review_an_account_is_warned_of(counts, warnings):
    found = statistics.of([point(hours=1, **counts)], WINDOWS["24h"])

    assert len(found.warnings) == warnings


@pytest.mark.parametrize(("steps", "is_sparse"), [(1, True), (5, True), (6, False)])
def test_a_few_bursts_are_told_in_numbers_and_not_as_spikes(steps, is_sparse):
    points = [point(hours=1 + step, sent=5) for step in range(steps)]

    assert statistics.of(points, WINDOWS["24h"]).is_sparse == is_sparse
