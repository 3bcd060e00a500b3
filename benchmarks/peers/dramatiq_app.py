"""dramatiq with dramatiq-sqs as its broker."""

from __future__ import annotations

import sys
from typing import Any

import dramatiq
from botocore.config import Config
from dramatiq.middleware import AgeLimit, Retries, ShutdownNotifications, TimeLimit
from dramatiq_sqs import SQSBroker

from benchmarks.compare.order_events import order
from benchmarks.peers import order_email
from benchmarks.peers.order_email import CONCURRENCY, ENDPOINT, QUEUE, REGION, VISIBILITY_SECONDS

order_email.set_up()
dramatiq.set_broker(
    SQSBroker(
        endpoint_url=ENDPOINT,
        region_name=REGION,
        config=Config(max_pool_connections=CONCURRENCY + 4),
        visibility_timeout=VISIBILITY_SECONDS,
        # The default ones but Prometheus, which would serve HTTP.
        middleware=[AgeLimit(), TimeLimit(), ShutdownNotifications(), Retries()],
    )
)


@dramatiq.actor(queue_name=QUEUE)
def send(data: dict[str, Any]) -> None:
    """The work."""
    order_email.send(data)


if __name__ == "__main__":
    first, count = map(int, sys.argv[1:])
    for number in range(first, first + count):
        send.send(order(number))
