"""Put our statements into the access policy of a queue or topic, and keep those of others.

Source: Amazon SQS developer guide, "Custom access policies".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from queues.aws import account
from queues.aws.sqs import Queue

# SQS denies every request without TLS, whatever rights the caller has.
TLS_ONLY: dict[str, Any] = {
    "Sid": "TlsOnly",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def grant(queue: Queue, statement: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """Put a statement into the queue's policy, in place of any with the same ``Sid``; fills in ``Resource``.

    Other statements stay, except the same one without a ``Sid``, which earlier releases made. So does the policy of a
    queue of another account, which only its owner may change. Raises QueueUnavailable.
    """
    if account.is_foreign(queue.place):
        say(f"left the policy of queue {queue.name} alone: account {queue.place.account} owns it")
        return
    found = queue.attributes()
    policy = json.loads(found.get("Policy") or "{}")
    wanted = dict(statement) | {"Resource": found["QueueArn"]}
    before = statements(policy)
    others = [
        one
        for one in before
        if one.get("Sid") != wanted["Sid"] and one | {"Sid": wanted["Sid"]} != wanted
    ]
    if wanted in before and len(others) == len(before) - 1:
        return
    changed = {"Version": "2012-10-17"} | policy | {"Statement": [*others, wanted]}
    queue.set_attributes({"Policy": json.dumps(changed)})
    say(f"fixed queue {queue.name}: policy {wanted['Sid']}")


def statements(policy: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the policy's statements; a single one may stand without a list."""
    found = policy.get("Statement", [])
    return found if isinstance(found, list) else [found]


def is_for_everybody(statement: Mapping[str, Any]) -> bool:
    """True if the statement allows anybody, without a condition."""
    principal = statement.get("Principal")
    named = principal.get("AWS") if isinstance(principal, dict) else principal
    return (
        statement.get("Effect") == "Allow"
        and not statement.get("Condition")
        and (named == "*" or (isinstance(named, list) and "*" in named))
    )


def may_publish(statement: Mapping[str, Any]) -> bool:
    """True if the statement, an Allow or a Deny, is about publishing to a topic."""
    return any(
        fnmatchcase("sns:publish", action.lower()) for action in listed(statement.get("Action", []))
    )


def listed(one_or_more: str | list[str]) -> list[str]:
    """Return a list, where a policy may have one value without one."""
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


def topics_may_send(sid: str, source: str | list[str]) -> dict[str, Any]:
    """Make a statement that lets these topics, given by one ARN or several, send to the queue."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }
