"""Python programs as processes of their own that find what they import imported: a fifth of a second instead of two.

Python's fork server imports what is named here once and forks every process from there. Nothing of the project is
among it unless ``preload`` names it: settings and code are read by each process itself.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_LIBRARIES = [
    # pytest's script: every process imports it again otherwise.
    "__main__",
    "boto3",
    "botocore.session",
    "cryptography.hazmat.primitives.asymmetric.padding",
    "cryptography.x509",
    "css_inline",
    "django.contrib.admin.views.main",
    "django.contrib.staticfiles.finders",
    "django.core.management",
    "django.core.servers.basehttp",
    "django.db.backends.sqlite3.base",
    "django.db.migrations.migration",
    "django.db.models",
    "django.forms",
    "django.template",
    "django_ses",
    "environ",
    "html2text",
    "psycopg",
    "pydantic.json_schema",
    "pydantic.main",
    "smtplib",
    "tests.support.aws.botocore_files",
    "whitenoise",
]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(_LIBRARIES)


_preloaded: list[str] = []


def preload(*modules: str) -> None:
    """Import these as well, in the environment of the first process: to be called before, and where no code changes."""
    _preloaded[:] = modules
    _CONTEXT.set_forkserver_preload([*_LIBRARIES, *modules])


class WarmProcess:
    """Runs what ``python`` would run with these arguments, a file or ``-m`` and a module; it prints to the log's end.

    Its environment is this one alone, but settings that were preloaded have been read already. Its methods are those
    of ``subprocess.Popen``.
    """

    def __init__(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], log: Path
    ) -> None:
        log.touch()
        self._process = _CONTEXT.Process(
            target=_run, args=(list(arguments), dict(environment), str(log), _preloaded)
        )
        self._process.start()
        self.pid: int = self._process.pid or 0

    def poll(self) -> int | None:
        """Return the exit code, or minus the signal that ended the process; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code; raises TimeoutExpired."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal; a process that has ended is left alone."""
        if self._process.exitcode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def _run(arguments: list[str], environment: dict[str, str], log: str, preloaded: list[str]) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    # The server says nothing of what it could not import.
    for name in preloaded:
        import_module(name)
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(sys.argv[0], run_name="__main__")
