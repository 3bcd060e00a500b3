"""Turn SES's GetSendStatistics data points into chart lines and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.timezone import localtime

# AWS reviews an account above these shares: SES developer guide, "Sending review process FAQs".
BOUNCES, COMPLAINTS = 0.05, 0.001
# With fewer emails, the shares say nothing.
MINIMUM = 100
# With fewer steps in which anything was sent, a chart shows spikes and no course.
FEWEST_STEPS = 6


@dataclass(frozen=True)
class Window:
    """A time range of the chart: how far it reaches back, and its steps."""

    label: str
    reach: timedelta
    step: timedelta
    clock: str


WINDOWS = {
    "24h": Window("24 hours", timedelta(hours=24), timedelta(minutes=30), "%H:%M"),
    "14d": Window("14 days", timedelta(days=14), timedelta(hours=6), "%d %b %H:%M"),
}


@dataclass(frozen=True)
class Line:
    """One line of the chart: its name, a number for each step, a summary, and a tone: good, bad or plain."""

    label: str
    values: Sequence[int]
    summary: str
    tone: str


@dataclass(frozen=True)
class Statistics:
    """The chart of a window that ends now.

    ``sent`` has one line, ``trouble`` the others: beside the first they would look flat.
    """

    clocks: Sequence[str]
    sent: Sequence[Line]
    trouble: Sequence[Line]
    warnings: Sequence[str]

    @property
    def lines(self) -> Sequence[Line]:
        """All lines."""
        return [*self.sent, *self.trouble]

    @property
    def is_sparse(self) -> bool:
        """True if numbers say more than a chart: emails went out in a few steps only."""
        return sum(value > 0 for line in self.sent for value in line.values) < FEWEST_STEPS


def of(points: Sequence[Sequence[Any]], window: Window) -> Statistics:
    """Make the chart of a window from the points of ``account.statistics``."""
    now = timezone.now()
    sent, bounces, complaints, rejects = (
        _by_step(points, column, window, now) for column in (1, 2, 3, 4)
    )
    total = sum(sent)
    return Statistics(
        clocks=_clocks(window, now),
        sent=[Line("Sent", sent, f"{total:,}", "good")],
        trouble=[
            Line("Bounces", bounces, _share(sum(bounces), total), "bad"),
            Line("Complaints", complaints, _share(sum(complaints), total), "plain"),
            Line("Rejects", rejects, f"{sum(rejects):,}", "good"),
        ],
        warnings=list(_warnings(sum(bounces), sum(complaints), total)),
    )


def _clocks(window: Window, now: datetime) -> list[str]:
    """Name when each step begins."""
    steps = int(window.reach / window.step)
    begins = (now - window.step * (steps - number) for number in range(steps))
    return [localtime(begin).strftime(window.clock) for begin in begins]


def _by_step(
    points: Sequence[Sequence[Any]], column: int, window: Window, now: datetime
) -> list[int]:
    """Add up one column of the points for each step; SES has no point for 15 minutes in which nothing was sent."""
    steps = int(window.reach / window.step)
    values = [0] * steps
    for point in points:
        age = int((now - datetime.fromisoformat(point[0])) / window.step)
        if 0 <= age < steps:
            values[steps - 1 - age] += point[column]
    return values


def _share(count: int, total: int) -> str:
    return f"{count:,} ({count / total:.2%})" if total else f"{count:,}"


def _warnings(bounces: int, complaints: int, total: int) -> list[str]:
    found: list[str] = []
    if total < MINIMUM:
        return found
    if bounces / total >= BOUNCES:
        found.append("bounces are past 5 %")
    if complaints / total >= COMPLAINTS:
        found.append("complaints are past 0.1 %")
    return found
