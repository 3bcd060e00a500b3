"""Keep the consumer of ``make run`` running: start it again when it dies, unless ``make consumer-down`` wants it down.

A consumer in production is started again by systemd, by Docker or by ECS; on a developer's machine by this.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

# Exists while the consumer is to stay down.
DOWN = Path("var/consumer-down")
# Between a death and the next start, so that a program that cannot start does not spin.
PAUSE_SECONDS = 1.0
POLL_SECONDS = 0.2


class Keeper:
    """Runs one program, which is started again after it died."""

    def __init__(self, command: list[str], *, down: Path = DOWN) -> None:
        self._command = command
        self._down = down
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> int:
        """Run until a signal to stop comes; returns the program's last exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        while not self._stopping:
            if self._down.exists():
                self._wait_until_up()
            else:
                self._child = subprocess.Popen(self._command)  # noqa: S603  # the command of the Procfile
                self._watch(self._child)
        return self._child.returncode if self._child else 0

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True

    def _wait_until_up(self) -> None:
        _say("The consumer is down. Start it with: make consumer-up")
        while self._down.exists() and not self._stopping:
            time.sleep(POLL_SECONDS)

    def _watch(self, child: subprocess.Popen[bytes]) -> None:
        while child.poll() is None:
            if self._stopping or self._down.exists():
                child.terminate()
                child.wait()
                return
            time.sleep(POLL_SECONDS)
        if not self._stopping:
            _say(f"The consumer ended with {child.returncode}. It is started again.")
            time.sleep(PAUSE_SECONDS)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(Keeper(sys.argv[1:]).run())
