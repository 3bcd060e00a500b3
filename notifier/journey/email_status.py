"""Tell the API the delivery status of an order's email, the same as the order's page shows."""

from __future__ import annotations

from datetime import datetime

from notifier.journey import email_timeline
from notifier.journey.email_timeline import Timeline
from orders import email_status
from orders.email_status import EmailStatus
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


def _status(found: Timeline) -> EmailStatus:
    return EmailStatus(
        status=found.status,
        message=found.verdict.message,
        steps=[EmailStep(step.name.lower(), step.state, step.at) for step in found.steps],
    )
