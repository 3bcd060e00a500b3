"""A plugin of pytest that records which tests run which lines, and how long each takes.

``pytest -p benchmarks.mutants.recording``; the environment names the two files that it writes.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

LINES, SECONDS = "MUTANTS_LINES", "MUTANTS_SECONDS"


def pytest_configure(config: pytest.Config) -> None:
    """Begin to record."""
    config.pluginmanager.register(Recorder())


class Recorder:
    """Records until pytest ends."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._failed: set[str] = set()
        self._coverage = coverage.Coverage(
            data_file=os.environ[LINES], include=["emails/*", "queues/*"], config_file=False
        )
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Say to whom the lines belong that run from now on."""
        self._coverage.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add what set-up, call and tear-down took."""
        self._seconds[report.nodeid] += report.duration
        if report.failed:
            self._failed.add(report.nodeid)

    def pytest_unconfigure(self) -> None:
        """Write it down."""
        self._coverage.stop()
        self._coverage.save()
        told = {"seconds": self._seconds, "failed": sorted(self._failed)}
        Path(os.environ[SECONDS]).write_text(json.dumps(told))
