"""Draw line charts as SVG on the server: they need no script and no other host, and follow the reader's theme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 600, 120
# A scale ends at one of these; half of each is a round number too.
_ROUND = (1, 2, 3, 4, 6, 8, 10)


@dataclass(frozen=True)
class Series:
    """A line of a chart: a value for each step, None where nothing was counted.

    ``summary`` is the line in words; ``tone`` is good, bad or plain, and decides colour and stroke.
    """

    label: str
    values: Sequence[float | None]
    summary: str = ""
    tone: str = "plain"


@dataclass(frozen=True)
class Line:
    """A line ready to draw; ``path`` is SVG path data in an area of ``WIDTH`` by ``HEIGHT``."""

    label: str
    path: str
    summary: str
    tone: str


@dataclass(frozen=True)
class Chart:
    """A chart ready for the template; ``top`` is the label of the scale's upper end."""

    title: str
    top: str
    begin: str
    end: str
    lines: Sequence[Line]

    @property
    def description(self) -> str:
        """The chart in words, for readers who cannot see it."""
        told = "; ".join(f"{line.label}: {line.summary}" for line in self.lines)
        return f"{self.title}, {self.begin} to {self.end}. {told}."

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to draw."""
        return not any(line.path for line in self.lines)


def draw(title: str, series: Sequence[Series], *, unit: str, begin: str, end: str) -> Chart:
    """Draw all lines on one scale, from zero to a round number at or above the highest value."""
    top = ceiling(max((value for line in series for value in line.values if value), default=1))
    lines = [Line(line.label, _path(line.values, top), line.summary, line.tone) for line in series]
    return Chart(title, f"{top:,g} {unit}", begin, end, lines)


def ceiling(value: float) -> float:
    """Return a round number that is not below the value and not far above it."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _ROUND if value <= step * power * (1 + 1e-9))


def _path(values: Sequence[float | None], top: float) -> str:
    """Return SVG path data: a gap where a value is missing, a dot for a value that stands alone."""
    step = WIDTH / max(1, len(values) - 1)
    parts = []
    is_begun = False
    for number, value in enumerate(values):
        if value is not None:
            x, y = number * step, HEIGHT * (1 - value / top)
            parts.append(f"{'L' if is_begun else 'M'}{x:.1f} {y:.1f}{'' if is_begun else 'h0'}")
        is_begun = value is not None
    return "".join(parts)
