"""Check whether SES's events reach us: the configuration set, its event destination, and the topic.

``events_topic`` checks what stands behind the topic.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from emails.doctor import events_topic
from emails.doctor.events_topic import PROVISION, WHY, error, unasked
from emails.ses import destinations
from emails.ses.destinations import Destination
from emails.ses.provisioning import EVENT_TYPES, NOT_IN_VERSION_1
from queues.aws import sqs
from queues.doctor.findings import Finding, Verdict
from queues.errors import QueueUnavailable

ALIAS = "ses-events"
# As version 1 of the API names them, which is asked.
_WANTED = {kind.lower() for kind in EVENT_TYPES if kind not in NOT_IN_VERSION_1}
_NO_SET = {"ConfigurationSetDoesNotExist", "NotFoundException"}
_NO_TOPIC = {"NotFound", "NotFoundException"}


def look() -> Iterator[Finding]:
    """Follow the way from SES to the queue; stop where it is broken."""
    name = settings.SES_CONFIGURATION_SET
    if not name:
        yield Finding(
            "events.off",
            "SES_CONFIGURATION_SET is empty: SES tells nobody what becomes of emails.",
            Verdict.WARNING,
            why=WHY,
            fix="Set SES_CONFIGURATION_SET and SES_EVENTS_TOPIC, then: " + PROVISION,
        )
        return
    try:
        found = destinations.destinations()
    except QueueUnavailable as exc:
        yield _set_unknown(name, exc)
        return
    yield Finding("events.set", f"The configuration set {name} is there.")
    topics = {*settings.SES_WEBHOOK_TOPICS, settings.SES_EVENTS_TOPIC} - {""}
    ours = [each for each in found if each.topic and _is_ours(each.topic, topics)]
    if not ours:
        yield error(
            "events.no_destination",
            f"No event destination of {name} leads to {' or '.join(sorted(topics)) or 'a topic of ours'}.",
        )
    for destination in ours:
        yield from _destination(destination)


def _is_ours(topic: str, names: set[str]) -> bool:
    return topic in names or topic.rpartition(":")[2] in names


def _set_unknown(name: str, exc: QueueUnavailable) -> Finding:
    if exc.code in _NO_SET:
        return Finding(
            "events.no_set",
            f"There is no configuration set {name}.",
            Verdict.ERROR,
            why="SES refuses every email that names it, and ours all do.",
            fix=PROVISION,
        )
    return unasked(exc, "ses:DescribeConfigurationSet", f"configuration set {name}")


def _destination(destination: Destination) -> Iterator[Finding]:
    if not destination.is_enabled:
        yield error(
            "events.disabled",
            f"The event destination {destination.name} is switched off.",
            "Enable it in the SES console, under the configuration set.",
        )
    lacking = sorted(_WANTED - destination.event_types)
    if lacking:
        yield Finding(
            "events.types",
            f"The event destination {destination.name} does not publish {', '.join(lacking)}.",
            Verdict.WARNING,
            why="What SES does not publish is never known; without send, doubts do not end by themselves.",
            fix="Add these event types to it in the SES console, under the configuration set.",
        )
    yield from _topic(destination.topic)


def _topic(topic: str) -> Iterator[Finding]:
    name = topic.rpartition(":")[2]
    try:
        found = destinations.subscriptions(topic)
    except QueueUnavailable as exc:
        if exc.code in _NO_TOPIC:
            yield error("events.no_topic", f"There is no topic {name}, where SES sends its events.")
        else:
            yield unasked(exc, "sns:ListSubscriptionsByTopic", f"topic {name}")
        return
    yield from events_topic.policy(topic)
    if ALIAS in settings.QUEUES and name == settings.SES_EVENTS_TOPIC:
        yield from events_topic.way_to_queue(topic, sqs.queue(ALIAS), found)
        return
    webhooks = [each for each in found if each.protocol == "https"]
    if any(each.is_confirmed for each in webhooks):
        yield Finding("events.webhook", f"The topic {name} posts to {webhooks[0].endpoint}.")
    else:
        yield error(
            "events.no_webhook",
            f"The topic {name} has no confirmed subscription by HTTPS.",
            f"Subscribe {settings.BASE_URL}/ses/events/ to it (docs/how-to/ses-events-by-https.md).",
        )
