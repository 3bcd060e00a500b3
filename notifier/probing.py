"""A round trip through SQS, and after it through SES: what the command and the admin have in common."""

from __future__ import annotations

from emails.errors import InDoubt, SendError
from emails.sending import direct_emails
from queues import masking
from queues.doctor import roundtrip
from queues.doctor.roundtrip import Done, Say, Step
from queues.errors import QueueUnavailable


def trip(alias: str, say: Say) -> bool:
    """Beside the queue of this alias; returns whether all went well."""
    return roundtrip.run(alias, say)


def send_email(recipient: str, say: Say) -> bool:
    """A test email, right now and past the queues; returns whether SES took it."""

    def send() -> Done:
        return f"SES took a test email to {masking.addresses(recipient)}", direct_emails.send_test(
            recipient
        )

    try:
        roundtrip.timed("email", send, say)
    except (SendError, QueueUnavailable) as exc:
        said = "SES may have taken it" if isinstance(exc, InDoubt) else "SES did not take it"
        say(
            Step(
                "email",
                masking.addresses(f"{said}: {exc} ({exc.code})"),
                0,
                is_ok=False,
                mend="See manage.py doctor; in the SES sandbox the recipient must be verified, too.",
            )
        )
        return False
    return True
