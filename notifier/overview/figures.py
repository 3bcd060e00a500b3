"""Build the overview's tiles and charts from what consumers have counted: five queries, whatever was sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils.timezone import localtime

from emails.figures import REDRIVEN, measured, percentile
from emails.models import SendRate
from notifier.overview.charts import Chart, Mark, Series, draw, times
from notifier.overview.marks import Happening
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
    """Return the figures of the latest minute, the last hour and the last 24 hours."""
    hour = figures.since(now - timedelta(hours=1), seconds=MINUTE)
    day = figures.total(figures.since(now - timedelta(days=1), seconds=TEN_MINUTES))
    last = figures.latest() or (hour[-1] if hour else None)
    note = (
        f"{_age(now - last.begins_at - timedelta(seconds=MINUTE))} ago"
        if last
        else "not counted yet"
    )
    counts: Mapping[str, int] = last.counts if last else {}
    return [
        Tile("Orders a minute", _number(counts.get("orders", 0)) if last else "—", note),
        Tile("Emails a minute", _number(counts.get("accepted", 0)) if last else "—", note),
        *_latency(figures.total(hour)),
        *_limits(counts.get("accepted", 0)),
        _share("Bounces", day["bounced"], day["accepted"], settings.GUARD_BOUNCE_WARNING),
        _share("Complaints", day["complained"], day["accepted"], settings.GUARD_COMPLAINT_WARNING),
    ]


def charts(now: datetime, window: Window, happened: Sequence[Happening] = ()) -> list[Chart]:
    """Draw how many emails SES accepted, how many failed, how many orders came, and how long an email took."""
    rows = {row.begins_at: row for row in figures.since(now - window.reach, seconds=window.seconds)}
    steps = _steps(now, window)
    found = [rows.get(step) for step in steps]
    clocks = [f"{localtime(step):{window.clock}}" for step in steps]
    marks = _marks(happened, steps, window)
    counted = [
        _counts("Emails accepted", "accepted", "good", found, window),
        _counts("Emails failed", "emails_failed", "bad", found, window),
        _counts("Orders", "orders", "plain", found, window),
    ]
    latency = [_times("p50", "good", 0.5, found), _times("p95", "plain", 0.95, found)]
    return [
        draw("Emails and orders a minute", counted, clocks=clocks, marks=marks),
        draw(
            "Time from order to SES",
            latency,
            clocks=clocks,
            scale=times(latency, _short),
            marks=marks,
            note=_redriven(figures.total(row for row in found if row)),
        ),
    ]


def _marks(happened: Sequence[Happening], steps: Sequence[datetime], window: Window) -> list[Mark]:
    last = len(steps) - 1
    return [
        Mark(
            min(last, max(0, int((one.at - steps[0]).total_seconds() // window.seconds))),
            one.sign,
            one.text,
        )
        for one in happened
    ]


def _redriven(counts: Mapping[str, int]) -> str:
    """Say how long redriven emails took: they waited for a person, and would hide how fast the others are."""
    count = measured(counts, REDRIVEN)
    if not count:
        return ""
    emails = "1 redriven email is" if count == 1 else f"{count:,} redriven emails are"
    half = _seconds(percentile(counts, 0.5, REDRIVEN))
    return f"{emails} not in these lines: p50 {half} from the order."


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
    redriven = measured(hour, REDRIVEN)
    note = f"last hour, without {redriven:,} redriven" if redriven else "in the last hour"
    return [
        Tile(f"Order to SES, {label}", _seconds(percentile(hour, share)), note)
        for label, share in (("p50", 0.5), ("p95", 0.95))
    ]


def _limits(accepted: int) -> list[Tile]:
    rate = SendRate.objects.filter(pk=1).first()
    if rate is None:
        unknown = "SES has not been asked yet"
        return [Tile(label, "—", unknown) for label in ("Sending rate used", "Quota used")]
    used = accepted / MINUTE / rate.max_send_rate
    tile = Tile("Sending rate used", f"{used:.0%}", f"of {rate.max_send_rate:g} a second")
    if rate.max_24_hour_send <= 0:
        return [tile, Tile("Quota used", "—", "this account has no quota")]
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
        (0.9995, lambda value: f"{value * 1000:.0f} ms"),
        (60, lambda value: f"{value:.1f} s"),
        (3600, lambda value: f"{value / 60:.0f} min"),
    ]
    return next(
        (told(seconds) for most, told in scales if seconds < most), f"{seconds / 3600:.0f} h"
    )


def _short(seconds: float) -> str:
    return _seconds(seconds).replace(".0 ", " ")


def _age(age: timedelta) -> str:
    return _short(max(1, round(age.total_seconds())))
