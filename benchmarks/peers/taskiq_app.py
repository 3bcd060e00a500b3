"""taskiq with taskiq-aio-sqs as its broker; the task is a plain function, so it runs in taskiq's threads."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from taskiq_aio_sqs import SQSBroker

from benchmarks.compare.order_events import order
from benchmarks.peers import order_email
from benchmarks.peers.order_email import ENDPOINT, QUEUE, REGION

order_email.set_up()
broker = SQSBroker(
    endpoint_url=ENDPOINT,
    sqs_queue_name=QUEUE,
    region_name=REGION,
    wait_time_seconds=20,
    max_number_of_messages=10,
)


@broker.task(task_name="send")
def send(data: dict[str, Any]) -> None:
    """The work."""
    order_email.send(data)


async def produce(first: int, count: int) -> None:
    """Put orders into the queue."""
    await broker.startup()
    for number in range(first, first + count):
        await send.kiq(order(number))
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(produce(*map(int, sys.argv[1:])))
