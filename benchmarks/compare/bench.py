"""Our consumer beside its peers, on the same work, in alternating rounds: ``make bench``.

Each message becomes one email of an order with four lines: rendered as HTML and text, sent through SES, deleted. Exits
with 1 if a consumer of ours failed, lost an email, sent one twice or left a message in its queue.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.compare import report
from benchmarks.compare.course import Course, Work
from benchmarks.compare.lineup import ENTRANTS, EVERY_ROUND, OVER_TLS
from benchmarks.compare.trial import Trial, TrialError
from benchmarks.lean_aws import stand_in


def main() -> None:
    """Print one line a trial, then the tables; with ``--write`` put them into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--n", type=int, default=3000, help="emails; slow peers get a share of them"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=3,
        help=f"of {', '.join(EVERY_ROUND)}; of all others one, over TLS two at most",
    )
    parser.add_argument(
        "--tables",
        default="60-10,0-0,60-10-tls",
        help="milliseconds that SES and SQS take, for each table; those over TLS end with -tls",
    )
    parser.add_argument(
        "--rate", type=float, default=0.0, help="emails a second that SES allows; 0 is any"
    )
    parser.add_argument(
        "--peers", default="all", help=f"some of {','.join(ENTRANTS)}, in every round"
    )
    parser.add_argument("--write", action="store_true", help="into docs/explanation/performance.md")
    options = parser.parse_args()
    if options.write and options.rate:
        parser.error("the tables of the documentation are those without a rate")
    stand_in.keep_off()
    names = _present(list(ENTRANTS) if options.peers == "all" else options.peers.split(","))
    steady = EVERY_ROUND if options.peers == "all" else names
    conditions = report.conditions(
        datetime.now(UTC).date(), emails=options.n, rounds=options.rounds
    )
    print(conditions, flush=True)
    began, is_whole = time.monotonic(), True
    for table in options.tables.split(","):
        ses_ms, sqs_ms, *suffix = table.split("-")
        work = Work(options.n, ses_ms=float(ses_ms), sqs_ms=float(sqs_ms), ses_rate=options.rate)
        taking_part = [name for name in names if name in OVER_TLS] if suffix else names
        rounds = [
            [name for name in taking_part if number == 0 or name in steady]
            for number in range(min(2, options.rounds) if suffix else options.rounds)
        ]
        trials = run(work, rounds, tls=bool(suffix))
        print(f"\n{report.tls_table(trials) if suffix else report.table(trials)}\n", flush=True)
        is_whole &= all_whole(trials, rounds, per_round=2 if suffix else 1)
        if options.write:
            report.write(work, trials)
            report.replace_section(report.DOCUMENT, "measured", conditions)
    print(f"{time.monotonic() - began:.0f} s, {'all whole' if is_whole else 'NOT WHOLE'}")
    sys.exit(0 if is_whole else 1)


def run(work: Work, rounds: list[list[str]], *, tls: bool) -> list[Trial]:
    """Forwards, then backwards, and so on, so that nobody always has the same neighbour.

    With ``tls`` each runs twice, over HTTP and over HTTPS.
    """
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory(prefix="notifier-bench-") as folder, stand_in.running() as aws:
        course = Course(aws, Path(folder), work)
        for number, names in enumerate(rounds):
            entries = [
                (name, over) for name in names for over in ((False, True) if tls else (False,))
            ]
            for name, over_tls in entries if number % 2 == 0 else reversed(entries):
                try:
                    trial = course.run(name, ENTRANTS[name], tls=over_tls)
                except TrialError as exc:
                    print(f"{name}: {exc}", flush=True)
                    continue
                trials.append(replace(trial, round=number, tls=over_tls))
                _print(trials[-1])
            print(report.ratios(number, trials), flush=True)
    return trials


def all_whole(trials: list[Trial], rounds: list[list[str]], *, per_round: int) -> bool:
    """Return True if ours ended all their trials, and each email came once."""
    ours = [trial for trial in trials if ENTRANTS[trial.entrant].is_ours]
    expected = per_round * sum(ENTRANTS[name].is_ours for names in rounds for name in names)
    return len(ours) == expected and all(trial.is_whole for trial in ours)


def _present(names: list[str]) -> list[str]:
    if unknown := set(names) - set(ENTRANTS):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(ENTRANTS)}")
    for name in names:
        if reason := ENTRANTS[name].why_not():
            print(f"skipped: {name} ({reason})")
    return [name for name in names if not ENTRANTS[name].why_not()]


def _print(trial: Trial) -> None:
    figures = {
        name: f"{value:.2f}" if isinstance(value, float) else value
        for name, value in asdict(trial).items()
        if name != "entrant"
    }
    print(
        f"{trial.entrant:20}",
        *(f"{name}={value}" for name, value in figures.items()),
        "" if trial.is_whole else "NOT WHOLE",
        flush=True,
    )


if __name__ == "__main__":
    main()
