"""Build the overview's tiles and charts from what consumers have counted: four queries, whatever was sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils.timezone import localtime

from emails.figures import percentile
from emails.models import SendRate
from notifier.overview.charts import Chart, Series, draw
from queues.models.live import Figure
from queues.upkeep import figures
from queues.upkeep.figures import HOUR, MINUTE, TEN_MINUTES


@dataclass(frozen=True)
class Window:
    """A time range of the charts: how far back it reaches, and the seconds of each step."""

    label: str
    reach: timedelta
    seconds: int
    clock: str


WINDOWS = {
    "1h": Window("1 hour", timedelta(hours=1), MINUTE, "%H:%M"),
    "24h": Window("24 hours", timedelta(days=1), TEN_MINUTES, "%H:%M"),
    "7d": Window("7 days", timedelta(days=7), HOUR, "%a %H:%M"),
}


@dataclass(frozen=True)
class Tile:
    """One figure with its label and a note on what it counts; ``is_high`` is True if it is too high."""

    label: str
    value: str
    note: str = ""
    is_high: bool = False


def tiles(now: datetime) -> list[Tile]:
    """Return the figures of the last counted minute, the last hour and the last 24 hours."""
    hour = figures.since(now - timedelta(hours=1), seconds=MINUTE)
    day = figures.total(figures.since(now - timedelta(days=1), seconds=TEN_MINUTES))
    last: Mapping[str, int] = hour[-1].counts if hour else {}
    minute = f"in the minute {_clock(hour[-1].begins_at)}" if hour else "not counted yet"
    return [
        Tile("Orders a minute", _number(last.get("orders", 0)) if hour else "—", minute),
        Tile("Emails a minute", _number(last.get("accepted", 0)) if hour else "—", minute),
        *_latency(figures.total(hour)),
        *_limits(last.get("accepted", 0)),
        _share("Bounces", day["bounced"], day["accepted"], settings.GUARD_BOUNCE_WARNING),
        _share("Complaints", day["complained"], day["accepted"], settings.GUARD_COMPLAINT_WARNING),
    ]


def charts(now: datetime, window: Window) -> list[Chart]:
    """Draw how many emails SES accepted, how many failed, how many orders came, and how long an email took."""
    rows = {row.begins_at: row for row in figures.since(now - window.reach, seconds=window.seconds)}
    steps = _steps(now, window)
    found = [rows.get(step) for step in steps]
    begin, end = (f"{localtime(step):{window.clock}}" for step in (steps[0], now))
    counted = [
        _counts("Emails accepted", "accepted", "good", found, window),
        _counts("Emails failed", "failed", "bad", found, window),
        _counts("Orders", "orders", "plain", found, window),
    ]
    times = [
        _times("p50", "good", 0.5, found),
        _times("p95", "plain", 0.95, found),
    ]
    return [
        draw("Emails and orders", counted, unit="a minute", begin=begin, end=end),
        draw("From order to SES", times, unit="s", begin=begin, end=end),
    ]


def _steps(now: datetime, window: Window) -> list[datetime]:
    """List when each span begins, without the span that has not ended: it would look like a decline."""
    step = timedelta(seconds=window.seconds)
    last = figures.floor(now - figures.SETTLE, window.seconds) - step
    return [last - step * number for number in reversed(range(int(window.reach / step)))]


def _counts(
    label: str, name: str, tone: str, found: Sequence[Figure | None], window: Window
) -> Series:
    def rate(row: Figure) -> float:
        return float(row.counts.get(name, 0)) * MINUTE / window.seconds

    values = [rate(row) if row else None for row in found]
    most = max((value for value in values if value), default=0)
    total = sum(row.counts.get(name, 0) for row in found if row)
    is_counted = any(found)
    summary = f"{_number(total)} in all, at most {most:,.4g} a minute" if is_counted else "—"
    return Series(label, values, summary, tone)


def _times(label: str, tone: str, share: float, found: Sequence[Figure | None]) -> Series:
    values = [percentile(row.counts, share) if row else None for row in found]
    known = [value for value in values if value is not None]
    summary = f"{_seconds(min(known))} to {_seconds(max(known))}" if known else "no emails"
    return Series(label, values, summary, tone)


def _latency(hour: Counter[str]) -> list[Tile]:
    return [
        Tile(f"Order to SES, {label}", _seconds(percentile(hour, share)), "in the last hour")
        for label, share in (("p50", 0.5), ("p95", 0.95))
    ]


def _limits(accepted: int) -> list[Tile]:
    rate = SendRate.objects.filter(pk=1).first()
    if rate is None:
        return [Tile("Sending rate used", "—", "SES has not been asked yet")]
    used = accepted / MINUTE / rate.max_send_rate
    tile = Tile("Sending rate used", f"{used:.0%}", f"of {rate.max_send_rate:g} a second")
    if rate.max_24_hour_send <= 0:
        return [tile]
    share = rate.sent_last_24_hours / rate.max_24_hour_send
    quota = f"of {rate.max_24_hour_send:,.0f} in 24 hours"
    return [tile, Tile("Quota used", f"{share:.0%}", quota, is_high=share >= 0.9)]


def _share(label: str, count: int, of: int, limit: float) -> Tile:
    if not of:
        return Tile(label, "—", "no emails in 24 hours")
    note = f"{_number(count)} of {_number(of)} in 24 hours"
    return Tile(label, f"{count / of:.2%}", note, is_high=100 * count / of >= limit)


def _number(count: int) -> str:
    return f"{count:,}"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "—"
    scales: list[tuple[float, Callable[[float], str]]] = [
        (1, lambda value: f"{value * 1000:.0f} ms"),
        (120, lambda value: f"{value:.1f} s"),
        (7200, lambda value: f"{value / 60:.0f} min"),
    ]
    return next(
        (told(seconds) for most, told in scales if seconds < most), f"{seconds / 3600:.0f} h"
    )


def _clock(moment: datetime) -> str:
    return f"{localtime(moment):%H:%M}"
