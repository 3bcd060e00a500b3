"""The trials as a table: medians with their ranges, and ratios taken within one round."""

from __future__ import annotations

import math
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from benchmarks.compare import plot
from benchmarks.compare.course import Work
from benchmarks.compare.lineup import ENTRANTS, EVERY_ROUND, YARDSTICKS
from benchmarks.compare.trial import Trial
from benchmarks.lean_aws.stand_in import ROOT

DOCUMENT = ROOT / "docs" / "explanation" / "performance.md"
README = ROOT / "README.md"
PICTURE = ROOT / "docs" / "images" / "performance.svg"

RATES = (14, 200, 1000)
# A core that is busier than this has no time for a peak.
FULL = 0.7

_HEAD = [
    "",
    "emails/s",
    "CPU ms per email",
    *YARDSTICKS,
    "API calls per email",
    "memory MB",
    "lost",
    "double",
    "not deleted",
]


def table(trials: Sequence[Trial]) -> str:
    """Markdown; whoever did not take part in any round has no line."""
    lines = ["| " + " | ".join(_HEAD) + " |", "|---" + "|--:" * (len(_HEAD) - 1) + "|"]
    for name in _names(trials):
        mine = [trial for trial in trials if trial.entrant == name]
        cells = [
            ENTRANTS[name].title,
            _range([trial.rate for trial in mine], digits=0),
            _range([trial.cpu_ms for trial in mine], digits=2),
            *(ratio(mine, trials, yardstick) for yardstick in YARDSTICKS.values()),
            f"{statistics.median(trial.calls for trial in mine):.2f}",
            f"{statistics.median(trial.memory_mb for trial in mine):.0f}",
            str(sum(trial.lost for trial in mine)),
            str(sum(trial.duplicates for trial in mine)),
            str(sum(trial.undeleted for trial in mine)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def tls_table(trials: Sequence[Trial]) -> str:
    """Markdown: HTTP and HTTPS side by side, and what HTTPS costs a call."""
    head = (
        "|  | emails/s, HTTP | HTTPS | CPU ms per email, HTTP | HTTPS | µs more per call "
        "| of boto3 alone, HTTPS |\n|---|--:|--:|--:|--:|--:|--:|"
    )
    return "\n".join([head, *(_tls_line(name, trials) for name in _names(trials))])


def _tls_line(name: str, trials: Sequence[Trial]) -> str:
    sides = [
        [trial for trial in trials if trial.entrant == name and trial.tls is tls]
        for tls in (False, True)
    ]
    if not all(sides):
        return f"| {ENTRANTS[name].title} | – | – | – | – | – | – |"
    plain, secret = (statistics.median(trial.cpu_ms for trial in side) for side in sides)
    calls = statistics.median(trial.calls for trial in sides[1])
    cells = [
        ENTRANTS[name].title,
        *(_range([trial.rate for trial in side], digits=0) for side in sides),
        *(_range([trial.cpu_ms for trial in side], digits=2) for side in sides),
        f"{(secret - plain) / calls * 1000:.0f}",
        ratio(sides[1], [trial for trial in trials if trial.tls], YARDSTICKS["of boto3 alone"]),
    ]
    return f"| {' | '.join(cells)} |"


def ratios(number: int, trials: Sequence[Trial]) -> str:
    """Return the line of one round: what each entrant reached of boto3 alone in it."""
    ceiling = YARDSTICKS["of boto3 alone"]
    parts = []
    for trial in trials:
        beside = [each for each in trials if (each.round, each.tls) == (number, trial.tls)]
        if trial.round == number:
            over = " over HTTPS" if trial.tls else ""
            parts.append(f"{trial.entrant}{over} {ratio([trial], beside, ceiling)}")
    return f"round {number + 1}, of boto3 alone: {', '.join(parts)}"


def conditions(day: date, *, emails: int, rounds: int) -> str:
    """Say when, from which commit and on what was measured."""
    git = ["git", "describe", "--always", "--dirty", "--abbrev=7"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    machine = f"{os.cpu_count()} virtual cores, Python {platform.python_version()}"
    return (
        f"Measured on {day} at `{commit or 'no commit'}` with `N={emails} ROUNDS={rounds}`, {machine}, nothing else "
        f"beside. {len(EVERY_ROUND)} consumers ran in every round, the others in the first."
    )


def ratio(mine: Sequence[Trial], trials: Sequence[Trial], other: str) -> str:
    """Return the ratio of two rates, taken within one round: neighbours in time share what else the machine does."""
    others = {trial.round: trial.rate for trial in trials if trial.entrant == other}
    ratios = [trial.rate / others[trial.round] for trial in mine if trial.round in others]
    return f"{statistics.median(ratios):.2f}" if ratios else "–"


def write(work: Work, trials: Sequence[Trial]) -> None:
    """Put the table between its markers in the document; with latencies also draw the picture."""
    if any(trial.tls for trial in trials):
        replace_section(DOCUMENT, "tls", tls_table(trials))
        return
    replace_section(DOCUMENT, f"peers-{work.ses_ms:g}-{work.sqs_ms:g}", table(trials))
    if work.waits:
        ours = [trial.cpu_ms for trial in trials if trial.entrant == "notifier-postgresql"]
        if ours:
            replace_section(DOCUMENT, "sizing", sizing_table(statistics.median(ours), work.ses_ms))
        bars = [
            plot.Bar(
                title=ENTRANTS[name].title.replace("*", ""),
                value=statistics.median(trial.rate for trial in trials if trial.entrant == name),
                is_ours=ENTRANTS[name].is_ours,
                is_ceiling=name.startswith("boto3"),
            )
            for name in _names(trials)
        ]
        title = f"Emails a second on one core, SES answering in {work.ses_ms:g} ms"
        PICTURE.write_text(plot.svg(title, bars))
        for document in (DOCUMENT, README):
            path = os.path.relpath(PICTURE, document.parent)
            replace_section(document, "picture", f"![{title}]({path})")


def sizing_table(cpu_ms: float, ses_ms: float) -> str:
    """Markdown: what the measured figures mean for some rates that SES allows."""
    head = "| SES allows | calls to SES at once | cores | processes |\n|--:|--:|--:|--:|"
    lines = []
    for rate in RATES:
        cores = rate * cpu_ms / 1000
        processes = math.ceil(cores / FULL)
        lines.append(f"| {rate:,}/s | {rate * ses_ms / 1000:.1f} | {cores:.1f} | {processes} |")
    return "\n".join([head, *lines])


def growth_table(trials: Mapping[int, Sequence[Trial]]) -> str:
    """Markdown: one line for each number of rows."""
    head = "| emails sent before | emails/s | CPU ms per email |\n|--:|--:|--:|"
    lines = [
        f"| {size:,} | {_range([trial.rate for trial in mine], digits=0)} "
        f"| {_range([trial.cpu_ms for trial in mine], digits=2)} |"
        for size, mine in trials.items()
    ]
    return "\n".join([head, *lines])


def replace_section(document: Path, name: str, text: str) -> None:
    """Between ``<!-- name -->`` and ``<!-- end -->``; raises ValueError where there is no such section."""
    pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    old = document.read_text()
    if not pattern.search(old):
        raise ValueError(f"{document} has no section {name}")
    document.write_text(pattern.sub(lambda found: f"{found[1]}{text}\n{found[2]}", old))


def _names(trials: Sequence[Trial]) -> list[str]:
    took_part = {trial.entrant for trial in trials}
    return [name for name in ENTRANTS if name in took_part]


def _range(values: Sequence[float], *, digits: int) -> str:
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f}–{max(values):.{digits}f})"
