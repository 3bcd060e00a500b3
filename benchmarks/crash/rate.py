"""Send a backlog under SES's sending limit, which the stub enforces: ``make rate``.

Nobody is told the limit: the consumers learn it from SES. Each limit is tried with each number of processes, and each
pair is one row. Exits with 1 unless nearly all of the limit was used in each of them, no second had more than limit and
burst, and SES never had to say that we are too fast.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import boto3

from benchmarks import process_tree
from benchmarks.aws_stub.allowance import BURST_SHARE
from benchmarks.compare.course import QUEUE, python
from benchmarks.compare.order_events import envelope
from benchmarks.crash.rig import Rig
from benchmarks.crash.soak import BOTO3

GOAL_SHARE = 0.97
# From the first email to the first moment that counts.
SETTLE_SECONDS = 5.0

HEAD = (
    "| limit | processes | emails/s | of the limit | most in a second | too fast | cores | |\n"
    "|--:|--:|--:|--:|--:|--:|--:|---|"
)


@dataclass(frozen=True)
class Result:
    """The emails that SES took within the measured time; ``cores`` is how many the consumers kept busy."""

    limit: float
    processes: int
    mean: float
    worst_second: int
    too_fast: int
    cores: float

    @property
    def is_met(self) -> bool:
        """True if the goals are met."""
        return (
            self.mean >= GOAL_SHARE * self.limit
            and self.worst_second <= self.limit * (1 + BURST_SHARE)
            and not self.too_fast
        )

    def row(self) -> str:
        """Markdown."""
        cells = [
            f"{self.limit:g}/s",
            str(self.processes),
            f"{self.mean:.2f}",
            f"{self.mean / self.limit:.1%}",
            str(self.worst_second),
            str(self.too_fast),
            f"{self.cores:.2f}",
            "met" if self.is_met else "NOT MET",
        ]
        return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--limit", type=_limits, default=[50.0], help="emails a second that SES allows: 14,50,200"
    )
    parser.add_argument(
        "--processes", type=_counts, default=[8], help="of each consumer, forked from one: 1,4,8"
    )
    parser.add_argument(
        "--consumers",
        type=int,
        default=1,
        help="commands that start on their own, at the same time",
    )
    parser.add_argument("--concurrency", default="auto", help="threads of each process")
    parser.add_argument("--client", choices=["lean", "boto3"], default="lean")
    parser.add_argument("--latency-ses", type=float, default=60.0, help="milliseconds")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--folder", type=Path, help="kept; a temporary one unless given")
    options = parser.parse_args()
    print(HEAD, flush=True)
    results = []
    for limit, processes in product(options.limit, options.processes):
        results.append(run(limit, processes, options))
        print(results[-1].row(), flush=True)
    sys.exit(0 if all(result.is_met for result in results) else 1)


def run(limit: float, processes: int, options: argparse.Namespace) -> Result:
    """One row, from a fresh database and an empty queue."""
    with Rig(
        options.folder and options.folder / f"{limit:g}-{processes}",
        database=options.database,
        events=False,
        settings=BOTO3 if options.client == "boto3" else {},
        stub={
            "max_send_rate": limit,
            "burst": limit * BURST_SHARE,
            "ses_seconds": f"{options.latency_ses / 1000},{options.latency_ses / 1000}",
        },
    ) as rig:
        fill(rig, round(limit * (options.seconds + SETTLE_SECONDS + 2)))
        consumers = [
            rig.consumer(f"--concurrency={options.concurrency}", f"--processes={processes}")
            for _ in range(options.consumers)
        ]
        while not rig.control()["accepted"]:
            time.sleep(0.1)
        time.sleep(SETTLE_SECONDS)
        began, busy = time.time(), sum(cpu_seconds(member.pid) for member in consumers)
        time.sleep(options.seconds)
        busy = sum(cpu_seconds(member.pid) for member in consumers) - busy
        times = [mail.time for mail in rig.accepted()]
        within = [moment for moment in times if began <= moment < began + options.seconds]
        return Result(
            limit=limit,
            processes=processes * options.consumers,
            mean=len(within) / options.seconds,
            worst_second=worst_second(times),
            too_fast=rig.control()["too_fast"],
            cores=busy / options.seconds,
        )


def fill(rig: Rig, count: int) -> None:
    """A backlog of published orders, before anybody consumes."""
    python(rig.environment, "benchmarks.grow.table_rows", "published", 0, count)
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    key, secret = (rig.environment[name] for name in names)
    sqs: Any = boto3.client(
        "sqs",
        endpoint_url=rig.endpoint,
        region_name="eu-west-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    for first in range(0, count, 10):
        numbers = range(first, min(first + 10, count))
        entries = [{"Id": str(number), "MessageBody": envelope(number)} for number in numbers]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    sqs.close()


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of the consumer with its processes, so far."""
    return process_tree.usage(pid).cpu_seconds


def worst_second(times: Sequence[float]) -> int:
    """The most emails in any second, wherever it begins."""
    most = first = 0
    for place, moment in enumerate(times):
        while times[first] <= moment - 1:
            first += 1
        most = max(most, place - first + 1)
    return most


def _limits(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _counts(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
