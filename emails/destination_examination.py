"""Whether SES's events reach us: configuration set, event destination, topic, subscription, queue policy."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from emails import destinations
from emails.destinations import Destination
from emails.provisioning import EVENT_TYPES, NOT_IN_VERSION_1
from queues import sqs
from queues.doctor import DENIED, Finding, Verdict, missing_right
from queues.errors import QueueUnavailable

ALIAS = "ses-events"
PROVISION = "python manage.py provision"
_WHY = "Bounces and complaints stay unknown, and emails in doubt wait for a person."
# As version 1 of the API names them, which is asked.
_WANTED = {kind.lower() for kind in EVENT_TYPES if kind not in NOT_IN_VERSION_1}
_NO_SET = {"ConfigurationSetDoesNotExist", "NotFoundException"}
_NO_TOPIC = {"NotFound", "NotFoundException"}
_LACKING = {"InvalidAction", "UnknownOperationException", "UnsupportedOperation", "NotImplemented"}


def look() -> Iterator[Finding]:
    """From SES to the queue; ends where the way is broken."""
    name = settings.SES_CONFIGURATION_SET
    if not name:
        yield Finding(
            "events.off",
            "SES_CONFIGURATION_SET is empty: SES tells nobody what becomes of emails.",
            Verdict.WARNING,
            why=_WHY,
            mend="Set SES_CONFIGURATION_SET and SES_EVENTS_TOPIC, then: " + PROVISION,
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
        yield _error(
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
            mend=PROVISION,
        )
    return _unasked(exc, "ses:DescribeConfigurationSet", f"configuration set {name}")


def _unasked(exc: QueueUnavailable, right: str, of: str) -> Finding:
    if exc.code in DENIED:
        return missing_right(str(exc), otherwise=right, of=of)
    if exc.code in _LACKING:
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
        mend="Wait a moment and run the doctor again; if it stays, AWS's words above say why.",
    )


def _error(key: str, what: str, mend: str = PROVISION) -> Finding:
    return Finding(key, what, Verdict.ERROR, why=_WHY, mend=mend)


def _destination(destination: Destination) -> Iterator[Finding]:
    if not destination.is_enabled:
        yield _error(
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
            mend="Add these event types to it in the SES console, under the configuration set.",
        )
    yield from _topic(destination.topic)


def _topic(topic: str) -> Iterator[Finding]:
    name = topic.rpartition(":")[2]
    try:
        found = destinations.subscriptions(topic)
    except QueueUnavailable as exc:
        if exc.code in _NO_TOPIC:
            yield _error(
                "events.no_topic", f"There is no topic {name}, where SES sends its events."
            )
        else:
            yield _unasked(exc, "sns:ListSubscriptionsByTopic", f"topic {name}")
        return
    if ALIAS in settings.QUEUES and name == settings.SES_EVENTS_TOPIC:
        yield from _queue(topic, {each.endpoint for each in found if each.is_confirmed})
        return
    webhooks = [each for each in found if each.protocol == "https"]
    if any(each.is_confirmed for each in webhooks):
        yield Finding("events.webhook", f"The topic {name} posts to {webhooks[0].endpoint}.")
    else:
        yield _error(
            "events.no_webhook",
            f"The topic {name} has no confirmed subscription by HTTPS.",
            f"Subscribe {settings.BASE_URL}/ses/events/ to it (docs/operating.md, SES's events by HTTPS).",
        )


def _queue(topic: str, endpoints: set[str]) -> Iterator[Finding]:
    name, queue = topic.rpartition(":")[2], sqs.queue(ALIAS)
    try:
        attributes = queue.attributes()
    except QueueUnavailable:
        # The examination of the queues says so.
        return
    if attributes["QueueArn"] not in endpoints:
        yield _error(
            "events.no_subscription", f"The queue {queue.name} is not subscribed to {name}."
        )
    elif topic not in attributes.get("Policy", ""):
        yield _error(
            "events.not_let_in",
            f"The policy of {queue.name} does not let the topic {name} write to it.",
        )
    else:
        yield Finding("events.reach", f"SES's events reach {queue.name} by the topic {name}.")
