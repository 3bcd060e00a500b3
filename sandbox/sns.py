"""moto's SNS, corrected where fan-out depends on it.

A topic delivers to the queues that are there, as AWS does: moto fails the whole publishing where one is missing. A FIFO
topic drops a repeat of a deduplication id within 5 minutes: moto leaves that to FIFO queues, and a standard queue gets
it twice.
"""

from __future__ import annotations

import logging
import time
from threading import RLock
from typing import Any

from moto.sns.exceptions import InvalidParameterValue
from moto.sns.models import Subscription, Topic
from moto.sqs.exceptions import QueueDoesNotExist

from sandbox.sqs import InvalidMessageContents, refuse_characters

DEDUPLICATION_SECONDS = 5 * 60

logger = logging.getLogger(__name__)


class SandboxSubscription(Subscription):  # type: ignore[misc]  # moto is untyped here
    """One that loses what its queue is not there for."""

    def publish(self, *args: Any, **kwargs: Any) -> None:
        """Deliver, if the filter policy lets it through."""
        try:
            super().publish(*args, **kwargs)
        except QueueDoesNotExist:
            logger.warning("not delivered, there is no queue %s", self.endpoint)


class SandboxTopic(Topic):  # type: ignore[misc]  # moto is untyped here
    """A topic that remembers what was published."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = RLock()
        # By deduplication id: when, and as what.
        self._published: dict[str, tuple[float, str]] = {}

    def publish(self, *args: Any, **kwargs: Any) -> str:
        """Deliver to every subscription, one message after the other; returns its id."""
        deduplication_id = kwargs.get("deduplication_id")
        _refuse_characters(str(args[0] if args else kwargs["message"]))
        with self._lock:
            if not (self.fifo_topic and deduplication_id):
                return str(super().publish(*args, **kwargs))
            self._forget(before=time.monotonic() - DEDUPLICATION_SECONDS)
            if deduplication_id not in self._published:
                message_id = str(super().publish(*args, **kwargs))
                self._published[deduplication_id] = time.monotonic(), message_id
            return self._published[deduplication_id][1]

    def _forget(self, *, before: float) -> None:
        self._published = {
            key: published for key, published in self._published.items() if published[0] > before
        }


def _refuse_characters(message: str) -> None:
    """Refuse what no queue could be given."""
    try:
        refuse_characters(message)
    except InvalidMessageContents as exc:
        raise InvalidParameterValue(f"Invalid parameter: Message Reason: {exc.message}") from exc
