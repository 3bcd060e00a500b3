"""Count what one email costs in calls and dollars of AWS, and what an idle consumer costs: ``make bench-costs``.

``benchmarks/aws_stub`` counts each call, SES's events included. The API places orders one by one while the consumer is
idle, which also shows how long an email takes; then it idles; then other consumers find a backlog.
"""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.compare.report import DOCUMENT, replace_section
from benchmarks.crash.fleet import Member
from benchmarks.crash.rig import Rig
from benchmarks.grow import api
from benchmarks.process_tree import usage

# List prices of us-east-1 in June 2026, in dollars a call, before free tiers and discounts. SQS counts 64 KB as one
# call, SNS delivers to SQS for nothing, and SES's price is that of an email without attachments.
# https://aws.amazon.com/sqs/pricing/, https://aws.amazon.com/sns/pricing/, https://aws.amazon.com/ses/pricing/
PRICES = {"sqs": 0.40e-6, "sqs FIFO": 0.50e-6, "sns": 0.50e-6, "ses": 0.10e-3}
# The calls that grow with the emails; all others are made by the clock.
ACTIONS = ("Send", "Receive", "Delete", "Change")
EVENTS_QUEUE = "notifier-ses-events"
MINUTES_OF_A_MONTH = 30 * 24 * 60
PAUSE_SECONDS = 0.4
WARM_UP = 5
STUCK_SECONDS = 120


@dataclass(frozen=True)
class Idle:
    """A consumer that waits: its calls in a minute, the seconds from post to acceptance before that, its memory."""

    calls: Mapping[str, float]
    seconds: list[float]
    memory_mb: float


def main() -> None:
    """Print both tables; with ``--write`` put them into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=400, help="emails of each backlog")
    parser.add_argument("--orders", type=int, default=60, help="placed one by one")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--write", action="store_true", help="into docs/explanation/performance.md")
    options = parser.parse_args()
    one_by_one, idle = _orders_one_by_one(options)
    counts = {
        "backlog of orders": _backlog(options, transactions=0.0),
        "backlog of transactions, FIFO": _backlog(options, transactions=1.0),
        "orders one by one": one_by_one,
    }
    for name, count in sorted(idle.calls.items()):
        print(f"idle, calls a minute: {count:5.1f} {name}")
    tables = {"costs": costs_table(counts), "idle": idle_table(idle)}
    for name, table in tables.items():
        print(f"\n{table}", flush=True)
        if options.write:
            replace_section(DOCUMENT, name, table)


def costs_table(counts: Mapping[str, Mapping[str, float]]) -> str:
    """Markdown: calls per email and dollars, a column for each way to work."""
    rows = sorted({name for calls in counts.values() for name in calls}, key=_order)
    lines = [f"| calls per email | {' | '.join(counts)} |", "|---" + "|--:" * len(counts) + "|"]
    lines += [
        f"| {name} | {' | '.join(_number(calls.get(name, 0.0)) for calls in counts.values())} |"
        for name in rows
    ]
    totals = [dollars(calls) for calls in counts.values()]
    without = [
        dollars({n: c for n, c in calls.items() if not n.startswith("ses ")})
        for calls in counts.values()
    ]
    lines += [
        f"| **dollars per 1,000 emails** | {' | '.join(f'{each * 1000:.4f}' for each in totals)} |",
        f"| dollars per million | {' | '.join(f'{each * 1e6:.2f}' for each in totals)} |",
        f"| of them without SES's price | {' | '.join(f'{each * 1e6:.2f}' for each in without)} |",
    ]
    return "\n".join(lines)


def idle_table(idle: Idle) -> str:
    """Markdown: one line a figure."""
    receives = sum(count for name, count in idle.calls.items() if "ReceiveMessage" in name)
    month = dollars(idle.calls) * MINUTES_OF_A_MONTH
    ordered = sorted(idle.seconds)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    rows = {
        "receives a minute": f"{receives:.0f}",
        "all calls a minute": f"{sum(idle.calls.values()):.0f}",
        "dollars a month": f"{month:.2f}",
        f"order posted → accepted by SES, p50 of {len(ordered)}": f"{statistics.median(ordered) * 1000:.0f} ms",
        "p95": f"{p95 * 1000:.0f} ms",
        "memory": f"{idle.memory_mb:.0f} MB",
    }
    return "\n".join(
        [
            "| a consumer with nothing to do | |",
            "|---|--:|",
            *(f"| {k} | {v} |" for k, v in rows.items()),
        ]
    )


def dollars(calls: Mapping[str, float]) -> float:
    """Return the price of these calls; of SES's only the emails have one."""
    return sum(count * _price(name) for name, count in calls.items())


def per_email(before: Mapping[str, Any], after: Mapping[str, Any], emails: int) -> dict[str, float]:
    """Return the calls that grew with the emails, of the queues that had messages."""
    if after["accepted"] - before["accepted"] != emails:
        raise RuntimeError(f"{after['accepted'] - before['accepted']} emails of {emails}")
    counted = Counter(after["calls"]) - Counter(before["calls"])
    used = {name.split()[-1] for name in counted if "sqs SendMessage" in name} | {EVENTS_QUEUE}
    calls = {
        name: count / emails
        for name, count in counted.items()
        if name.split()[1].startswith(ACTIONS)
        and (name.startswith("ses ") or name.split()[-1] in used)
    }
    return calls | {"sns Publish by SES": (after["events"] - before["events"]) / emails}


def _price(name: str) -> float:
    service, action, *_ = name.split()
    if service == "ses":
        return PRICES["ses"] if action.startswith("Send") else 0.0
    return PRICES["sqs FIFO" if ".fifo" in name else service]


def _order(name: str) -> tuple[bool, str, str]:
    service, action, *queue = name.split()
    return EVENTS_QUEUE in name or service == "sns", " ".join(queue), action


def _number(count: float) -> str:
    return f"{count:.2f}" if count else "–"


def _orders_one_by_one(options: argparse.Namespace) -> tuple[dict[str, float], Idle]:
    with api.pool() as (issuer, sign), _rig(options, issuer=issuer) as rig:
        api.add_product()
        consumer = rig.consumer_as_it_comes()
        connection = http.client.HTTPConnection("127.0.0.1", api.serve(rig, workers=1, threads=4))
        token = api.tokens(sign)[0]
        _post(rig, connection, token, WARM_UP)
        before = _standing(rig)
        posted = _post(rig, connection, token, options.orders)
        calls = per_email(before, _standing(rig), options.orders)
        accepted = sorted(each.time for each in rig.accepted())[WARM_UP:]
        seconds = [then - at for at, then in zip(posted, accepted, strict=True)]
        return calls, _idle(rig, consumer, seconds, options.idle)


def _idle(rig: Rig, consumer: Member, seconds: list[float], wait: float) -> Idle:
    before = _standing(rig)
    time.sleep(wait)
    counted = Counter(_standing(rig)["calls"]) - Counter(before["calls"])
    calls = {name: count * 60 / wait for name, count in counted.items()}
    return Idle(calls, seconds, usage(consumer.pid).memory_mb)


def _backlog(options: argparse.Namespace, *, transactions: float) -> dict[str, float]:
    # As a relay publishes for producers of many: ten at once.
    with _rig(options, OUTBOX_PUBLISH_ON_COMMIT="off") as rig:
        before = _standing(rig)
        rig.fill(options.n, transactions=transactions)
        rig.consumer_as_it_comes()
        _wait_for(rig, options.n)
        return per_email(before, _standing(rig), options.n)


def _rig(options: argparse.Namespace, *, issuer: str = "", **settings: str) -> Rig:
    web: dict[str, object] = {
        "COGNITO_ISSUER": issuer,
        "COGNITO_CLIENT_IDS": api.APPLICATION,
        "ALLOWED_HOSTS": "127.0.0.1",
    }
    deployed = {"MALLOC_ARENA_MAX": 2, **settings}
    return Rig(None, database=options.database, settings=web | deployed if issuer else deployed)


def _post(rig: Rig, connection: http.client.HTTPConnection, token: str, count: int) -> list[float]:
    """Place orders, each after the email of the one before; return the moments."""
    posted = []
    there = rig.control()["accepted"]
    for number in range(count):
        posted.append(time.time())
        if (status := api.post(connection, token)) != 201:
            raise RuntimeError(f"an order was answered with {status}")
        _wait_for(rig, there + number + 1)
        time.sleep(PAUSE_SECONDS)
    return posted


def _wait_for(rig: Rig, emails: int) -> None:
    """Wait until SES has so many emails, and until nothing is in the queues."""
    deadline = time.monotonic() + STUCK_SECONDS
    while True:
        standing = _standing(rig)
        if standing["accepted"] >= emails and not any(map(sum, standing["queues"].values())):
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"{standing['accepted']} of {emails} emails; {standing['queues']}")
        time.sleep(0.05)


def _standing(rig: Rig) -> dict[str, Any]:
    return rig.control()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
    main()
