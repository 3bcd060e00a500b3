"""What became of an order's email, for the API: the same as on the order's page."""

from __future__ import annotations

from notifier.journey import email_timeline
from notifier.journey.email_timeline import Timeline
from orders import email_status
from orders.email_status import EmailStatus, Step


class Teller:
    """Its status is SES's word where SES has one, else ours for where it stands."""

    def of(self, subject: str) -> EmailStatus:
        """As the order's page has it."""
        return _status(email_timeline.of(subject))

    def recorded(self) -> EmailStatus:
        """Of one that nobody can have published yet."""
        return _status(email_timeline.of_new())


email_status.register(Teller())


def _status(found: Timeline) -> EmailStatus:
    return EmailStatus(
        status=found.status,
        message=found.verdict.message,
        steps=[Step(step.name.lower(), step.state, step.at) for step in found.steps],
    )
