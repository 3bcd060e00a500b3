"""Make queues, redrive policies, topics and subscriptions, or bring existing ones in line, without duplicates.

What is stronger than we need stays: a KMS key, a longer retention, a longer visibility timeout. So does a queue of
another account.

Source: SQS API reference, "SetQueueAttributes": a queue has one kind of encryption, so that SSE-SQS would end that of
KMS; "Cross-account permissions don't apply to this action".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from django.conf import settings

from queues import registry
from queues.aws import account, sqs, subscriptions
from queues.aws.clients import translated
from queues.aws.failures.error_codes import is_lacking
from queues.aws.policies import TLS_ONLY, grant
from queues.aws.sqs import Queue
from queues.errors import QueueMissing, QueueUnavailable

DAY_SECONDS = 86_400
# The longest that SQS keeps a message. In a standard queue's DLQ the time counts from when it was first sent.
DEAD_LETTER_RETENTION_DAYS = 14
RETENTION_DAYS = 4

# The codes with which emulators answer to an attribute that they do not know.
_UNKNOWN_ATTRIBUTE = {"InvalidAttributeName", "InvalidAttributeValue"}

Say = Callable[[str], None]

# Each holds for others too: for a person who reads the queue, or for Lambda, which needs six times its own timeout.
_AT_LEAST = ("MessageRetentionPeriod", "VisibilityTimeout")

_BASE = {"SqsManagedSseEnabled": "true"}
_LONGEST = {"MessageRetentionPeriod": str(DEAD_LETTER_RETENTION_DAYS * DAY_SECONDS)}


@translated("provision", kind="thing")
def provision(say: Say) -> None:
    """Provision everything that settings name, and report line by line; raises QueueUnavailable."""
    for queue in sqs.queues():
        _provision_queue(queue, say)
    if archive := sqs.archive_queue():
        _provision_archive(archive, say)
    subscriptions.provision(say)
    for provisioner in registry.provisioners:
        provisioner(say)


def _provision_archive(archive: Queue, say: Say) -> None:
    if account.is_foreign(archive.place):
        say(f"left queue {archive.name} alone: account {archive.place.account} owns it")
        return
    _ensure(archive, _BASE | _LONGEST, say)
    grant(archive, TLS_ONLY, say)


def _provision_queue(queue: Queue, say: Say) -> None:
    if account.is_foreign(queue.place):
        say(f"left queue {queue.name} alone: account {queue.place.account} owns it and its DLQ")
        return
    dead_letters = sqs.dead_letter_queue(queue.alias)
    base = _BASE | ({"FifoQueue": "true"} if queue.is_fifo else {})
    _ensure(dead_letters, base | _LONGEST, say)
    policy = {
        "deadLetterTargetArn": dead_letters.attributes()["QueueArn"],
        "maxReceiveCount": settings.QUEUE_MAX_RECEIVE_COUNT,
    }
    wanted = {
        "MessageRetentionPeriod": str(RETENTION_DAYS * DAY_SECONDS),
        "VisibilityTimeout": str(settings.QUEUE_VISIBILITY_SECONDS),
        "RedrivePolicy": json.dumps(policy),
    }
    _ensure(queue, base | wanted, say)
    _allow_redrive(dead_letters, queue, say)
    for each in (queue, dead_letters):
        grant(each, TLS_ONLY, say)


def _allow_redrive(dead_letters: Queue, source: Queue, say: Say) -> None:
    """Let only ``source`` use this DLQ: messages from another queue would be taken for those of ``source``."""
    allowed = {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [source.attributes()["QueueArn"]],
    }
    try:
        _fix(dead_letters, {"RedriveAllowPolicy": json.dumps(allowed)}, say)
    except QueueUnavailable as exc:
        if exc.code not in _UNKNOWN_ATTRIBUTE and not is_lacking(exc.code):
            raise
        say(f"not available at this endpoint: RedriveAllowPolicy of queue {dead_letters.name}")


def _ensure(queue: Queue, wanted: Mapping[str, str], say: Say) -> None:
    try:
        if not _fix(queue, wanted, say):
            say(f"queue {queue.name} is as it should be")
    except QueueMissing:
        queue.create(wanted)
        say(f"made queue {queue.name}")


def _fix(queue: Queue, wanted: Mapping[str, str], say: Say) -> bool:
    """Bring the queue's attributes in line; True if any had to change."""
    found = queue.attributes()
    changes = {name: value for name, value in wanted.items() if not _same(found.get(name), value)}
    for name in list(changes):
        if reason := _why_it_stays(name, found, changes[name]):
            del changes[name]
            say(f"left {name} of queue {queue.name} alone: {reason}")
    if changes:
        queue.set_attributes(changes)
        say(f"fixed queue {queue.name}: {', '.join(sorted(changes))}")
    return bool(changes)


def _why_it_stays(name: str, found: Mapping[str, str], wanted: str) -> str:
    """Say why an attribute stays as it was found, where our value would weaken the queue."""
    if name == "SqsManagedSseEnabled" and found.get("KmsMasterKeyId"):
        return f"the KMS key {found['KmsMasterKeyId']} encrypts it"
    if name in _AT_LEAST and int(found.get(name, 0)) > int(wanted):
        return f"its {found[name]} seconds are more than our {wanted}"
    return ""


def _same(found: str | None, wanted: str) -> bool:
    if found is None or not wanted.startswith("{"):
        return found == wanted
    as_text = {key: str(value) for key, value in json.loads(found).items()}
    return as_text == {key: str(value) for key, value in json.loads(wanted).items()}
