"""The platform as real processes on the test database: consumers that can be killed, a web server."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from django.db import connection

from tests.support.aws.local_aws import LocalAws
from tests.support.aws.warm_start import WarmProcess


class Process:
    """One ``manage.py`` process; what it prints goes to a file."""

    def __init__(self, *arguments: str, environment: dict[str, str], log: Path) -> None:
        self.log = log
        self._process = WarmProcess(["manage.py", *arguments], environment=environment, log=log)
        self.pid = self._process.pid

    @property
    def has_ended(self) -> bool:
        """True if the process runs no more."""
        return self._process.poll() is not None

    @property
    def output(self) -> str:
        """Return the output so far."""
        return self.log.read_text() if self.log.exists() else ""

    def wait(self, *, seconds: float = 90) -> int:
        """Wait for the process to end by itself and return its exit code."""
        try:
            return self._process.wait(seconds)
        except TimeoutExpired:
            raise AssertionError(f"it still runs:\n{self.output}") from None

    def wait_for(self, text: str, *, seconds: float = 90) -> None:
        """Wait until the process has printed this."""
        wait_until(lambda: text in self.output, what=f"{text!r} in\n{self.output}", seconds=seconds)

    def send_signal(self, number: signal.Signals) -> None:
        """SIGTERM, SIGSTOP, …"""
        self._process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM and wait; returns its exit code."""
        self.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL and wait, if it still runs."""
        self.send_signal(signal.SIGKILL)
        self._process.wait(10)


class Queue:
    """A queue on the local AWS as a stranger sees it."""

    def __init__(self, sqs: Any, name: str) -> None:
        self.sqs = sqs
        self.url: str = sqs.get_queue_url(QueueName=name)["QueueUrl"]

    def send(self, body: str, *, group: str = "") -> None:
        """Put this on it; ``group`` is for FIFO."""
        fifo = {"MessageGroupId": group, "MessageDeduplicationId": uuid.uuid4().hex}
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **(fifo if group else {}))

    def count(self, *which: str) -> int:
        """Count the messages: visible or in flight, or ``NotVisible`` alone."""
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])
        names = (f"ApproximateNumberOfMessages{kind}" for kind in which or ("", "NotVisible"))
        return sum(int(found["Attributes"][name]) for name in names)


class Platform:
    """Processes that share the test database and queues of their own on an AWS: the local one, or a stub of it."""

    def __init__(self, aws: Any, folder: Path) -> None:
        self.aws = aws
        self._folder = folder
        self._processes: list[Process] = []
        mark = uuid.uuid4().hex[:8]
        self.environment = aws.environment | {
            "DATABASE_URL": _database_url(),
            "QUEUE_ORDERS": f"orders-{mark}",
            "QUEUE_TRANSACTIONS": f"transactions-{mark}.fifo",
            "QUEUE_SES_EVENTS": f"ses-events-{mark}",
            "SES_EVENTS_TOPIC": f"ses-events-{mark}",
            "SES_CONFIGURATION_SET": f"set-{mark}",
            "QUEUE_VISIBILITY_SECONDS": "3",
            "QUEUE_WAIT_SECONDS": "1",
            "SWEEP_SECONDS": "1",
            "JOURNAL_DIR": str(folder / "journal"),
            "BREAKER_PROBE_SECONDS": "1",
            "RETRY_BASE_SECONDS": "1",
            "RETRY_MAX_SECONDS": "1",
        }

    def manage(self, *arguments: str, **environment: str) -> Process:
        """Start ``manage.py`` with these arguments."""
        log = self._folder / f"{len(self._processes)}-{arguments[0]}.log"
        process = Process(*arguments, environment=self.environment | environment, log=log)
        self._processes.append(process)
        return process

    def consumer(self, *arguments: str, **environment: str) -> Process:
        """A consumer that is ready to receive."""
        process = self.manage("consume_queue", *arguments, **environment)
        process.wait_for("consuming")
        return process

    def provision(self) -> None:
        """Queues and the way back from SES."""
        process = self.manage("provision")
        assert process.wait() == 0, process.output

    def web(self, **environment: str) -> str:
        """A web server; returns its address."""
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        self.manage(
            "runserver",
            "--noreload",
            f"127.0.0.1:{port}",
            BASE_URL=base,
            OUTBOX_PUBLISH_ON_COMMIT="on",
            **environment,
        )
        wait_until(lambda: _answers(base), what=f"an answer from {base}", seconds=90)
        return base

    def queue(self, name: str) -> Queue:
        """The queue of that name."""
        return Queue(self.aws.client("sqs"), name)

    def kill_all(self) -> None:
        """Kill all processes at the end of a test."""
        for process in self._processes:
            process.kill()


@pytest.fixture
def platform(transactional_db: None, local_aws: LocalAws, tmp_path: Path) -> Iterator[Platform]:
    """A platform with its queues made, and nothing in them."""
    local_aws.clear_mail()
    local_aws.set_sandbox_rules(True)
    identities = local_aws.identities()
    platform = Platform(local_aws, tmp_path)
    platform.provision()
    yield platform
    platform.kill_all()
    local_aws.clear_mail()
    # The next test on this server needs addresses that are not verified.
    local_aws.delete_identities(local_aws.identities() - identities)


def wait_until(claim: Callable[[], Any], *, what: str, seconds: float = 90) -> None:
    """Wait until the claim holds, or fail naming what was waited for."""
    deadline = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)


def _database_url() -> str:
    if connection.vendor == "sqlite":
        return f"sqlite:///{connection.settings_dict['NAME']}"
    # The folder of the server's socket is in the query.
    url = urlsplit(os.environ["DATABASE_URL"])
    return url._replace(path=f"/{connection.settings_dict['NAME']}").geturl()


def free_port() -> int:
    """Return a free port of this machine; somebody else may take it meanwhile."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(base: str) -> bool:
    with contextlib.suppress(URLError, OSError), urlopen(f"{base}/", timeout=2) as answer:
        return bool(answer.status == 200)
    return False
