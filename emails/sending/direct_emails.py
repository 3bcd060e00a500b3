"""Send an email directly, past the queues: tests and probes, which have no notification."""

from __future__ import annotations

from emails.errors import Refused
from emails.models import Suppression
from emails.rendering.mime import Email
from emails.sending.composing import headers
from emails.ses import default_sender, transport


def send_test(recipient: str) -> str:
    """Send a test email right now, past the queues; returns SES's message id, raises SendError."""
    if Suppression.objects.active().of([recipient]).exists():
        raise Refused(
            "The address is on the suppression list. Lift its suppression first.", code="Suppressed"
        )
    return _send_ours(
        "test",
        subject="Test email from Notifier",
        body="This email shows that Notifier can send from this address through Amazon SES.",
        recipient=recipient,
    )


def send_canary() -> str:
    """Send an email to SES's mailbox simulator, so that SES publishes events; returns SES's id, raises SendError."""
    recipient = "success@simulator.amazonses.com"
    return _send_ours("canary", subject="canary", body="canary", recipient=recipient)


def send_bounce() -> str:
    """Send an email that SES's mailbox simulator bounces; returns SES's message id, raises SendError."""
    recipient = "bounce@simulator.amazonses.com"
    return _send_ours("doctor", subject="doctor", body="doctor", recipient=recipient)


def _send_ours(kind: str, *, subject: str, body: str, recipient: str) -> str:
    message = Email(
        subject=subject,
        body=body,
        from_email=default_sender.in_force(),
        to=[recipient],
        headers=headers({"kind": kind}),
    )
    return transport.send(message)
