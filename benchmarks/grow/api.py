"""Measure the API's answer to an order while emails go out: ``make bench-api``.

Orders are placed at a steady rate whatever the answers take, by clients with tokens of a user pool that is played here;
the time of each is counted from the moment when it was due. gunicorn serves the API as in production, consumers publish
and send beside it. Exits with 1 unless the 99th percentile is within the goal and each order became one email.
"""

from __future__ import annotations

import argparse
import http.client
import http.server
import json
import multiprocessing
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import django
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from benchmarks.compare.report import replace_section
from benchmarks.crash.fleet import ROOT
from benchmarks.crash.rig import Rig
from benchmarks.crash.soak import BOTO3
from benchmarks.process_tree import usage

DOCUMENT = ROOT / "docs" / "reference" / "api.md"
APPLICATION = "benchmark"
SKU = "MUG-01"
CLIENTS = 50
# Connections, and so requests at once.
THREADS = 32
WARM_UP_SECONDS = 3.0
GOAL_SECONDS = 0.1


@dataclass(frozen=True)
class Answered:
    """One order: when it was due, in seconds from the start, how long it took, and the status."""

    due: float
    seconds: float
    status: int


@dataclass(frozen=True)
class Run:
    """The result of one rate; the warm-up is not among ``answers``."""

    rate: float
    answers: Sequence[Answered]
    placed: int
    emails: int
    web_ms: float
    consumers_ms: float

    @property
    def is_met(self) -> bool:
        """True if the slowest were fast enough, nobody was refused, and each order became one email."""
        is_taken = all(answer.status == 201 for answer in self.answers)
        return (
            percentile(self.answers, 99) <= GOAL_SECONDS and is_taken and self.emails == self.placed
        )


def main() -> None:
    """A run at each rate, and the table of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", default="50,100", help="orders a second, one run each")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--consumers", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="of gunicorn")
    parser.add_argument("--threads", type=int, default=4, help="of each of them")
    parser.add_argument("--client", choices=["boto3", "lean"], default="lean")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--write", action="store_true", help="into docs/reference/api.md")
    options = parser.parse_args()
    runs = [run(float(rate), options) for rate in options.rates.split(",")]
    print(table(runs))
    if options.write:
        replace_section(DOCUMENT, f"api-{options.database}", table(runs))
    sys.exit(0 if all(each.is_met for each in runs) else 1)


def run(rate: float, options: argparse.Namespace) -> Run:
    """Run one rate in a process of its own, as settings are read once."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as one:
        return one.submit(_run, rate, options).result()


def table(runs: Sequence[Run]) -> str:
    """Markdown."""
    head = "| orders a second | p50 ms | p99 ms | slowest ms | CPU ms of the web | of consumers | emails of orders |"
    lines = [head, "|--:" * 7 + "|"]
    for each in runs:
        slowest = max(answer.seconds for answer in each.answers)
        times = [percentile(each.answers, 50), percentile(each.answers, 99), slowest]
        cells = [f"{each.rate:g}", *(f"{seconds * 1000:.0f}" for seconds in times)]
        cells += [f"{each.web_ms:.1f}", f"{each.consumers_ms:.1f}"]
        lines.append(f"| {' | '.join(cells)} | {each.emails:,} of {each.placed:,} |")
    return "\n".join(lines)


def _run(rate: float, options: argparse.Namespace) -> Run:
    with pool() as (issuer, sign), Rig(None, **_rig(options, issuer)) as rig:
        add_product()
        for _ in range(options.consumers):
            rig.consumer()
        port = serve(rig, workers=options.workers, threads=options.threads)
        began = [usage(member.pid).cpu_seconds for member in rig.members]
        answers = _place(port, tokens(sign), rate=rate, seconds=options.seconds)
        emails = _wait_for_emails(rig, len(answers))
        spent = [usage(member.pid).cpu_seconds for member in rig.members]
    *consumers, web = (
        (after - before) * 1000 / len(answers) for before, after in zip(began, spent, strict=True)
    )
    measured = [answer for answer in answers if answer.due >= WARM_UP_SECONDS]
    return Run(rate, measured, len(answers), emails, web, sum(consumers))


def percentile(answers: Sequence[Answered], share: float) -> float:
    """Return a percentile of the answers in seconds, by the nearest rank."""
    ordered = sorted(answer.seconds for answer in answers)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))]


@contextmanager
def pool() -> Iterator[tuple[str, Callable[[dict[str, Any]], str]]]:
    """A user pool: its issuer, which publishes its key, and what signs claims with that."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    document = json.dumps({"keys": [public | {"kid": "key", "use": "sig", "alg": "RS256"}]})

    class Keys(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(document.encode())

        def log_message(self, format: str, *arguments: Any) -> None:
            """Log nothing: a line for each order would cost more than the answer."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        issuer = f"http://127.0.0.1:{server.server_port}"
        yield (
            issuer,
            lambda claims: jwt.encode(
                claims | {"iss": issuer}, key, algorithm="RS256", headers={"kid": "key"}
            ),
        )
        server.shutdown()


def _rig(options: argparse.Namespace, issuer: str) -> dict[str, Any]:
    return {
        "database": options.database,
        "events": False,
        "stub": {"max_send_rate": 10_000, "burst": 10_000},
        "settings": {
            "COGNITO_ISSUER": issuer,
            "COGNITO_CLIENT_IDS": APPLICATION,
            "ALLOWED_HOSTS": "127.0.0.1",
            "SES_MAX_SEND_RATE": 10_000,
            "LOG_LEVEL": "WARNING",
            # The relay publishes many at once, for a fraction of what one by one costs the web process.
            "OUTBOX_PUBLISH_ON_COMMIT": "off",
        }
        | (BOTO3 if options.client == "boto3" else {}),
    }


def add_product() -> None:
    """Add the product in this process, which has the rig's settings."""
    django.setup()
    from orders.models import Product

    Product.objects.create(sku=SKU, name="Stoneware mug", price="18.00")


def serve(rig: Rig, *, workers: int, threads: int) -> int:
    """Start gunicorn; returns its port as soon as it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    rig.web(port, workers=workers, threads=threads)
    deadline = time.monotonic() + 60
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            connection.getresponse()
            return port
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        finally:
            connection.close()


def tokens(sign: Callable[[dict[str, Any]], str]) -> list[str]:
    """One for each of the clients."""
    now = int(time.time())
    return [
        sign(
            {
                "sub": str(uuid.uuid4()),
                "aud": APPLICATION,
                "token_use": "id",
                "email": f"customer-{number}@example.com",
                "email_verified": True,
                "iat": now,
                "exp": now + 3600,
            }
        )
        for number in range(CLIENTS)
    ]


def _place(port: int, tokens: Sequence[str], *, rate: float, seconds: float) -> list[Answered]:
    """Place each order when it is due, over connections that are kept."""
    connections = threading.local()
    began = time.monotonic() + 0.5

    def place(number: int) -> Answered:
        due = number / rate
        time.sleep(max(0.0, began + due - time.monotonic()))
        if not hasattr(connections, "one"):
            connections.one = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        status = post(connections.one, tokens[number % len(tokens)])
        return Answered(due, time.monotonic() - began - due, status)

    count = round(rate * (seconds + WARM_UP_SECONDS))
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(place, range(count)))


def post(connection: http.client.HTTPConnection, token: str) -> int:
    """Place an order; return the status of the answer."""
    connection.request(
        "POST",
        "/api/v1/orders",
        _BODY,
        {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Idempotency-Key": str(uuid.uuid4()),
            # As the proxy before it says.
            "X-Forwarded-Proto": "https",
        },
    )
    with connection.getresponse() as answer:
        answer.read()
        return answer.status


_BODY = json.dumps(
    {
        "shipping_address": {
            "name": "Ada Lovelace",
            "street": "12 St James's Square",
            "postal_code": "SW1Y 4JH",
            "city": "London",
            "country": "United Kingdom",
        },
        "lines": [{"sku": SKU, "quantity": 2}],
    }
)


def _wait_for_emails(rig: Rig, count: int) -> int:
    """Wait until SES has all emails, a minute at most; return how many it took."""
    deadline = time.monotonic() + 60
    while (accepted := len(rig.accepted())) < count and time.monotonic() < deadline:
        time.sleep(0.5)
    return accepted


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
    main()
