"""Measure the start of the zip of ``make lambda``, and an email once it has started: ``make lambda-start``.

Each start is a bare interpreter of its own with nothing but the unpacked zip, as Lambda has it, on one core; database
and AWS are on this machine. A function has a whole core from 1,769 MB of memory on, and a part of one below.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.compare import order_events
from benchmarks.crash.fleet import ROOT
from benchmarks.crash.rig import Rig, print_rows
from infra import lambda_package

RUNTIME = ROOT / "tests" / "support" / "aws" / "lambda_runtime.py"
BATCH = 10
# The first invocation makes clients and connections; the second has them.
WARM = 5


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="notifier-lambda-") as folder:
        task = Path(folder) / "task"
        output = lambda_package.build(Path(folder) / "notifier.zip")
        with zipfile.ZipFile(output) as archive:
            archive.extractall(task)
        with Rig(None, database=options.database) as rig:
            starts = [_start(task, rig.environment) for _ in range(options.starts)]
        print_rows({"zip": f"{output.stat().st_size / 1e6:.1f} MB"} | _figures(starts))


def _start(task: Path, environment: dict[str, str]) -> list[dict[str, float]]:
    """Return what the runtime said of the import, the first invocation, the warm ones and a batch."""
    events = [_event(1) for _ in range(1 + WARM)] + [_event(BATCH)]
    run = subprocess.run(
        [sys.executable, "-I", "-S", str(RUNTIME), str(task)],
        input="".join(json.dumps(event) + "\n" for event in events),
        env=environment | {"LOG_LEVEL": "WARNING"},
        cwd="/",
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_on_one_core,
    )
    said = [json.loads(line) for line in run.stdout.splitlines()]
    if any(one.get("answer", {}).get("batchItemFailures") for one in said):
        sys.exit("a message failed")
    return said


def _figures(starts: list[list[dict[str, float]]]) -> dict[str, str]:
    warm = [one["seconds"] for said in starts for one in said[2 : 2 + WARM]]
    return {
        "start: import and set-up": _median(said[0]["seconds"] for said in starts),
        "first invocation, 1 email": _median(said[1]["seconds"] for said in starts),
        "warm invocation, 1 email": _median(warm),
        f"warm invocation, {BATCH} emails": _median(said[-1]["seconds"] for said in starts),
        "resident memory at most": f"{max(said[-1]['megabytes'] for said in starts):.0f} MB",
    }


def _median(seconds: Iterator[float] | list[float]) -> str:
    return f"{statistics.median(seconds):.3f} s"


def _event(count: int) -> dict[str, Any]:
    return {"Records": [_record() for _ in range(count)]}


def _record() -> dict[str, Any]:
    number = uuid.uuid4().int % 10_000_000
    body = json.loads(order_events.envelope(number)) | {"id": str(uuid.uuid4())}
    return {
        "messageId": str(uuid.uuid4()),
        "receiptHandle": "none",
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:notifier-orders",
    }


def _on_one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


if __name__ == "__main__":
    main()
