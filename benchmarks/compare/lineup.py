"""List the entrants: our consumer in its variants, its peers, and boto3 alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from benchmarks.lean_aws.stand_in import ROOT

PEERS = ROOT / "benchmarks" / "peers"
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
GO = PEERS / "go" / "consumer"
NODE_MODULES = PEERS / "node" / "node_modules"
# Whom the others are compared with, by the head of the column.
YARDSTICKS = {
    "of boto3 alone": "boto3-v2",
    "× Celery's threads": "celery-threads",
    "× Node's batch handler": "node-batch",
    "of Go": "go",
}
# Of all entrants these run in every round, the others in the first.
EVERY_ROUND = ("notifier", "notifier-postgresql", *YARDSTICKS.values())

# These are also measured over HTTPS; Celery asks SQS by a client that takes no certificate of ours.
OVER_TLS = ("notifier", "notifier-postgresql", "node-batch", "go", "boto3-v2")


@dataclass(frozen=True)
class Entrant:
    """One line of the table.

    ``share`` is how many of the emails it gets: one that sends five a second would take minutes. ``producer`` is
    the module that puts messages into the queue where they need an envelope of its own, ``needs`` what must be
    installed beside the peers. Our own consumer has a ``database``. With ``all_cores`` it shares the stand-in's.
    """

    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    share: float = 1.0
    producer: str = ""
    needs: str = ""
    database: str = ""
    has_outbox: bool = False
    all_cores: bool = False

    @property
    def is_ours(self) -> bool:
        """True if this entrant is this project's consumer."""
        return bool(self.database)

    def why_not(self) -> str:
        """Say what is missing to let it run; empty if nothing is."""
        if self.needs == "node":
            found = bool(shutil.which("node")) and NODE_MODULES.exists()
        elif self.needs == "go":
            found = GO.exists()
        else:
            found = not self.needs or self.needs in _installed()
        return "" if found else f"there is no {self.needs}"


# As the image and the units of systemd set it: docs/how-to/deploy.md.
_DEPLOYED = {"MALLOC_ARENA_MAX": "2"}
_BOTO3 = {"SQS_CLIENT": "boto3", "SES_CLIENT": "boto3"}


def _ours(title: str, *options: str, database: str = "sqlite", **settings: str) -> Entrant:
    """Our consumer as it comes, but for these options and settings."""
    return Entrant(
        title=f"**Notifier**, {title}",
        command=(sys.executable, "manage.py", "consume_queue", *options),
        environment=_DEPLOYED | settings,
        database=database,
    )


def _boto3(
    title: str, module: str, *options: str, threads: int = 1, share: float = 1.0, ses: str = "v1"
) -> Entrant:
    """An entrant that needs nothing beside this project's own packages."""
    return Entrant(
        title=title,
        command=(sys.executable, "-m", f"benchmarks.peers.{module}", *options),
        environment={"PEER_CONCURRENCY": str(threads), "PEER_SES": ses},
        share=share,
    )


def _peer(
    title: str,
    *command: str,
    needs: str,
    threads: int,
    share: float,
    producer: str = "",
    **environment: str,
) -> Entrant:
    return Entrant(
        title=title,
        command=(str(PEERS_PYTHON), "-m", *command),
        environment={"PEER_CONCURRENCY": str(threads)} | environment,
        share=share,
        producer=producer,
        needs=needs,
    )


def _celery(title: str, pool: str, count: int, share: float, **environment: str) -> Entrant:
    application = "benchmarks.peers.celery_app"
    options = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=ERROR"]
    return _peer(
        title,
        *(
            "celery",
            f"--app={application}",
            "worker",
            f"--pool={pool}",
            f"--concurrency={count}",
            *options,
        ),
        needs="gevent" if pool == "gevent" else "celery",
        threads=count,
        share=share,
        producer=application,
        **environment,
    )


def _node(title: str, count: int, **environment: str) -> Entrant:
    """Node compiles while it works: with a share of the emails it would seem to need twice the CPU time."""
    return Entrant(
        title=title,
        command=("node", str(PEERS / "node" / "consumer.mjs")),
        environment={"PEER_CONCURRENCY": str(count)} | environment,
        needs="node",
    )


ENTRANTS = {
    "notifier": _ours("as it comes"),
    "notifier-postgresql": _ours("as it comes, PostgreSQL", database="postgresql"),
    "notifier-quiet": _ours("logs warnings only", LOG_LEVEL="WARNING"),
    "notifier-64": _ours("64 at once", "--concurrency=64"),
    "notifier-auto": _ours("as many at once as needed", "--concurrency=auto"),
    "notifier-boto3": replace(
        _ours("boto3's clients, SES v2", **_BOTO3, USE_SES_V2="on"), share=0.25
    ),
    "notifier-boto3-v1": replace(
        _ours("boto3's clients, SES v1", **_BOTO3, USE_SES_V2="off"), share=0.25
    ),
    "notifier-outbox": replace(_ours("events of its own outbox"), has_outbox=True),
    "notifier-processes": replace(
        _ours("PostgreSQL, 2 processes on 2 cores", "--processes=2", database="postgresql"),
        all_cores=True,
    ),
    "plain-1": _boto3("plain loop: receive 1, a new connection each", "plain_loop", share=0.01),
    "plain-10": _boto3(
        "plain loop: receive 10, one connection",
        "plain_loop",
        "--batch=10",
        "--keep-connection",
        share=0.02,
    ),
    "lambda-10": _boto3(
        "as AWS Lambda: batch of 10, serial",
        "plain_loop",
        "--batch=10",
        "--keep-connection",
        "--delete-batch",
        share=0.02,
    ),
    "celery-prefork": _celery("Celery, prefork 2", "prefork", 2, 0.03),
    "celery-threads": _celery("Celery, 32 threads", "threads", 32, 0.1),
    "celery-gevent": _celery("Celery, gevent 100", "gevent", 100, 0.15),
    "dramatiq": _peer(
        "dramatiq-sqs, 16 threads",
        *(
            "dramatiq",
            "benchmarks.peers.dramatiq_app",
            "--processes=1",
            "--threads=16",
            "--skip-logging",
        ),
        needs="dramatiq_sqs",
        threads=16,
        share=0.1,
        producer="benchmarks.peers.dramatiq_app",
    ),
    "taskiq": _peer(
        "taskiq-aio-sqs, 32 threads",
        *(
            "taskiq",
            "worker",
            "benchmarks.peers.taskiq_app:broker",
            "--workers=1",
            "--max-threadpool-threads=32",
        ),
        *("--max-async-tasks=64", "--log-level=ERROR"),
        needs="taskiq_aio_sqs",
        threads=32,
        share=0.15,
        producer="benchmarks.peers.taskiq_app",
    ),
    "sqs-workers": _peer(
        "sqs-workers, 8 processes",
        "benchmarks.peers.sqs_workers_app",
        needs="sqs_workers",
        threads=8,
        share=0.1,
    ),
    "node": _node("sqs-consumer (Node), 16 × 10", 16),
    "node-batch": _node("sqs-consumer (Node), batch handler", 16, PEER_BATCH="on"),
    # One core is one thread that runs Go.
    "go": Entrant(
        title="AWS's SDK for Go, SES v2, 32 × 10",
        command=(str(GO),),
        environment={"PEER_CONCURRENCY": "32", "GOMAXPROCS": "1"},
        needs="go",
    ),
    "boto3-v1": _boto3("ceiling: boto3 alone, SES v1, 64 threads", "ceiling", threads=64),
    "boto3-v2": _boto3("ceiling: boto3 alone, SES v2, 64 threads", "ceiling", threads=64, ses="v2"),
}


@cache
def _installed() -> set[str]:
    """Return which of the modules that peers need are in their environment."""
    wanted = {
        entrant.needs for entrant in ENTRANTS.values() if entrant.needs not in ("", "node", "go")
    }
    if not PEERS_PYTHON.exists():
        return set()
    script = "import importlib.util, sys; print(*filter(importlib.util.find_spec, sys.argv[1:]))"
    found = subprocess.run(
        [PEERS_PYTHON, "-c", script, *wanted],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(found.stdout.split())
