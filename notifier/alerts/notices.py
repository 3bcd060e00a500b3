"""Say one thing that needs a person, or that is over, in the lines of which an alert is made."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.conf import settings

from notifier.alerts import concerns, costs, resolved
from notifier.alerts.concerns import DEAD_LETTERS, Cause, Concern
from notifier.alerts.costs import Cost
from queues.console import moment
from queues.models import DeadLetter

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Alert:
    """An alert about one cause; ``told_at`` is when this cause was last alerted, None if never."""

    concern: Concern
    cause: Cause
    told_at: datetime | None

    @property
    def name(self) -> str:
        """The name of the duty that limits how often this cause is alerted."""
        return duty_of(self.cause)

    @cached_property
    def cost(self) -> Cost | None:
        """What it costs, if it is about dead letters."""
        if self.concern.key != DEAD_LETTERS:
            return None
        return costs.of(fingerprint_of(self.cause), count=self.cause.count)

    @property
    def urgency(self) -> tuple[bool, int, int]:
        """The key to sort by, the most urgent first: what costs customers most, then what stops emails."""
        cost = self.cost
        return (
            self.concern.colour != concerns.DANGER,
            -(cost.customers if cost else 0),
            -(cost.cents if cost else 0),
        )

    @property
    def headline(self) -> str:
        """Say shortly what happened and what it costs, without the reason: it may quote a customer's data."""
        if self.cost:
            return self.cost.headline
        title, count = self.concern.title, self.cause.count
        if count > 1:
            return f"{count:,} {title[0].lower()}{title[1:]}"
        return f"1 {self.concern.one}" if self.concern.one else title

    @property
    def facts(self) -> Sequence[str]:
        """Who waits, the reason as it came, and what is new."""
        who = self.cost.who if self.cost else ""
        reason = self.cause.text if self.concern.causes else ""
        return [line for line in (who, reason, self._news) if line]

    @property
    def advice(self) -> str:
        """What to do."""
        return (self.cost and self.cost.todo) or self.concern.advice

    @property
    def link(self) -> str:
        """The page that shows the cause."""
        return f"{settings.BASE_URL}{self.concern.address_of(self.cause)}"

    def settle(self) -> None:
        """Remember that this alert was sent, so that its end is announced too."""
        resolved.mark(self.cause.key)
        logger.warning("alerted cause=%s", self.cause.key)

    @property
    def _news(self) -> str:
        """Say that the cause is new, or how many more rows it has; empty where rows have no date."""
        if self.cause.newest is None:
            return ""
        if self.told_at is None:
            return "New."
        return f"{_dead_letters_since(self.cause, self.told_at)} more since {moment(self.told_at)}."


def duty_of(cause: Cause) -> str:
    """Return the name of the duty that limits how often this cause is alerted."""
    return resolved.alert_duty(cause.key)


def fingerprint_of(cause: Cause) -> str:
    """Return the fingerprint of a cause of dead letters."""
    return cause.key.removeprefix(f"{DEAD_LETTERS} ").strip()


def _dead_letters_since(cause: Cause, told_at: datetime) -> str:
    rows = DeadLetter.objects.waiting().filter(
        fingerprint=fingerprint_of(cause), collected_at__gt=told_at
    )
    count = rows.order_by()[: concerns.MOST].count()
    return f"{count:,}"
