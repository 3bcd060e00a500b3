"""Compute what a rate of emails needs from the measured parts of one email."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RATES = (100, 1_000, 10_000)
# A core that is busier has no time for a peak.
FULL = 0.7
DAY_SECONDS = 86_400
# Of Django's settings: how long handled events and attempts are kept. Notifications stay for good.
KEEP_DAYS = 90
KEPT_FOR_GOOD = ("emails_notification",)


@dataclass(frozen=True)
class Parts:
    """The measured parts of one email, and what does not depend on it: connections of a process, time of a commit.

    ``recording_ms`` is the server's CPU time for the event in its producer's transaction, ``server_ms`` for all that
    follows. ``commits`` are transactions that wrote, after the producer's own. ``reservations`` are updates of the one
    row that limits the rate. ``row_bytes`` are by table, indexes included.
    """

    consumers: int
    rate: float
    consumer_ms: float
    connections: float
    recording_ms: float
    server_ms: float
    statements: float
    commits: float
    reservations: float
    wal_bytes: float
    commit_ms: float
    row_bytes: Mapping[str, float]

    @property
    def limits(self) -> dict[str, float]:
        """The most emails a second that each part alone allows."""
        return {
            "a core of one consumer": 1000 * FULL / self.consumer_ms,
            "the commits of one consumer, one after the other": 1000
            / (self.commits * self.commit_ms),
            "a core of PostgreSQL": 1000 * FULL / (self.server_ms + self.recording_ms),
            "the commits to the row of the sending rate": 1000
            / (self.reservations * self.commit_ms),
        }

    @property
    def rate_of_one(self) -> float:
        """The emails a second of one consumer with a core of its own."""
        core, commits, *_ = self.limits.values()
        return min(core, commits)

    @property
    def consumers_of_a_core(self) -> float:
        """The number of consumers, each with a core of its own, that keep one core of PostgreSQL busy."""
        return self.limits["a core of PostgreSQL"] / self.rate_of_one


@dataclass(frozen=True)
class Needs:
    """What a rate needs; cores are so many that each is busy for FULL of the time."""

    rate: int
    processes: int
    server_cores: int
    connections: int
    wal_mb: float
    rows_a_day: int
    gb_a_day: float
    gb_kept: float
    gb_kept_a_year: float


def needs(parts: Parts, rate: int) -> Needs:
    """Compute them by proportion: nothing here says that a part keeps its size at any rate."""
    processes = math.ceil(rate / parts.rate_of_one)
    days = DAY_SECONDS * rate / 1e9
    kept = sum(size for table, size in parts.row_bytes.items() if table not in KEPT_FOR_GOOD)
    for_good = sum(parts.row_bytes.values()) - kept
    return Needs(
        rate=rate,
        processes=processes,
        server_cores=math.ceil(rate / parts.limits["a core of PostgreSQL"]),
        connections=math.ceil(processes * parts.connections),
        wal_mb=rate * parts.wal_bytes / 1e6,
        rows_a_day=rate * DAY_SECONDS,
        gb_a_day=days * (kept + for_good),
        gb_kept=days * KEEP_DAYS * kept,
        gb_kept_a_year=days * 365 * for_good,
    )


def parts_table(runs: Sequence[Parts]) -> str:
    """Write the parts as Markdown, a column for each number of consumers."""
    lines = [_line("of one email", *(f"consumers: {each.consumers}" for each in runs))]
    lines += ["|---" + "|--:" * len(runs) + "|"]
    rows: list[tuple[str, str, list[float]]] = [
        ("emails/s of all consumers", ",.0f", [each.rate for each in runs]),
        ("CPU ms of a consumer", ".2f", [each.consumer_ms for each in runs]),
        ("CPU ms of PostgreSQL, to record the event", ".2f", [each.recording_ms for each in runs]),
        ("CPU ms of PostgreSQL, for the rest", ".2f", [each.server_ms for each in runs]),
        ("statements", ".2f", [each.statements for each in runs]),
        ("commits that write", ".3f", [each.commits for each in runs]),
        ("of them to the row of the rate", ".3f", [each.reservations for each in runs]),
        ("bytes of WAL", ",.0f", [each.wal_bytes for each in runs]),
        ("bytes kept", ",.0f", [sum(each.row_bytes.values()) for each in runs]),
    ]
    return "\n".join([*lines, *_rows(rows)])


def needs_table(parts: Parts, rates: Sequence[int] = RATES) -> str:
    """Write what the rates need as Markdown, and what limits first."""
    all_needs = [needs(parts, rate) for rate in rates]
    head = ["", *(f"{each.rate:,}/s" for each in all_needs)]
    lines = [_line(*head), "|---" + "|--:" * len(all_needs) + "|"]
    rows: list[tuple[str, str, list[float]]] = [
        ("consumers, with a core each", ",", [each.processes for each in all_needs]),
        ("cores of PostgreSQL", ",", [each.server_cores for each in all_needs]),
        ("connections", ",", [each.connections for each in all_needs]),
        ("WAL, MB a second", ",.1f", [each.wal_mb for each in all_needs]),
        ("rows a day in each table", ",", [each.rows_a_day for each in all_needs]),
        ("GB a day", ",.0f", [each.gb_a_day for each in all_needs]),
        (f"GB of what is kept {KEEP_DAYS} days", ",.0f", [each.gb_kept for each in all_needs]),
        ("GB of notifications in a year", ",.0f", [each.gb_kept_a_year for each in all_needs]),
    ]
    return "\n".join([*lines, *_rows(rows)])


def limits_text(parts: Parts) -> str:
    """Say how many consumers one core of PostgreSQL feeds, and what limits first."""
    ordered = sorted(parts.limits.items(), key=lambda one: one[1])
    limits = "\n".join(f"- {name}: {rate:,.0f}/s" for name, rate in ordered)
    return (
        f"One core of PostgreSQL feeds {parts.consumers_of_a_core:.1f} consumers with a core each. "
        f"Each of these alone allows so many emails a second, the first limit first:\n\n{limits}"
    )


def _rows(rows: Sequence[tuple[str, str, Sequence[float]]]) -> list[str]:
    return [_line(name, *(format(one, shown) for one in values)) for name, shown, values in rows]


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
