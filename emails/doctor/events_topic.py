"""Check that the topic of SES's events takes them only from SES, and passes all of them unchanged to the queue.

Sources: SES developer guide, "Set up an Amazon SNS event destination"; SNS developer guide, "Raw message delivery",
"Subscription filter policies".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from django.conf import settings

from emails.ses import destinations
from emails.ses.destinations import Subscription
from queues.aws.failures import error_codes
from queues.aws.policies import is_for_everybody, listed, may_publish, statements
from queues.aws.sqs import Queue
from queues.doctor.findings import Finding, Verdict, missing_right
from queues.errors import QueueUnavailable

PROVISION = "python manage.py provision"
WHY = "Bounces and complaints stay unknown, and emails in doubt wait for a person."
# The fix for a topic that ``provision`` does not make.
_BY_HAND = "Edit the topic's access policy in the SNS console (docs/how-to/ses-events-by-https.md)."
_EQUALS = {"StringEquals", "StringLike", "ArnEquals", "ArnLike"}


def policy(topic: str) -> Iterator[Finding]:
    """Check that SES may publish for our configuration set, and that not everybody may."""
    name = topic.rpartition(":")[2]
    try:
        found = statements(destinations.topic_policy(topic))
    except QueueUnavailable as exc:
        yield unasked(exc, "sns:GetTopicAttributes", f"topic {name}")
        return
    fix = PROVISION if name == settings.SES_EVENTS_TOPIC else _BY_HAND
    if not any(_lets_ses_in(statement, topic) for statement in found):
        yield error(
            "events.topic_closed",
            f"The policy of the topic {name} does not let SES publish for the configuration set "
            f"{settings.SES_CONFIGURATION_SET}.",
            fix,
        )
    if any(is_for_everybody(statement) and may_publish(statement) for statement in found):
        yield Finding(
            "events.topic_open",
            f"The policy of the topic {name} lets anybody publish.",
            Verdict.ERROR,
            why="Whoever knows its ARN can make up bounces, and so have any address suppressed.",
            fix=fix,
        )


def way_to_queue(
    topic: str, queue: Queue, subscriptions: Sequence[Subscription]
) -> Iterator[Finding]:
    """Check the way from the topic to the queue: the subscription, how it delivers, and the queue's own policy."""
    name = topic.rpartition(":")[2]
    try:
        attributes = queue.attributes()
    except QueueUnavailable:
        # The check of the queues says so.
        return
    ours = [
        each
        for each in subscriptions
        if each.is_confirmed and each.endpoint == attributes.get("QueueArn")
    ]
    if not ours:
        yield error(
            "events.no_subscription", f"The queue {queue.name} is not subscribed to {name}."
        )
    elif topic not in attributes.get("Policy", ""):
        yield error(
            "events.not_let_in",
            f"The policy of {queue.name} does not let the topic {name} write to it.",
        )
    else:
        found = list(_subscription(ours[0], f"The subscription of {queue.name} to {name}"))
        yield from found
        if all(each.verdict != Verdict.ERROR for each in found):
            yield Finding("events.reach", f"SES's events reach {queue.name} by the topic {name}.")


def unasked(exc: QueueUnavailable, right: str, of: str) -> Finding:
    """Return the finding that AWS did not answer; this says nothing of the thing that we asked about."""
    if error_codes.is_denied(exc.code):
        return missing_right(str(exc), otherwise=right, of=of)
    if error_codes.is_lacking(exc.code):
        return Finding(
            "events.unknown",
            f"Not available here: this endpoint does not tell of {of}.",
            Verdict.NOTE,
        )
    return Finding(
        "events.unknown",
        f"AWS does not tell of {of}: {exc}",
        Verdict.WARNING,
        why="Nobody knows whether bounces and complaints reach us.",
        fix="Wait a moment and run the doctor again; if it stays, AWS's words above say why.",
    )


def error(key: str, what: str, fix: str = PROVISION) -> Finding:
    """Return the finding that the way of the events is broken at this place."""
    return Finding(key, what, Verdict.ERROR, why=WHY, fix=fix)


def _subscription(subscription: Subscription, named: str) -> Iterator[Finding]:
    try:
        found = destinations.subscription_attributes(subscription.arn)
    except QueueUnavailable as exc:
        yield unasked(exc, "sns:GetSubscriptionAttributes", named[0].lower() + named[1:])
        return
    if json.loads(found.get("FilterPolicy") or "{}"):
        yield error("events.filtered", f"{named} has a filter policy, so not all events arrive.")
    if found.get("RawMessageDelivery", "false").lower() != "true":
        yield Finding(
            "events.wrapped",
            f"{named} does not deliver raw.",
            Verdict.WARNING,
            why="Each event comes in a wrapper of SNS, which is read as well: larger, and slower to read.",
            fix=PROVISION,
        )


def _lets_ses_in(statement: Mapping[str, Any], topic: str) -> bool:
    principal = statement.get("Principal", {})
    services = principal.get("Service", []) if isinstance(principal, dict) else [principal]
    return (
        statement.get("Effect") == "Allow"
        and bool({"ses.amazonaws.com", "*"} & set(listed(services)))
        and may_publish(statement)
        and _is_met(statement.get("Condition", {}), topic)
    )


def _is_met(condition: Mapping[str, Mapping[str, Any]], topic: str) -> bool:
    """Say whether SES meets a condition by what it says of itself when it publishes.

    A condition on anything else is not met.
    """
    _, partition, _, region, account, _ = topic.split(":")
    named = settings.SES_CONFIGURATION_SET
    said = {
        "aws:sourceaccount": account,
        "aws:sourcearn": f"arn:{partition}:ses:{region}:{account}:configuration-set/{named}",
    }
    return all(
        operator in _EQUALS
        and any(fnmatchcase(said.get(key.lower(), ""), pattern) for pattern in listed(patterns))
        for operator, keys in condition.items()
        for key, patterns in keys.items()
    )
