"""The local AWS as a process of its own, for tests that need a whole AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[3]
REGION = "eu-west-1"


class LocalAws:
    """``manage.py local_aws`` on a free port. Usable as a context manager."""

    def __init__(self, *, verified: str = "", **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "local_aws", "--port=0", "--delivery-seconds=0"],
            cwd=ROOT,
            env=bare_environment() | {"SANDBOX_VERIFIED": verified} | environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        ready = self._process.stdout.readline()
        assert "http://" in ready, "the local AWS did not start"
        self.endpoint = ready.split()[-1]
        self.wait_until_healthy()

    def __enter__(self) -> LocalAws:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment that a process of ours needs to use this AWS."""
        resolver = self.endpoint.removeprefix("http://")
        return bare_environment() | {"AWS_ENDPOINT_URL": self.endpoint, "DNS_RESOLVER": resolver}

    def client(self, service: Literal["ses", "sesv2", "sns", "sqs"]) -> Any:
        """A boto3 client; make it once and share it, building one takes a while."""
        return client_of(service, self.endpoint)

    def mail(self) -> list[dict[str, Any]]:
        """The mailbox, newest first."""
        mails: list[dict[str, Any]] = self._call("mail")
        return mails

    def mail_detail(self, mail_id: str) -> dict[str, Any]:
        """One mail with its html, text, headers and raw source."""
        mail: dict[str, Any] = self._call(f"mail/{mail_id}")
        return mail

    def wait_for_mail(self, *, to: str, seconds: float = 60) -> dict[str, Any]:
        """The newest mail to that address, as soon as there is one."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for mail in self.mail():
                if to in mail["to"]:
                    return self.mail_detail(mail["id"])
            time.sleep(0.05)
        raise AssertionError(f"no mail to {to} within {seconds} s")

    def clear_mail(self) -> None:
        """Empty the mailbox."""
        self._call("mail", method="DELETE")

    def pending(self) -> list[dict[str, Any]]:
        """Identities that wait for verification, with their links."""
        pending: list[dict[str, Any]] = self._call("verifications")
        return pending

    def verify(self, identity: str) -> None:
        """Verify a pending address or domain."""
        self._call("verify", {"identity": identity})

    def identities(self) -> set[str]:
        """The addresses and domains that SES knows, verified or not."""
        return set(self.client("ses").list_identities()["Identities"])

    def delete_identities(self, names: Iterable[str]) -> None:
        """Let SES forget them."""
        for name in names:
            self.client("ses").delete_identity(Identity=name)

    def set_sandbox_rules(self, on: bool) -> None:
        """Say if recipients must be verified."""
        self._call("rules", {"sandbox_rules": on})

    def wait_until_healthy(self, seconds: float = 60) -> None:
        """Return as soon as the server answers."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._call("health")
            except URLError:
                assert time.monotonic() < deadline, "the local AWS does not answer"
                time.sleep(0.05)
            else:
                return

    def stop(self) -> int:
        """End the server with SIGTERM; returns its exit code."""
        self._process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Return the exit code when the server has ended."""
        self._process.communicate(timeout=10)
        return self._process.returncode

    def _call(self, path: str, body: Any = None, *, method: str | None = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.endpoint}/_sandbox/{path}", data=content, method=method)
        try:
            with urlopen(request, timeout=5) as response:
                return json.load(response)
        except HTTPError as exc:
            with exc:
                raise AssertionError(f"{path}: {exc.code} {exc.read()!r}") from exc


@pytest.fixture(scope="session")
def local_aws() -> Iterator[LocalAws]:
    """One local AWS for the whole session; use names of your own for queues and addresses."""
    with LocalAws(verified="shop@example.com,ada@example.com") as aws:
        yield aws


def client_of(service: Literal["ses", "sesv2", "sns", "sqs"], endpoint: str) -> Any:
    """A boto3 client that tries once."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=32),
    )


def bare_environment() -> dict[str, str]:
    """Return the environment for a process of the tests, without what the caller's own says of AWS."""
    ours = (
        "ARCHIVE_",
        "AWS_",
        "DJANGO_SETTINGS_MODULE",
        "EMAIL_TRANSPORT",
        "FAILPOINTS",
        "QUEUE_",
        "SANDBOX",
        "SES_",
        "SMTP_",
        "SQS_",
        "TOPIC_",
        "USE_SES_",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"ENV_FILE": str(ROOT / "tests" / "test.env"), "PYTHONUNBUFFERED": "1"}
