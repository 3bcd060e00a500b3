"""Draw line charts as SVG on the server: they need no library and no other host, and follow the reader's theme.

``chart.js`` adds what a picture cannot have: the values at the time under the pointer, or under the arrow keys.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

WIDTH, HEIGHT = 600, 120
# A scale ends at one of these; half of each is a round number too.
_ROUND = (1, 2, 3, 4, 6, 8, 10)
# The seconds that a logarithmic scale of times may begin, end and be ruled at.
_RULED = (0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 36_000, 86_400, 864_000, 8_640_000)
_TIMES_NAMED = 5


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
class Tick:
    """A label of an axis; ``at`` is its place in percent, from the left or from the top."""

    at: float
    label: str


@dataclass(frozen=True)
class Mark:
    """Something that happened at a step of the chart and may explain the lines; ``sign`` is one letter."""

    step: int
    sign: str
    text: str
    time: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class Scale:
    """The vertical axis: it places values by ``place``, from 0 at the bottom to 1 at the top, and writes them."""

    ruled: Sequence[float]
    place: Callable[[float], float]
    write: Callable[[float], str]


@dataclass(frozen=True)
class Chart:
    """A chart ready for the template. ``points`` holds for each step its time and the value of each line, in words."""

    title: str
    lines: Sequence[Line]
    rows: Sequence[Tick]
    columns: Sequence[Tick]
    points: Sequence[Sequence[str]]
    marks: Sequence[Mark] = ()
    note: str = ""

    @property
    def description(self) -> str:
        """The chart in words, for readers who cannot see it."""
        told = "; ".join(f"{line.label}: {line.summary}" for line in self.lines)
        marked = "".join(f" {mark.time}: {mark.text}." for mark in self.marks)
        return f"{self.title}, {self.points[0][0]} to {self.points[-1][0]}. {told}.{marked}"

    @property
    def labels(self) -> list[str]:
        """The name of each line."""
        return [line.label for line in self.lines]

    @property
    def last(self) -> str:
        """The newest values in words."""
        time, *values = self.points[-1]
        named = zip(self.labels, values, strict=True)
        return f"{time}: {', '.join(f'{label} {value}' for label, value in named)}"

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to draw."""
        return not any(line.path for line in self.lines)


def draw(
    title: str,
    series: Sequence[Series],
    *,
    clocks: Sequence[str],
    scale: Scale | None = None,
    marks: Sequence[Mark] = (),
    note: str = "",
) -> Chart:
    """Draw all lines on one scale, by default a linear one from zero; ``clocks`` names the time of each step."""
    scale = scale or counts(_known(series))
    lines = [
        Line(line.label, _path(line.values, scale), line.summary, line.tone) for line in series
    ]
    return Chart(
        title,
        lines,
        [Tick(100 * (1 - scale.place(value)), scale.write(value)) for value in scale.ruled],
        _named_times(clocks),
        [
            [clock, *(_written(line.values[step], scale) for line in series)]
            for step, clock in enumerate(clocks)
        ],
        [
            replace(mark, time=clocks[mark.step], at=_across(mark.step, len(clocks)))
            for mark in marks
        ],
        note,
    )


def counts(values: Sequence[float]) -> Scale:
    """Return a linear scale from zero to a round number at or above the highest value."""
    top = ceiling(max((value for value in values if value), default=1))
    return Scale((0, top / 2, top), lambda value: value / top, lambda value: f"{value:,.4g}")


def times(series: Sequence[Series], write: Callable[[float], str]) -> Scale:
    """Return a logarithmic scale of seconds, so that one slow minute does not flatten all others."""
    known = _known(series) or [0.1, 1]
    low = max((tick for tick in _RULED if tick <= min(known)), default=_RULED[0])
    high = min((tick for tick in _RULED if tick >= max(known) and tick > low), default=_RULED[-1])
    ruled = [tick for tick in _RULED if low <= tick <= high]

    def place(value: float) -> float:
        return math.log(max(value, low) / low) / math.log(high / low)

    return Scale(ruled, place, write)


def ceiling(value: float) -> float:
    """Return a round number that is not below the value and not far above it."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _ROUND if value <= step * power * (1 + 1e-9))


def _known(series: Sequence[Series]) -> list[float]:
    return [value for line in series for value in line.values if value is not None]


def _written(value: float | None, scale: Scale) -> str:
    return "—" if value is None else scale.write(value)


def _across(step: int, steps: int) -> float:
    return round(100 * step / max(1, steps - 1), 2)


def _named_times(clocks: Sequence[str]) -> list[Tick]:
    last = len(clocks) - 1
    steps = dict.fromkeys(round(last * part / (_TIMES_NAMED - 1)) for part in range(_TIMES_NAMED))
    return [Tick(_across(step, len(clocks)), clocks[step]) for step in steps]


def _path(values: Sequence[float | None], scale: Scale) -> str:
    """Return SVG path data: a gap where a value is missing, a dot for a value that stands alone."""
    step = WIDTH / max(1, len(values) - 1)
    parts = []
    is_begun = False
    for number, value in enumerate(values):
        if value is not None:
            x, y = number * step, HEIGHT * (1 - scale.place(value))
            parts.append(f"{'L' if is_begun else 'M'}{x:.1f} {y:.1f}{'' if is_begun else 'h0'}")
        is_begun = value is not None
    return "".join(parts)
