"""A core banking application that is no part of Notifier: it posts transactions straight to the FIFO queue.

It needs boto3 and nothing else, and knows of Notifier only the contract in docs/events/. Each transaction becomes an
alert to the account's holder. What does not fit becomes a dead letter that says why.

    python examples/core_banking_app.py deposit 150.00 --account US100200304821 \\
        --holder "Ada Lovelace" --email ada@example.com --balance 2650.00

The SDK's usual settings say where SQS is and who calls it: AWS_REGION (or AWS_DEFAULT_REGION), AWS_ENDPOINT_URL for a
local AWS, and credentials with the right sqs:SendMessage on the queue.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import uuid
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

QUEUE = "notifier-transactions.fifo"


def main(arguments: list[str] | None = None) -> int:
    """Post what the command line says; 0 if SQS took it, 1 if not."""
    options = _parser().parse_args(arguments)
    event = transaction_posted(options)
    try:
        message_id = send(event, queue=options.queue)
    except (BotoCoreError, ClientError) as exc:
        print(f"not posted: {exc}", file=sys.stderr)
        return 1
    print(f"posted {event['subject']}: event {event['id']}, message {message_id}")
    return 0


def transaction_posted(options: argparse.Namespace) -> dict[str, Any]:
    """The event, a CloudEvents 1.0 envelope: docs/events/transaction.posted.v1.schema.json."""
    now = datetime.now(UTC).isoformat()
    reference = options.reference or f"CORE-{uuid.uuid4().hex[:12].upper()}"
    return {
        "specversion": "1.0",
        # Sent again after an error, it must be the same: by its id Notifier knows what it has sent.
        "id": str(options.event_id or uuid.uuid4()),
        "source": "/core-banking",
        "type": "transaction.posted.v1",
        "subject": reference,
        "time": now,
        "datacontenttype": "application/json",
        # Alerts of one account arrive in the order of its messages. No person is named in it.
        "partitionkey": f"core-{uuid.uuid5(uuid.NAMESPACE_OID, options.account)}",
        "data": {
            "reference": reference,
            "kind": options.kind,
            "amount_cents": _cents(options.amount),
            "currency": options.currency,
            "balance_cents": _cents(options.balance),
            "posted_at": now,
            "description": options.description,
            "account": {
                "number_masked": f"•••• {options.account[-4:]}",
                "holder_name": options.holder,
                "holder_email": options.email,
            },
        },
    }


def send(event: dict[str, Any], *, queue: str) -> str:
    """Put it on the queue, named by name or URL; returns SQS's message id."""
    sqs = boto3.client("sqs", region_name=os.environ.get("AWS_REGION"))
    url = queue if "://" in queue else sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    answer = sqs.send_message(
        QueueUrl=url,
        MessageBody=json.dumps(event),
        MessageGroupId=event["partitionkey"],
        # SQS drops a repeat within five minutes; after that Notifier knows it by its id.
        MessageDeduplicationId=event["id"],
    )
    message_id: str = answer["MessageId"]
    return message_id


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Post a transaction to Notifier's queue.")
    parser.add_argument("kind", choices=["deposit", "withdrawal"])
    parser.add_argument("amount", type=_amount, help="for example 150.00")
    parser.add_argument("--account", required=True, help="the account's number; its end is sent")
    parser.add_argument("--holder", required=True, help="the name of the account's holder")
    parser.add_argument("--email", required=True, help="where the alert goes")
    parser.add_argument("--balance", type=_amount, required=True, help="after the transaction")
    parser.add_argument("--currency", default="USD")
    parser.add_argument("--description", default="")
    parser.add_argument("--reference", help="the transaction's own; a new one unless given")
    parser.add_argument("--event-id", type=uuid.UUID, help="to send an event again")
    parser.add_argument("--queue", default=os.environ.get("QUEUE_TRANSACTIONS", QUEUE))
    return parser


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount") from None
    if not amount.is_finite() or amount != round(amount, 2):
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount with two decimals")
    return amount


def _cents(amount: Decimal) -> int:
    return int(amount * 100)


if __name__ == "__main__":
    sys.exit(main())
