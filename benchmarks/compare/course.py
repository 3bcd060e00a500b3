"""The work as it is laid out for one entrant after the other: latencies, a fresh database, messages."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from benchmarks import installation
from benchmarks.compare import trial
from benchmarks.compare.lineup import Entrant
from benchmarks.compare.order_events import envelope
from benchmarks.compare.trial import Trial, TrialError
from benchmarks.installation import Databases
from benchmarks.lean_aws.stand_in import ALL_CORES, ROOT, WORK_CORE, StandIn

QUEUE = "notifier-orders"
# Those of our own installation, so that its chores find what they look at.
QUEUES = [QUEUE, f"{QUEUE}-dlq", "notifier-transactions.fifo", "notifier-transactions-dlq.fifo"]
# Where the SDKs for Python, Go and Node look for whom to trust.
CA_BUNDLES = ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
# For ours to end by SIGTERM; peers are killed.
END_SECONDS = 3.0
# A peer that sends five emails a second still gets so many.
FEWEST = 40


@dataclass(frozen=True)
class Work:
    """The work of one trial: emails, answer times of SES and SQS, and the emails a second that SES allows (0: any)."""

    emails: int
    ses_ms: float
    sqs_ms: float
    ses_rate: float = 0

    @property
    def waits(self) -> bool:
        """True if an email takes time that its sender only waits for."""
        return bool(self.ses_ms or self.sqs_ms or self.ses_rate)


class Course:
    """Lets entrants do the work; their logs are in the folder."""

    def __init__(self, aws: StandIn, folder: Path, work: Work) -> None:
        self._aws = aws
        self._folder = folder
        self._work = work
        self.databases = Databases(folder)
        self._numbers = count()

    def run(
        self,
        name: str,
        entrant: Entrant,
        *,
        tls: bool = False,
        before_clock: Callable[[int], None] = lambda pid: None,
    ) -> Trial:
        """One trial of this entrant, over HTTPS with ``tls``; raises TrialError."""
        work = self._work
        self._aws.begin(
            QUEUES, ses_ms=work.ses_ms, sqs_ms=work.sqs_ms, ses_rate=work.ses_rate, tls=tls
        )
        environment = self._environment(entrant, tls)
        # Without latency a serial loop is not that much slower.
        share = entrant.share if work.waits else min(1.0, entrant.share * 2)
        log = self._folder / f"{name}-{next(self._numbers)}.log"
        done = trial.run(
            name,
            entrant.command,
            environment,
            aws=self._aws,
            fill=lambda first, emails: self._fill(entrant, environment, first, emails),
            emails=max(FEWEST, round(work.emails * share)),
            log=log,
            grace=END_SECONDS if entrant.is_ours else 0.0,
            cores=ALL_CORES if entrant.all_cores else WORK_CORE,
            before_clock=before_clock,
        )
        require_calm(log)
        return done

    def _environment(self, entrant: Entrant, tls: bool) -> dict[str, str]:
        endpoint = self._aws.tls_endpoint if tls else self._aws.endpoint
        trusted = dict.fromkeys(CA_BUNDLES, self._aws.ca_bundle) if tls else {}
        if entrant.is_ours:
            database = self.databases.fresh(entrant.database)
            settings = {"JOURNAL_DIR": str(self._folder / "journal"), **entrant.environment}
            if self._work.ses_rate:
                settings["SES_MAX_SEND_RATE"] = str(self._work.ses_rate)
            return installation.environment(endpoint, database=database, **settings) | trusted
        return os.environ | {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "PEER_QUEUE": QUEUE,
            **entrant.environment,
            **trusted,
        }

    def _fill(self, entrant: Entrant, environment: dict[str, str], first: int, emails: int) -> None:
        if entrant.has_outbox:
            python(environment, "benchmarks.grow.table_rows", "published", first, emails)
        if entrant.producer:
            python(environment, entrant.producer, first, emails, executable=entrant.command[0])
        else:
            self._aws.put(QUEUE, [envelope(number) for number in range(first, first + emails)])


def require_calm(log: Path) -> None:
    """Messages that failed after SES had taken them would look like a fast success."""
    lines = log.read_text(errors="replace").splitlines()
    for number, line in enumerate(lines):
        if "Traceback" in line or " ERROR " in line or "rror:" in line:
            raise TrialError("\n".join(["reported an error", *lines[number : number + 12]]))


def python(
    environment: dict[str, str], module: str, *arguments: object, executable: str = sys.executable
) -> None:
    """Run a module to its end."""
    command = [executable, "-m", module, *map(str, arguments)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
