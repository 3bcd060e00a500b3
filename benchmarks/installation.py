"""The product as it would be deployed, but for its AWS: its environment, and a fresh database with real migrations."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from functools import cache, cached_property
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks.lean_aws.stand_in import ROOT
from tests.support import postgres

QUEUE = "notifier-orders"
OURS = (
    "AWS_",
    "QUEUE_",
    "SQS_",
    "SES_",
    "USE_SES",
    "SANDBOX",
    "FAILPOINTS",
    "DATABASE_URL",
    "DEBUG",
)


def environment(endpoint: str, *, database: str, **settings: str) -> dict[str, str]:
    """Return what an installation must have, and nothing of the caller's own settings."""
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
        }
        | settings
    )


class Databases:
    """Fresh databases with all tables, one at a time: migrated once, then copied. SQLite's live in the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        mark = folder.name.replace("-", "_")
        self._template_name, self._copy_name = f"template_{mark}", f"copy_{mark}"

    def fresh(self, kind: str) -> str:
        """The URL of a new one, ``sqlite`` or ``postgresql``; the one before is gone."""
        if kind == "sqlite":
            return f"sqlite:///{self._copy_sqlite()}"
        assert self._template  # noqa: S101  # it is made before it is copied
        names = {"copy": self._copy_name, "template": self._template_name}
        _execute("DROP DATABASE IF EXISTS {copy} WITH (FORCE)", **names)
        _execute("CREATE DATABASE {copy} TEMPLATE {template}", **names)
        return named(_server(), self._copy_name)

    def _copy_sqlite(self) -> Path:
        with contextlib.closing(sqlite3.connect(self._sqlite)) as connection:
            # What is still in its log would not be copied.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for old in self._folder.glob(f"{self._copy_name}.sqlite3*"):
            old.unlink()
        copy = self._folder / f"{self._copy_name}.sqlite3"
        shutil.copy(self._sqlite, copy)
        # Or the kernel would write it out while the trial waits for its commits.
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        return copy

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
        _execute("CREATE DATABASE {template}", template=self._template_name)
        migrate(url)
        return url


@cache
def postgresql() -> postgres.Server:
    """One for all; it runs on the harness's core."""
    return postgres.Server()


def _server() -> str:
    return postgresql().url


def _execute(query: LiteralString, **names: str) -> None:
    identifiers = {place: sql.Identifier(name) for place, name in names.items()}
    with psycopg.connect(_server(), autocommit=True) as connection:
        connection.execute(sql.SQL(query).format(**identifiers))


def named(url: str, database: str) -> str:
    """Another database of the same server, whose socket is in the query."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()


def migrate(database: str) -> None:
    """Make the tables."""
    manage(
        environment("http://127.0.0.1:1", database=database),
        "migrate",
        "--verbosity=0",
        "--skip-checks",
    )


def manage(environment: dict[str, str], *arguments: str) -> None:
    """Run a command of the product to its end."""
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment, check=True)
