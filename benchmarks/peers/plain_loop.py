"""The loop of the tutorials: receive, send, delete, one after the other.

``--batch N`` receives so many at once; ``--keep-connection`` opens SES once instead of for each email;
``--delete-batch`` deletes them together, as AWS Lambda does after a function returned.
"""

from __future__ import annotations

import argparse
import json

from benchmarks.peers import order_email
from benchmarks.peers.order_email import QUEUE_URL


def main() -> None:
    """Work until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--keep-connection", action="store_true")
    parser.add_argument("--delete-batch", action="store_true")
    options = parser.parse_args()
    order_email.set_up()
    sqs = order_email.sqs()
    while True:
        answer = sqs.receive_message(
            QueueUrl=QUEUE_URL, MaxNumberOfMessages=options.batch, WaitTimeSeconds=20
        )
        messages = answer.get("Messages", [])
        for message in messages:
            order = json.loads(message["Body"])["data"]
            if options.keep_connection:
                order_email.send(order)
            else:
                order_email.build(order).send()
            if not options.delete_batch:
                sqs.delete_message(QueueUrl=QUEUE_URL, ReceiptHandle=message["ReceiptHandle"])
        if messages and options.delete_batch:
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages)
            ]
            sqs.delete_message_batch(QueueUrl=QUEUE_URL, Entries=entries)


if __name__ == "__main__":
    main()
