"""Our consumer beside its peers, on the same work, in alternating rounds: ``make bench``.

Each message becomes one email of an order with four lines: rendered as HTML and text, sent through SES, deleted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.compare import report
from benchmarks.compare.course import Course, Work
from benchmarks.compare.lineup import ENTRANTS
from benchmarks.compare.trial import Trial, TrialError
from benchmarks.lean_aws import stand_in


def main() -> None:
    """Print one line a trial, then the table; with ``--write`` put it into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--n", type=int, default=2000, help="emails; slow peers get a share of them"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency-ses", type=float, default=60.0, help="milliseconds")
    parser.add_argument("--latency-sqs", type=float, default=10.0, help="milliseconds")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="emails a second that SES allows; 0 is any"
    )
    parser.add_argument("--peers", default="all", help=f"some of {','.join(ENTRANTS)}")
    parser.add_argument("--write", action="store_true", help="into docs/explanation/performance.md")
    options = parser.parse_args()
    if options.write and options.rate:
        parser.error("the tables of the documentation are those without a rate")
    stand_in.keep_off()
    work = Work(
        options.n,
        ses_ms=options.latency_ses,
        sqs_ms=options.latency_sqs,
        ses_rate=options.rate,
    )
    names = _present(list(ENTRANTS) if options.peers == "all" else options.peers.split(","))
    trials = run(work, names, rounds=options.rounds)
    print(report.table(trials))
    if options.write:
        report.write(work, trials)


def run(work: Work, names: list[str], *, rounds: int) -> list[Trial]:
    """Forwards, then backwards, and so on, so that nobody always has the same neighbour."""
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory(prefix="notifier-bench-") as folder, stand_in.running() as aws:
        course = Course(aws, Path(folder), work)
        for number in range(rounds):
            for name in names if number % 2 == 0 else reversed(names):
                try:
                    trial = replace(course.run(name, ENTRANTS[name]), round=number)
                except TrialError as exc:
                    print(f"{name}: {exc}", flush=True)
                    continue
                trials.append(trial)
                _print(trial)
    return trials


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
        f"{trial.entrant:20}", *(f"{name}={value}" for name, value in figures.items()), flush=True
    )


if __name__ == "__main__":
    main()
