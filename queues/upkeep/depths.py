"""Measure how full the queues are: one consumer asks SQS every 15 seconds, so that no page waits for AWS."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from django.conf import settings

from queues.aws import sns, sqs
from queues.errors import QueueMissing, QueueUnavailable
from queues.models import OutboxEvent, in_state
from queues.models.live import QueueDepth
from queues.registry import watches
from queues.upkeep import duties

logger = logging.getLogger(__name__)

EVERY_SECONDS = 15


@watches
def measure() -> int:
    """Ask SQS about every queue in settings; returns for how many it answered."""
    now = duties.take("depths", every=EVERY_SECONDS)
    return sum(_measure(alias, now) for alias in settings.QUEUES) if now else 0


def _measure(alias: str, now: datetime) -> bool:
    """Store the queue's depth; if SQS does not answer, keep the old figures and store the reason."""
    try:
        found = _asked(alias)
    except QueueUnavailable as exc:
        logger.warning("depth unknown queue=%s: %s", alias, exc)
        found = {"error": str(exc)}
    QueueDepth.objects.update_or_create(
        alias=alias, defaults={"error": "", "asked_at": now, **found}
    )
    return not found.get("error")


def _asked(alias: str) -> dict[str, Any]:
    depth, dead = sqs.queue(alias).depth(), sqs.dead_letter_queue(alias).depth()
    published = OutboxEvent.objects.filter(in_state(OutboxEvent.State.PUBLISHED), queue=alias)
    return {
        "visible": depth.visible,
        "in_flight": depth.in_flight,
        "delayed": depth.delayed,
        "dead": dead.visible + dead.in_flight + dead.delayed,
        "error": _trouble_of_topic(alias),
        "oldest_at": published.order_by("published_at")
        .values_list("published_at", flat=True)
        .first(),
    }


def _trouble_of_topic(alias: str) -> str:
    """Return why the queue's topic cannot deliver to it; empty if it can, or if SNS does not let us ask."""
    topic = sns.topic(alias)
    if topic is None:
        return ""
    queue = sqs.queue(alias)
    try:
        if topic.subscription(queue.attributes()["QueueArn"]):
            return ""
    except QueueMissing as exc:
        return str(exc)
    except QueueUnavailable as exc:
        logger.info("subscriptions unknown topic=%s: %s", topic.name, exc)
        return ""
    return f"topic {topic.name} does not deliver to it; run: manage.py provision"
