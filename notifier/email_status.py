"""What became of an order's email, for the API: the same as on the order's page."""

from __future__ import annotations

from notifier import timeline
from orders import email_status
from orders.email_status import EmailStatus, Step


@email_status.tells
def tell(subject: str) -> EmailStatus:
    """Its status is SES's word where SES has one, else ours for where it stands."""
    found = timeline.of(subject)
    return EmailStatus(
        status=found.status,
        message=found.verdict.message,
        steps=[Step(step.name.lower(), step.state, step.at) for step in found.steps],
    )
