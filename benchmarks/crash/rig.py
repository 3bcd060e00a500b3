"""Set up a trial by real processes: a fresh database, the stub of AWS, queues, and processes that end with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.aws_stub.acceptances import Acceptance
from benchmarks.crash.fleet import ROOT, Member, Start, cold
from benchmarks.crash.judge import read_acceptances
from benchmarks.crash.ledger import Fact, Ledger
from benchmarks.installation import OURS
from tests.support import postgres
from tests.support.aws import warm_start

CONCURRENCY = 8
# Production: LEASE 60, visibility 90, grace 900, distance 450, drain 450 … ``emails.checks`` knows the proportions.
SHORT_TIMERS = {
    "SES_READ_SECONDS": 3,
    "LEASE_SECONDS": 8,
    "QUEUE_VISIBILITY_SECONDS": 10,
    "QUEUE_WAIT_SECONDS": 2,
    "DOUBT_GRACE_SECONDS": 14,
    "DOUBT_DISTANCE_SECONDS": 7,
    "DOUBT_DRAIN_SECONDS": 30,
    "SWEEP_SECONDS": 5,
    "RETRY_BASE_SECONDS": 1,
    "RETRY_MAX_SECONDS": 4,
    "OUTBOX_STALE_SECONDS": 20,
    "BREAKER_PROBE_SECONDS": 2,
}
# Facts of a producer that works until it is told to end.
ENDLESS = 10**9


class Rig:
    """One trial's database, stub and processes; one folder has its files: SQLite, ledgers, acceptances, logs.

    A folder that is named must not be there yet and is kept; without one they are gone afterwards. ``warm`` members are
    forked from a server that has everything imported, which leaves the machine to the work; not where starts are timed.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        database: str = "sqlite",
        events: bool = True,
        settings: Mapping[str, object] | None = None,
        stub: Mapping[str, object] | None = None,
        warm: bool = False,
    ) -> None:
        self.members: list[Member] = []
        self.postgres: postgres.Server | None = None
        self._asked = folder
        self._database = database
        self._events = events
        self._settings = dict(settings or {})
        self._stub = dict(stub or {})
        self._start: Start = warm_start.WarmProcess if warm else cold
        self._ending = ExitStack()

    def __enter__(self) -> Self:
        # So that everything ends with this process.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
        if self._start is not cold:
            warm_start.preload("benchmarks.crash.members")
        with ExitStack() as failing:
            failing.push(self._ending)
            self.folder = self._ending.enter_context(_kept_or_temporary(self._asked))
            self.endpoint = self._start_stub()
            self.environment = self._environment()
            os.environ.update(self.environment)
            self.manage("migrate", "--verbosity=0")
            self.manage("provision")
            failing.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for member in self.members:
            member.ask_to_end()
        for member in self.members:
            member.end()
        self._ending.close()

    def consumer(self, *arguments: str) -> Member:
        """A consumer with its relay and sweeper."""
        return self.consumer_as_it_comes(f"--concurrency={CONCURRENCY}", *arguments)

    def consumer_as_it_comes(self, *arguments: str) -> Member:
        """A consumer with no options but these."""
        return self._member("consumer", ["manage.py", "consume_queue", *arguments])

    def web(self, port: int, *, workers: int, threads: int) -> Member:
        """gunicorn, as in production but for the proxy before it."""
        command = ["-m", "gunicorn", "notifier.wsgi", f"--bind=127.0.0.1:{port}"]
        options = [f"--workers={workers}", f"--threads={threads}", "--keep-alive=60"]
        return self._member("web", [*command, *options])

    def relay(self) -> Member:
        """A relay of its own."""
        return self._member("relay", ["manage.py", "relay_outbox"])

    def producer(self, number: int = 0, **options: object) -> Member:
        """Start a producer with the options of ``benchmarks.crash.producer``; each needs a number of its own."""
        written = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        ledger = f"--ledger={self.folder / f'ledger-{number}'}"
        written += [f"--number={number}", f"--began={time.time()}"]
        command = ["-m", "benchmarks.crash.producer", ledger, *written]
        return self._member("producer", command)

    def manage(self, *arguments: str) -> None:
        """Run a command of ``manage.py`` to its end."""
        subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "manage.log").open("a"),
        )

    def fill(self, count: int, *, transactions: float = 0.25) -> None:
        """A backlog of so many facts in the queues, before anybody consumes."""
        producer = self.producer(count=count, rate=1e9, refused=0, transactions=transactions)
        while not producer.is_done:
            time.sleep(0.1)
        self.manage("relay_outbox", "--until-empty")

    def committed(self) -> list[Fact]:
        """Return the facts that the producers know to be committed; those of one account are in order."""
        ledgers = sorted(self.folder.glob("ledger-*"))
        return [fact for path in ledgers for fact in Ledger(path).committed()]

    def count_committed(self) -> int:
        """Count the committed facts."""
        return sum(Ledger(path).count() for path in self.folder.glob("ledger-*"))

    def accepted(self) -> list[Acceptance]:
        """Return the emails that SES took, in its order."""
        return read_acceptances(self.folder / "accepted")

    def control(self, **rates: float) -> dict[str, Any]:
        """Set these probabilities of faults; return how the stub stands."""
        body = json.dumps(rates).encode() if rates else None
        with urllib.request.urlopen(f"{self.endpoint}/control", body, timeout=10) as answer:  # noqa: S310  # our own
            found: dict[str, Any] = json.load(answer)
        return found

    def _member(self, name: str, command: list[str]) -> Member:
        log = self.folder / f"{name}-{len(self.members)}.log"
        member = Member(command, environment=self.environment, log=log, start=self._start)
        self.members.append(member)
        return member

    def _start_stub(self) -> str:
        options = [f"--{name.replace('_', '-')}={value}" for name, value in self._stub.items()]
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.aws_stub", *options]
            + [f"--acceptances={self.folder / 'accepted'}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=(self.folder / "stub.log").open("w"),
            text=True,
        )
        self._ending.callback(process.wait)
        self._ending.callback(process.terminate)
        assert process.stdout is not None  # noqa: S101  # a pipe was asked for
        return process.stdout.readline().strip()

    def _environment(self) -> dict[str, str]:
        # This process and the server that forks members read settings as well.
        for name in [name for name in os.environ if name.startswith(OURS)]:
            del os.environ[name]
        events = {"SES_EVENTS_TOPIC": "notifier-ses-events", "SES_CONFIGURATION_SET": "notifier"}
        return (
            dict(os.environ)
            | {
                "DJANGO_SETTINGS_MODULE": "notifier.settings",
                "ENV_FILE": os.devnull,
                "SECRET_KEY": "trial-" + "x" * 50,
                "PYTHONUNBUFFERED": "1",
                "DATABASE_URL": self._database_url(),
                "AWS_ENDPOINT_URL": self.endpoint,
                "AWS_ACCESS_KEY_ID": "trial",
                "AWS_SECRET_ACCESS_KEY": "trial",
                "SES_FROM_EMAIL": "Notifier Shop <shop@example.com>",
                "JOURNAL_DIR": str(self.folder.resolve() / "journal"),
            }
            | {name: str(value) for name, value in self._settings.items()}
            | (events if self._events else {})
        )

    def _database_url(self) -> str:
        if self._database == "sqlite":
            return f"sqlite:///{self.folder.resolve() / 'db.sqlite3'}"
        self.postgres = postgres.Server()
        return self.postgres.url


@contextmanager
def _kept_or_temporary(folder: Path | None) -> Iterator[Path]:
    if folder:
        folder.mkdir(parents=True)
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="notifier-trial-") as name:
            yield Path(name)


def print_rows(rows: Mapping[str, object]) -> None:
    """One line a figure."""
    for name, value in rows.items():
        print(f"{name:36} {value}", flush=True)
