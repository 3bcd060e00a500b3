"""The product as it would be deployed, but for its AWS: its environment, and a fresh database with real migrations."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from functools import cache, cached_property
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks.stand_in import ROOT
from tests import postgres

QUEUE = "notifier-orders"
OURS = ("AWS_", "QUEUE_", "SES_", "USE_SES", "SANDBOX", "FAILPOINTS", "DATABASE_URL", "DEBUG")


def environment(endpoint: str, *, database: str, **settings: str) -> dict[str, str]:
    """Nothing of the caller's own settings; no rate is in the way."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return (
        kept
        | {
            "DJANGO_SETTINGS_MODULE": "notifier.settings",
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "benchmark-" + "x" * 50,
            "PYTHONUNBUFFERED": "1",
            "DATABASE_URL": database,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "SES_FROM_EMAIL": "Notifier Shop <shop@example.com>",
            "SES_MAX_SEND_RATE": "100000",
        }
        | settings
    )


class Databases:
    """Fresh databases with all tables: migrated once, then copied. Both kinds live in the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = (f"{folder.name}_{number}".replace("-", "_") for number in count())
        self._template_name = next(self._names)

    def fresh(self, kind: str) -> str:
        """The URL of a new one, ``sqlite`` or ``postgresql``."""
        name = next(self._names)
        if kind == "sqlite":
            with contextlib.closing(sqlite3.connect(self._sqlite)) as connection:
                # What is still in its log would not be copied.
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            copy = self._folder / f"{name}.sqlite3"
            shutil.copy(self._sqlite, copy)
            return f"sqlite:///{copy}"
        assert self._template  # noqa: S101  # it is made before it is copied
        with psycopg.connect(_server(), autocommit=True) as connection:
            query = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(query.format(*map(sql.Identifier, (name, self._template_name))))
        return named(_server(), name)

    def template(self, kind: str) -> str:
        """The URL of what is copied: rows that are put there now are in every fresh one."""
        return f"sqlite:///{self._sqlite}" if kind == "sqlite" else self._template

    @cached_property
    def _sqlite(self) -> Path:
        template = self._folder / "migrated.sqlite3"
        migrate(f"sqlite:///{template}")
        return template

    @cached_property
    def _template(self) -> str:
        url = named(_server(), self._template_name)
        with psycopg.connect(_server(), autocommit=True) as connection:
            query = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self._template_name))
            connection.execute(query)
        migrate(url)
        return url


@cache
def _server() -> str:
    """One for all; it runs on the harness's core."""
    return postgres.start()


def named(url: str, database: str) -> str:
    """Another database of the same server, whose socket is in the query."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()


def migrate(database: str) -> None:
    """Make the tables."""
    manage(environment("http://127.0.0.1:1", database=database), "migrate", "--verbosity=0")


def manage(environment: dict[str, str], *arguments: str) -> None:
    """Run a command of the product to its end."""
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment, check=True)
