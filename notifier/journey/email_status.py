"""Tell the orders app what happened to emails: its API as the order's page does, and its admin in one word."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from notifier.journey import email_outcomes, email_timeline
from notifier.journey.email_timeline import Timeline
from orders import email_status
from orders.email_status import EmailOutcome, EmailStatus
from queues.answers import EmailStep


@email_status.register
class Teller:
    """Report email statuses to the orders app: SES's word where SES has reported, else our own state."""

    def of(self, subject: str) -> EmailStatus:
        """Return the status of the email about this subject, as the order's page shows it."""
        return _status(email_timeline.of(subject))

    def recorded(self, at: datetime) -> EmailStatus:
        """Return the status of an event recorded in this transaction, which cannot be published yet."""
        return _status(email_timeline.of_new(at))

    def outcomes(self, subjects: Collection[str]) -> Mapping[str, EmailOutcome]:
        """Return the outcome of the email about each of these subjects."""
        return email_outcomes.of_subjects(subjects)

    def newest(self, rows: QuerySet[Any], column: str) -> Mapping[Any, EmailOutcome]:
        """Return the outcome of the newest email to the address in this column, by the row's key."""
        return email_outcomes.of_addresses(rows, column)


def _status(found: Timeline) -> EmailStatus:
    return EmailStatus(
        status=found.status,
        message=found.verdict.message,
        steps=[EmailStep(step.name.lower(), step.state, step.at) for step in found.steps],
    )
