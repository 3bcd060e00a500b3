"""Processes that are killed, frozen and stopped at random, and started again at once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

# queues.threads.stopping.HUNG; its package needs Django set up.
HUNG = 75
ROOT = Path(__file__).resolve().parents[2]
PAUSE_SECONDS = (2.0, 5.0)
FREEZE_SECONDS = (2.0, 12.0)
# SIGTERM to exit is 25 s at most.
STOP_SECONDS = 30.0


class Process(Protocol):
    """The part of ``subprocess.Popen`` that a member needs."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit code; None while the process runs."""

    def send_signal(self, number: int, /) -> None:
        """Send a signal; a process that has ended is left alone."""

    def wait(self, timeout: float | None = None) -> int:
        """Raises ``subprocess.TimeoutExpired``."""


class Start(Protocol):
    """Runs what ``python`` would run with these arguments; what that prints is added to the log."""

    def __call__(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], log: Path
    ) -> Process:
        """Start a process with these arguments; it runs on return."""


def cold(
    arguments: Sequence[str], *, environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start a process as production does: the interpreter, then every import."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=dict(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
        )


class Member:
    """One process of the fleet; what it and its successors print goes to one file."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        start: Start = cold,
    ) -> None:
        self.thaws_at = 0.0
        self.crashes = 0
        self._arguments = arguments
        self._how = start
        self._environment = environment
        self._log = log
        self._expected: set[int] = set()
        self._process = self._start()

    @property
    def pid(self) -> int:
        """The id of the process that runs now."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Return the exit code; None while the process runs."""
        return self._process.poll()

    @property
    def is_done(self) -> bool:
        """True if the process ended by itself with exit code 0."""
        return self._process.poll() == 0 and not self._expected

    def signal(self, number: signal.Signals) -> None:
        """SIGKILL and SIGTERM lead to a restart, see ``look_after``."""
        if number in (signal.SIGKILL, signal.SIGTERM):
            # HUNG: it ended in time although something hangs.
            self._expected = {-signal.SIGKILL, -signal.SIGTERM, 0, HUNG}
        self._process.send_signal(number)

    def look_after(self) -> None:
        """Thaw it when its time is over; start it again where it ended and was not done."""
        if self.thaws_at and time.monotonic() > self.thaws_at:
            self.thaws_at = 0.0
            self._process.send_signal(signal.SIGCONT)
        code = self._process.poll()
        if code is None or self.is_done:
            return
        self.crashes += code not in self._expected
        self._expected = set()
        self.thaws_at = 0.0
        self._process = self._start()

    def output(self) -> str:
        """Return what the process and its predecessors have printed."""
        return self._log.read_text()

    def ask_to_end(self) -> None:
        """SIGTERM, also to a frozen one."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """End the process for good, at the end of a trial and after ``ask_to_end``."""
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def _start(self) -> Process:
        return self._how(self._arguments, environment=self._environment, log=self._log)


class Chaos:
    """Picks, every few seconds, a member and what happens to it."""

    def __init__(self, members: Sequence[Member], *, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self._members = members
        self._random = random.Random(seed)  # noqa: S311  # no secret
        self._next = time.monotonic() + PAUSE_SECONDS[1]

    def step(self) -> None:
        """Strike if it is time to."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._random.uniform(*PAUSE_SECONDS)
        living = [member for member in self._members if not member.is_done]
        member = self._random.choice(living)
        act = self._random.choices(["killed", "frozen", "stopped"], weights=[80, 12, 8])[0]
        self.counts[act] += 1
        if act == "killed":
            member.signal(signal.SIGKILL)
        elif act == "stopped":
            member.signal(signal.SIGTERM)
        elif not member.thaws_at:
            member.signal(signal.SIGSTOP)
            member.thaws_at = time.monotonic() + self._random.uniform(*FREEZE_SECONDS)
