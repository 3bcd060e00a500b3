"""Show the ceiling of boto3 alone: threads receive ten, send ten and delete ten; nothing is rendered or recorded."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.compare.order_events import order, order_number
from benchmarks.peers import order_email
from benchmarks.peers.order_email import CONCURRENCY, ENDPOINT, QUEUE_URL, SENDER


def main() -> None:
    """Work until the process is ended."""
    order_email.set_up()
    email = order_email.build(order(0)).message().as_bytes()
    sqs, send = order_email.sqs(), _sender()
    for _ in range(CONCURRENCY):
        threading.Thread(target=_loop, args=(sqs, send, email)).start()


def _loop(sqs: Any, send: Callable[[str, bytes], Any], email: bytes) -> None:
    placeholder = order_number(0).encode()
    while True:
        answer = sqs.receive_message(QueueUrl=QUEUE_URL, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        done = []
        for number, message in enumerate(answer.get("Messages", [])):
            data = json.loads(message["Body"])["data"]
            send(
                data["customer"]["email"],
                email.replace(placeholder, data["order_number"].encode(), 1),
            )
            done.append({"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]})
        if done:
            sqs.delete_message_batch(QueueUrl=QUEUE_URL, Entries=done)


def _sender() -> Callable[[str, bytes], Any]:
    config = Config(max_pool_connections=CONCURRENCY)
    if os.environ.get("PEER_SES") == "v2":
        version_2 = boto3.client("sesv2", endpoint_url=ENDPOINT, config=config)
        return lambda recipient, email: version_2.send_email(
            FromEmailAddress=SENDER,
            Destination={"ToAddresses": [recipient]},
            Content={"Raw": {"Data": email}},
        )
    version_1 = boto3.client("ses", endpoint_url=ENDPOINT, config=config)
    return lambda recipient, email: version_1.send_raw_email(
        Source=SENDER, Destinations=[recipient], RawMessage={"Data": email}
    )


if __name__ == "__main__":
    main()
