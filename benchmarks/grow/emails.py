"""Measure an email's cost as the tables grow: ``make bench-growth``.

Our consumer sends the same emails on a database that holds so many sent ones already: outbox rows, notifications,
attempts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.compare import report
from benchmarks.compare.course import Course, Work, python
from benchmarks.compare.lineup import ENTRANTS
from benchmarks.compare.trial import Trial
from benchmarks.installation import environment
from benchmarks.lean_aws import stand_in

# Their numbers do not meet those of the emails that are sent.
FIRST = 100_000_000


def main() -> None:
    """Print one line a size; with ``--write`` put them into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1000, help="emails")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", default="0,100000,1000000", help="rows in each table")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--write", action="store_true", help="into docs/explanation/performance.md")
    options = parser.parse_args()
    stand_in.keep_off()
    sizes = [int(size) for size in options.sizes.split(",")]
    trials: dict[int, list[Trial]] = {size: [] for size in sizes}
    name = "notifier-postgresql" if options.database == "postgresql" else "notifier"
    with (
        tempfile.TemporaryDirectory(prefix="notifier-growth-") as folder,
        stand_in.running() as aws,
    ):
        courses = {size: _course(aws, Path(folder), options, size) for size in sizes}
        for number in range(options.rounds):
            for size in sizes if number % 2 == 0 else reversed(sizes):
                trial = courses[size].run(name, ENTRANTS[name])
                trials[size].append(trial)
                print(f"{size} rows: {trial.rate:.0f} emails/s, {trial.cpu_ms:.2f} ms", flush=True)
    table = report.growth_table(trials)
    print(table)
    if options.write:
        report.replace_section(report.DOCUMENT, f"growth-{options.database}", table)


def _course(aws: stand_in.StandIn, folder: Path, options: argparse.Namespace, size: int) -> Course:
    """Lay out the course; its database is copied with its rows for each trial."""
    began = time.monotonic()
    (folder / str(size)).mkdir()
    course = Course(aws, folder / str(size), Work(options.n, ses_ms=0, sqs_ms=0))
    if size:
        settings = environment(aws.endpoint, database=course.databases.template(options.database))
        python(settings, "benchmarks.grow.table_rows", "sent", FIRST, size)
        print(f"{size} rows made in {time.monotonic() - began:.0f} s", flush=True)
    return course


if __name__ == "__main__":
    main()
