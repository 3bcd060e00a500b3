"""Break lines and run tests in copies of the project in a temporary folder; the working tree stays as it is."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from benchmarks.mutants.mutations import Mutant

ROOT = Path(__file__).resolve().parents[2]
_FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/.+?)(?: - .*)?$", re.MULTILINE)


class Stopped(Exception):
    """Somebody pressed Ctrl-C."""


class Workshop:
    """One copy of the project; one process of pytest at a time runs in it. Safe to stop from another thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._is_stopped = False
        _copy(folder)

    def stop(self) -> None:
        """End what runs here, with all its children; nothing is started any more."""
        with self._lock:
            self._is_stopped = True
            if self._process and self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def pytest(
        self, arguments: Sequence[str], *, timeout: float, **variables: str
    ) -> tuple[int, str]:
        """Run tests; returns pytest's exit status, or -1 after ``timeout`` seconds, and its output.

        Raises Stopped.
        """
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
        with self._lock:
            if self._is_stopped:
                raise Stopped
            self._process = process = subprocess.Popen(
                [*command, "-p", "no:randomly", *arguments],
                cwd=self.folder,
                env={**os.environ, **variables},
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return -1, output
        if self._is_stopped:
            raise Stopped
        return process.returncode, output

    def broken(self, mutant: Mutant) -> _Broken:
        """Return a context in which this copy has the mutant."""
        return _Broken(self.folder / mutant.path, mutant)


class _Broken:
    def __init__(self, path: Path, mutant: Mutant) -> None:
        self._path, self._mutant = path, mutant
        self._source = path.read_bytes()

    def __enter__(self) -> Self:
        self._write(self._mutant.applied(self._source))
        return self

    def __exit__(self, *exc: object) -> None:
        self._write(self._source)

    def _write(self, source: bytes) -> None:
        """Write it, and forget what Python compiled: of two edits in a second it would see one."""
        self._path.write_bytes(source)
        Path(importlib.util.cache_from_source(str(self._path))).unlink(missing_ok=True)


def who_failed(output: str) -> str:
    """Return the first test that an output of pytest names as failed; exits if it names none."""
    if found := _FAILED.search(output):
        return found[1]
    if "while loading conftest" in output:
        return "nothing can be imported"
    raise SystemExit(f"The tests did not run:\n{output[-3000:]}")


def _copy(folder: Path) -> None:
    """Copy what git knows or would add: no environment, no database, no build."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
