"""Start ``benchmarks.lean_aws`` beside the work that is measured, and talk to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# What is measured has a core for itself, so figures are per core; stand-in, harness and PostgreSQL share the other.
_CORES = sorted(os.sched_getaffinity(0))
HARNESS_CORE, WORK_CORE = {_CORES[0]}, {_CORES[-1]}
ALL_CORES = HARNESS_CORE | WORK_CORE


class StandIn:
    """The stand-in as the harness sees it; it serves HTTP, and HTTPS with a certificate of its own."""

    def __init__(self, endpoint: str, tls_endpoint: str, ca_bundle: str) -> None:
        self.endpoint = endpoint
        self.tls_endpoint = tls_endpoint
        self.ca_bundle = ca_bundle

    def begin(
        self,
        queues: Sequence[str],
        *,
        ses_ms: float,
        sqs_ms: float,
        ses_rate: float = 0,
        tls: bool = False,
    ) -> None:
        """Forget the last run; these queues are empty, and their gate is closed. Rate 0: SES allows any."""
        latencies = {"ses_ms": ses_ms, "sqs_ms": sqs_ms}
        self._control({"begin": list(queues), "ses_rate": ses_rate, "tls": tls} | latencies)
        self.close()

    def put(self, queue: str, bodies: Sequence[str]) -> None:
        """Fill a queue."""
        for start in range(0, len(bodies), 500):
            self._control({"put": {queue: bodies[start : start + 500]}})

    def open(self) -> None:
        """Let receives find what is there; the clock starts, and all is counted anew."""
        self._control({"open": True})

    def close(self) -> None:
        """Receives find nothing."""
        self._control({"open": False})

    def standing(self) -> dict[str, Any]:
        """The counts so far, see ``lean_aws.state``."""
        return self._control(None)

    def _control(self, order: dict[str, Any] | None) -> dict[str, Any]:
        body = None if order is None else json.dumps(order).encode()
        with urllib.request.urlopen(f"{self.endpoint}/control", body, timeout=60) as answer:  # noqa: S310  # our own
            found: dict[str, Any] = json.load(answer)
        return found


@contextmanager
def running() -> Iterator[StandIn]:
    """A stand-in for the time of the block."""
    with (
        tempfile.TemporaryDirectory(prefix="notifier-aws-") as folder,
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.lean_aws", f"--tls={folder}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=pin(HARNESS_CORE),
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101  # a pipe was asked for
        try:
            yield StandIn(*process.stdout.readline().split())
        finally:
            process.terminate()


def keep_off() -> None:
    """Leave the core that is measured to what is measured: for this process and what it starts."""
    pin(HARNESS_CORE)()


def pin(cores: set[int]) -> Callable[[], None]:
    """Return a ``preexec_fn`` that keeps the process and all that it starts on these cores."""
    return lambda: os.sched_setaffinity(0, cores)
