"""Show where the CPU time of one email goes: ``make bench-profile``, or ``python -m benchmarks.profile.consumer``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.compare import report
from benchmarks.compare.course import Course, Work
from benchmarks.compare.lineup import Entrant
from benchmarks.compare.trial import Trial
from benchmarks.lean_aws import stand_in

# What the stages of ``profiled`` belong to, by how their names begin; the ORM's share is in those of the database.
PARTS = {
    "render subject, HTML and text": ("render",),
    "make the MIME message": ("send: MIME",),
    "call SES": ("send: django-ses", "botocore: Send"),
    "receive from SQS, delete": ("receive from SQS", "delete from SQS", "botocore: "),
    "database": (
        *("SQL: ", "notification", "claim", "fence", "accept", "mark handled", "limiter"),
        "close connection",
    ),
    "read and check the envelope": ("read the envelope",),
    "log": ("log",),
}


def main() -> None:
    """Print the totals without the meter, then one line a stage with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1000, help="emails")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--latency-ses", type=float, default=0.0, help="milliseconds")
    parser.add_argument("--latency-sqs", type=float, default=0.0, help="milliseconds")
    parser.add_argument("--ses", choices=["v1", "v2"], default="v2")
    parser.add_argument(
        "--client", choices=["lean", "boto3"], default="lean", help="of SQS and SES v2"
    )
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--totals-only", action="store_true", help="without the meter")
    parser.add_argument("--write", action="store_true", help="into docs/explanation/performance.md")
    options = parser.parse_args()
    stand_in.keep_off()
    arguments = ("consume_queue", "orders", f"--concurrency={options.concurrency}")
    plain = Entrant(
        title="",
        command=(sys.executable, "manage.py", *arguments),
        environment=_clients(options.ses, options.client),
        database=options.database,
    )
    work = Work(options.n, ses_ms=options.latency_ses, sqs_ms=options.latency_sqs)
    with (
        tempfile.TemporaryDirectory(prefix="notifier-profile-") as folder,
        stand_in.running() as aws,
    ):
        course = Course(aws, Path(folder), work)
        _print_totals("without the meter", course.run("plain", plain))
        if options.totals_only:
            return
        table = _profile(course, plain, arguments, Path(folder) / "figures.json")
    print(table)
    if options.write:
        report.replace_section(report.DOCUMENT, "profile", table)


def parts_table(sums: dict[str, list[int]], trial: Trial) -> str:
    """Markdown: the own times of all stages, in parts; what no stage counted is the last line."""
    parts = dict.fromkeys(PARTS, 0.0)
    for name, values in sums.items():
        for part, beginnings in PARTS.items():
            if name.startswith(beginnings):
                parts[part] += values[1] / trial.emails / 1_000_000
                break
    parts["the rest"] = trial.cpu_ms - sum(parts.values())
    lines = [f"| {part} | {milliseconds:.2f} |" for part, milliseconds in parts.items()]
    total = f"| **together** | **{trial.cpu_ms:.2f}** |"
    return "\n".join(["| | CPU ms per email |", "|---|--:|", *lines, total])


def _clients(ses: str, client: str) -> dict[str, str]:
    version_2 = ses == "v2"
    return {
        "USE_SES_V2": "on" if version_2 else "off",
        "SES_CLIENT": client if version_2 else "boto3",
        "SQS_CLIENT": client,
    }


def _profile(course: Course, plain: Entrant, arguments: tuple[str, ...], figures: Path) -> str:
    metered = replace(
        plain,
        command=(sys.executable, "-m", "benchmarks.profile.metered", *arguments),
        # It ends by SIGTERM after its last long poll, and only then writes.
        environment={**plain.environment, "PROFILE_FILE": str(figures), "QUEUE_WAIT_SECONDS": "1"},
    )
    # What came before, the first messages and the making of clients, is not counted.
    trial = course.run("metered", metered, before_clock=lambda pid: os.kill(pid, signal.SIGUSR1))
    _print_totals("with the meter", trial)
    sums = json.loads(figures.read_text())
    _print_stages(sums, trial)
    return parts_table(sums, trial)


def _print_totals(when: str, trial: Trial) -> None:
    print(
        f"{when}: {trial.rate:.0f} emails/s, {trial.cpu_ms:.2f} ms of CPU and {trial.calls:.2f} API calls "
        f"per email, {trial.memory_mb:.0f} MB; lost {trial.lost}, double {trial.duplicates}"
    )


def _print_stages(sums: dict[str, list[int]], trial: Trial) -> None:
    print(f"{'per email':42}{'calls':>8}{'own µs':>9}{'whole µs':>10}{'wall µs':>10}")
    for name, values in sorted(sums.items(), key=lambda item: -item[1][1]):
        calls, own, whole, wall = (value / trial.emails for value in values)
        if own >= 1000:
            print(f"{name:42}{calls:8.2f}{own / 1000:9.0f}{whole / 1000:10.0f}{wall / 1000:10.0f}")
    counted = sum(values[1] for values in sums.values()) / trial.emails / 1000
    print(f"{'outside these stages':50}{trial.cpu_ms * 1000 - counted:9.0f}")


if __name__ == "__main__":
    main()
