"""ministack, an emulator of AWS that shares no code with ours, as a process of its own; ``make`` installs it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from urllib.error import URLError
from urllib.request import urlopen

from tests.support.aws.local_aws import REGION, ROOT, bare_environment, client_of
from tests.support.processes import free_port, wait_until

PROGRAM = ROOT / ".venv-ministack" / "bin" / "ministack"


class Ministack:
    """A running one. It keeps all in memory, for as long as it runs."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment that a process of ours needs: the endpoint, and nothing else."""
        return bare_environment() | {"AWS_ENDPOINT_URL": self.endpoint}

    def client(self, service: Literal["ses", "sesv2", "sns", "sqs"]) -> Any:
        """A boto3 client that tries once."""
        return client_of(service, self.endpoint)

    def subjects(self, *, to: str) -> list[str]:
        """Return the subjects of the emails that its SES took for this address, in its order."""
        with urlopen(f"{self.endpoint}/_ministack/ses/messages", timeout=5) as answer:
            accounts = json.load(answer)["messages"]
        mails = [mail for sent in accounts.values() for mail in sent if to in mail["To"]]
        return [mail["Subject"] for mail in mails]

    def require_verified_recipients(self, on: bool) -> None:
        """Put the account into SES's sandbox, or out of it."""
        self.client("sesv2").put_account_details(
            MailType="TRANSACTIONAL",
            WebsiteURL="https://shop.example.com",
            ProductionAccessEnabled=not on,
        )

    def is_healthy(self) -> bool:
        """True if the emulator answers."""
        try:
            with urlopen(f"{self.endpoint}/_ministack/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False


@contextmanager
def running() -> Iterator[Ministack]:
    """One on a free port."""
    port = free_port()
    with TemporaryDirectory(prefix="ministack-") as folder, _process(port, Path(folder)) as process:
        ministack = Ministack(f"http://127.0.0.1:{port}")
        wait_until(lambda: process.poll() is not None or ministack.is_healthy(), what="ministack")
        assert process.poll() is None, (Path(folder) / "log").read_text()
        yield ministack
        process.terminate()


def _process(port: int, folder: Path) -> subprocess.Popen[bytes]:
    own = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "WARNING",
        "MINISTACK_REGION": REGION,
        "TMPDIR": str(folder),
    }
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [str(PROGRAM)], cwd=folder, env=os.environ | own, stdout=log, stderr=log
        )
