"""The benchmarks' stub of AWS, for tests that send hundreds of emails: the local AWS sends a handful a second."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.request import urlopen

import pytest

from benchmarks.aws_stub.acceptances import Acceptance
from benchmarks.aws_stub.ses import EVENTS_QUEUE
from benchmarks.crash.judge import read_acceptances
from tests.support.aws.local_aws import ROOT, bare_environment, client_of
from tests.support.processes import Platform


class StubAws:
    """``python -m benchmarks.aws_stub`` on a free port."""

    def __init__(self, folder: Path) -> None:
        self._accepted = folder / "accepted"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.aws_stub", f"--acceptances={self._accepted}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.endpoint = self._process.stdout.readline().strip()

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment that a process of ours needs to use this AWS."""
        return bare_environment() | {"AWS_ENDPOINT_URL": self.endpoint}

    def client(self, service: Literal["sqs"]) -> Any:
        """A boto3 client."""
        return client_of(service, self.endpoint)

    def set_faults(self, **rates: float) -> None:
        """Set the rates of the faults of ``benchmarks.aws_stub.faults``."""
        with urlopen(f"{self.endpoint}/control", json.dumps(rates).encode(), timeout=10):
            pass

    def count(self, fault: str) -> int:
        """Return how often this fault has happened."""
        with urlopen(f"{self.endpoint}/control", timeout=10) as answer:
            return int(json.load(answer)["faults"].get(fault, 0))

    def accepted(self) -> list[Acceptance]:
        """Return the emails that SES took, in its order."""
        return read_acceptances(self._accepted)

    def stop(self) -> None:
        """End it and wait."""
        self._process.terminate()
        self._process.communicate(timeout=10)


@pytest.fixture
def fast_platform(transactional_db: None, tmp_path: Path) -> Iterator[Platform]:
    """A platform on a stub of its own, with its queues made, and nothing in them."""
    aws = StubAws(tmp_path)
    platform = Platform(aws, tmp_path)
    # The stub knows where SES's events go by this name.
    platform.environment["QUEUE_SES_EVENTS"] = EVENTS_QUEUE
    platform.provision()
    yield platform
    platform.kill_all()
    aws.stop()
