"""Carry out a doctor run: the doctor's checks, or a round trip; in a consumer, the web process or a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from emails.errors import InDoubt, SendError
from emails.sending import direct_emails
from queues import masking
from queues.doctor import findings
from queues.doctor.findings import Verdict
from queues.doctor.roundtrip import Done, ProbeStep, Say, run, timed
from queues.doctor.runs import Results
from queues.errors import QueueUnavailable


def check(arguments: Mapping[str, Any], say: Results) -> str:
    """Run the doctor's checks; with the argument ``send`` also the one that lets an email bounce.

    Each result is a Finding.
    """
    found = []
    for finding in findings.collect(send=arguments.get("send", False)):
        found.append(finding)
        say(asdict(finding))
    return findings.worst(found)


def roundtrip(arguments: Mapping[str, Any], say: Results) -> str:
    """Make a round trip beside the queue of ``alias``, then send a test email to ``email`` if it is given.

    Each result is a ProbeStep.
    """

    def tell(step: ProbeStep) -> None:
        say(asdict(step))

    is_well = trip(arguments["alias"], tell)
    if is_well and arguments.get("email"):
        is_well = send_email(arguments["email"], tell)
    return Verdict.GOOD if is_well else Verdict.ERROR


def trip(alias: str, say: Say) -> bool:
    """Send a probe beside the queue of this alias; return whether all went well."""
    return run(alias, say)


def send_email(recipient: str, say: Say) -> bool:
    """Send a test email directly, past the queues; return whether SES took it."""

    def send() -> Done:
        return f"SES took a test email to {masking.addresses(recipient)}", direct_emails.send_test(
            recipient
        )

    try:
        timed("email", send, say)
    except (SendError, QueueUnavailable) as exc:
        said = "SES may have taken it" if isinstance(exc, InDoubt) else "SES did not take it"
        say(
            ProbeStep(
                "email",
                masking.addresses(f"{said}: {exc} ({exc.code})"),
                0,
                is_ok=False,
                fix="See manage.py doctor; in the SES sandbox the recipient must be verified, too.",
            )
        )
        return False
    return True
