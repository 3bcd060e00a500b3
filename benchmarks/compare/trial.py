"""One entrant does the work once, and is measured from outside.

The gate of the queue is closed while it starts, so the figures are those of a process that runs: it warms up on some
messages of its own, then the clock starts with the gate, and ends with the last delete.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import process_tree
from benchmarks.lean_aws.stand_in import ROOT, StandIn, pin

Fill = Callable[[int, int], None]

START_SECONDS = 60.0
STUCK_SECONDS = 20.0
SETTLE_SECONDS = 1.0
# The numbers of orders to warm up on; those that count begin with 0.
WARM_UP_FIRST = 9_000_000
# So many, or a tenth of those that count: who has hundreds of connections opens them before the clock starts.
WARM_UP = 32


class TrialError(Exception):
    """The entrant did not do the work; says what of it is missing."""


@dataclass(frozen=True)
class Trial:
    """The result of one run. ``calls`` count those to SQS and SES; memory is the highest sum over its processes.

    ``throttled`` is how often SES said that it is too fast.
    """

    entrant: str
    emails: int
    rate: float
    cpu_ms: float
    calls: float
    memory_mb: float
    lost: int
    duplicates: int
    undeleted: int
    stand_in_busy: float
    throttled: int = 0
    round: int = 0
    tls: bool = False

    @property
    def is_whole(self) -> bool:
        """True if each message became exactly one email and was deleted."""
        return not (self.lost or self.duplicates or self.undeleted)


def run(
    name: str,
    command: tuple[str, ...],
    environment: dict[str, str],
    *,
    aws: StandIn,
    fill: Fill,
    emails: int,
    log: Path,
    grace: float,
    cores: set[int],
    before_clock: Callable[[int], None] = lambda pid: None,
) -> Trial:
    """Start it, measure it, end it; ``fill(first, count)`` puts orders into the queue. Raises TrialError."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            preexec_fn=pin(cores),
        )
    try:
        _warm_up(aws, process, fill, max(WARM_UP, emails // 10))
        fill(0, emails)
        before_clock(process.pid)
        return _measure(name, aws, process, emails)
    except TrialError as exc:
        last = log.read_text(errors="replace").splitlines()[-12:]
        raise TrialError("\n".join([str(exc), *last])) from None
    finally:
        _end(process, grace)


def _warm_up(aws: StandIn, process: subprocess.Popen[bytes], fill: Fill, emails: int) -> None:
    _wait(lambda: bool(aws.standing()["polled"]), process, "did not start to receive")
    fill(WARM_UP_FIRST, emails)
    aws.open()
    _wait(lambda: aws.standing()["deleted"] >= emails, process, "did not warm up")
    aws.close()
    # The processes of one that has several need not have started together.
    time.sleep(SETTLE_SECONDS)


def _measure(name: str, aws: StandIn, process: subprocess.Popen[bytes], emails: int) -> Trial:
    before, stand_in_before = process_tree.usage(process.pid), aws.standing()["cpu_seconds"]
    aws.open()
    peak = before.memory_mb
    moved_at, moved = time.monotonic(), 0
    while (standing := aws.standing())["deleted"] < emails:
        time.sleep(0.1)
        now = process_tree.usage(process.pid)
        peak = max(peak, now.memory_mb)
        if standing["deleted"] > moved:
            moved_at, moved = time.monotonic(), standing["deleted"]
        if process.poll() is not None or time.monotonic() - moved_at > STUCK_SECONDS:
            break
    after = process_tree.usage(process.pid)
    done = max(1, standing["deleted"])
    seconds = standing["seconds"] or 1.0
    return Trial(
        entrant=name,
        emails=emails,
        rate=done / seconds,
        cpu_ms=(after.cpu_seconds - before.cpu_seconds) * 1000 / done,
        calls=sum(standing["calls"].values()) / done,
        memory_mb=max(peak, after.memory_mb),
        lost=emails - standing["distinct"],
        duplicates=standing["accepted"] - standing["distinct"],
        undeleted=emails - standing["deleted"],
        stand_in_busy=(standing["cpu_seconds"] - stand_in_before) / seconds,
        throttled=standing["throttled"],
    )


def _wait(claim: Callable[[], bool], process: subprocess.Popen[bytes], failure: str) -> None:
    until = time.monotonic() + START_SECONDS
    while not claim():
        if process.poll() is not None or time.monotonic() > until:
            raise TrialError(failure)
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes], grace: float) -> None:
    """Send SIGTERM; what has not ended after so many seconds is killed with all its children."""
    children = process_tree.members(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace)
    for pid in children:
        process_tree.kill(pid)
    process.wait()
