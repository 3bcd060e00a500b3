"""Celery with SQS as its broker; messages are acknowledged after the work."""

from __future__ import annotations

import os
import sys
from typing import Any

from celery import Celery

from benchmarks.compare.order_events import order
from benchmarks.peers import order_email
from benchmarks.peers.order_email import QUEUE, QUEUE_URL, REGION, VISIBILITY_SECONDS

order_email.set_up()
app = Celery("peer", broker="sqs://")
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_default_queue=QUEUE,
    worker_prefetch_multiplier=4,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "region": REGION,
        "wait_time_seconds": 20,
        "polling_interval": 0,
        "visibility_timeout": VISIBILITY_SECONDS,
        "is_secure": False,
        "predefined_queues": {
            QUEUE: {
                "url": QUEUE_URL,
                "access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
                "secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
            }
        },
    },
)


@app.task(name="send")
def send(data: dict[str, Any]) -> None:
    """The work."""
    order_email.send(data)


if __name__ == "__main__":
    first, count = map(int, sys.argv[1:])
    with app.producer_pool.acquire(block=True) as producer:
        for number in range(first, first + count):
            send.apply_async((order(number),), producer=producer)
