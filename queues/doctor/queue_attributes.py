"""Compare a queue's attributes in SQS with those that ``provision`` would set, and find what breaks a promise.

Source: Amazon SQS developer guide, "Dead-letter queues", "Message retention", "Security best practices".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings

from queues.aws.policies import is_for_everybody, statements
from queues.aws.provisioning import DAY_SECONDS
from queues.aws.sqs import Queue
from queues.doctor.findings import Finding, Verdict
from queues.events.envelope import MAX_BYTES

PROVISION = "python manage.py provision"

Attributes = Mapping[str, str]


def of_queue(
    queue: Queue, attributes: Attributes, dead: Queue, dead_attributes: Attributes | None
) -> Iterator[Finding]:
    """Yield every finding about a queue that exists; ``dead_attributes`` is None where the DLQ could not be read."""
    found = [
        *_kind(queue, attributes),
        *_redrive(queue, attributes, dead, dead_attributes),
        *_size(queue, attributes),
        *_protection(queue, attributes),
    ]
    if dead_attributes is not None:
        found += [
            *_kind(dead, dead_attributes),
            *_retention(queue, attributes, dead, dead_attributes),
            *_taken(queue, attributes, dead, dead_attributes),
            *_protection(dead, dead_attributes),
        ]
    yield from found
    if not found:
        yield Finding("queue.right", f"{queue.name} and {dead.name} are as they should be.")


def _kind(queue: Queue, attributes: Attributes) -> Iterator[Finding]:
    """Check the kind of the queue. SQS derives it from the name, so only an emulator or a wrong URL can differ."""
    if (attributes.get("FifoQueue", "false") == "true") != queue.is_fifo:
        yield Finding(
            "queue.kind",
            f"{queue.name} is {'not ' if queue.is_fifo else ''}a FIFO queue.",
            Verdict.ERROR,
            why="Order within a group is kept on FIFO queues only, and their names end in .fifo.",
            fix="Name another queue in settings, then: " + PROVISION,
        )


def _redrive(
    queue: Queue, attributes: Attributes, dead: Queue, dead_attributes: Attributes | None
) -> Iterator[Finding]:
    policy = _json(attributes.get("RedrivePolicy"))
    if not policy:
        yield Finding(
            "queue.no_redrive_policy",
            f"{queue.name} has no redrive policy.",
            Verdict.ERROR,
            why="A message that always fails is received for ever, and is lost when its retention ends.",
            fix=PROVISION,
        )
        return
    target = str(policy.get("deadLetterTargetArn", ""))
    expected = (dead_attributes or {}).get("QueueArn") or dead.name
    if not target.endswith(expected):
        yield Finding(
            "queue.other_dead_letter_queue",
            f"{queue.name} moves what fails to {target.rpartition(':')[2]}, not to {dead.name}.",
            Verdict.ERROR,
            why="The collector reads another queue: dead letters never show in the admin.",
            fix=PROVISION,
        )
    count = str(policy.get("maxReceiveCount", ""))
    if count != str(settings.QUEUE_MAX_RECEIVE_COUNT):
        yield Finding(
            "queue.max_receive_count",
            f"{queue.name} gives up after {count} receives, QUEUE_MAX_RECEIVE_COUNT says "
            f"{settings.QUEUE_MAX_RECEIVE_COUNT}.",
            Verdict.WARNING,
            why="What a page or a log line says of the receives that are left is wrong.",
            fix=PROVISION,
        )


def _size(queue: Queue, attributes: Attributes) -> Iterator[Finding]:
    if int(attributes.get("MaximumMessageSize", MAX_BYTES)) < MAX_BYTES:
        yield Finding(
            "queue.maximum_size",
            f"{queue.name} takes messages of {attributes['MaximumMessageSize']} bytes at most.",
            Verdict.ERROR,
            why=f"An event may have {MAX_BYTES} bytes; SQS refuses the larger ones.",
            fix="Set MaximumMessageSize of the queue to 262144.",
        )
    if int(attributes.get("DelaySeconds", 0)):
        yield Finding(
            "queue.delay",
            f"{queue.name} delays each message by {attributes['DelaySeconds']} s.",
            Verdict.NOTE,
            why="Every email is so much later.",
            fix="Set DelaySeconds of the queue to 0, unless that is what you want.",
        )


def _retention(
    queue: Queue, attributes: Attributes, dead: Queue, dead_attributes: Attributes
) -> Iterator[Finding]:
    """Check that the DLQ keeps messages longer than the queue.

    On a standard queue the age counts from the first enqueue, so an equal retention may be used up already.
    """
    keeps, dead_keeps = (
        int(each.get("MessageRetentionPeriod", 0)) for each in (attributes, dead_attributes)
    )
    if dead_keeps <= keeps:
        yield Finding(
            "queue.retention",
            f"{dead.name} keeps messages {_days(dead_keeps)}, {queue.name} {_days(keeps)}.",
            Verdict.ERROR,
            why="A message keeps its age when SQS moves it: a dead letter may expire before it is collected.",
            fix=PROVISION,
        )


def _taken(
    queue: Queue, attributes: Attributes, dead: Queue, dead_attributes: Attributes
) -> Iterator[Finding]:
    allow = _json(dead_attributes.get("RedriveAllowPolicy"))
    permission = allow.get("redrivePermission", "allowAll")
    sources = allow.get("sourceQueueArns", [])
    if permission == "allowAll" or attributes.get("QueueArn") in sources:
        return
    yield Finding(
        "queue.redrive_not_allowed",
        f"{dead.name} does not take messages from {queue.name}.",
        Verdict.ERROR,
        why="SQS cannot move what fails.",
        fix="Name the queue in RedriveAllowPolicy of the dead-letter queue, or: " + PROVISION,
    )


def _protection(queue: Queue, attributes: Attributes) -> Iterator[Finding]:
    is_encrypted = attributes.get("SqsManagedSseEnabled") == "true" or attributes.get(
        "KmsMasterKeyId"
    )
    if not is_encrypted:
        yield Finding(
            "queue.not_encrypted",
            f"{queue.name} is not encrypted at rest.",
            Verdict.WARNING,
            why="Messages hold names and addresses of customers.",
            fix=PROVISION,
        )
    found = statements(_json(attributes.get("Policy")))
    if any(map(is_for_everybody, found)):
        yield Finding(
            "queue.open",
            f"The policy of {queue.name} lets anybody in.",
            Verdict.ERROR,
            why="Whoever knows the queue's address can read customers' data or make us send emails.",
            fix="Take the statement with Principal * out of the queue's policy.",
        )
    # A local AWS is reached by plain HTTP.
    if not settings.AWS_ENDPOINT_URL and not any(map(_demands_tls, found)):
        yield Finding(
            "queue.plain_http",
            f"The policy of {queue.name} does not refuse requests without TLS.",
            Verdict.WARNING,
            why="AWS's own security checks (SQS.3, CIS) ask for a Deny where aws:SecureTransport is false.",
            fix=PROVISION + ", or the template in infra/ where your version has one.",
        )


def _demands_tls(statement: Mapping[str, Any]) -> bool:
    condition = statement.get("Condition", {}).get("Bool", {})
    return statement.get("Effect") == "Deny" and (
        str(condition.get("aws:SecureTransport", "")).lower() == "false"
    )


def _json(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _days(seconds: int) -> str:
    return f"{seconds / DAY_SECONDS:g} days" if seconds >= DAY_SECONDS else f"{seconds} s"
