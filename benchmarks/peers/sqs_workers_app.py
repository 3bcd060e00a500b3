"""sqs-workers: each process handles one message at a time, so there are several."""

from __future__ import annotations

import json
import os
from typing import Any

import boto3
from sqs_workers import RawQueue, SQSEnv

from benchmarks.peers import order_email
from benchmarks.peers.order_email import CONCURRENCY, QUEUE

order_email.set_up()
queue = SQSEnv(session=boto3.Session()).queue(QUEUE, RawQueue)


@queue.raw_processor()
def send(message: Any) -> None:
    """The work."""
    order_email.send(json.loads(message.body)["data"])


if __name__ == "__main__":
    for _ in range(CONCURRENCY - 1):
        if not os.fork():
            break
    queue.process_queue(wait_second=20)
