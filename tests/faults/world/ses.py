"""SES as a client of boto3 shows it: it accepts, refuses or leaves us in doubt, and tells of it later.

``accepted`` is the judge: what stands there was sent, whatever our database says.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from tests.faults.world.clock import Clock
from tests.faults.world.sqs import Queue, Sqs

SENDER = "shop@example.com"
# What SES could not tell for a while comes within this time; less than a drain.
CATCHING_UP_SECONDS = 200
# How an email is answered: whether it is accepted, and what the caller sees instead of an id.
ANSWERS: dict[str, tuple[bool, Callable[[], Exception] | None]] = {
    "ok": (True, None),
    "accepted, answer lost": (True, lambda: ReadTimeoutError(endpoint_url="https://ses")),
    "accepted, answer broken": (True, lambda: ResponseParserError("<html>")),
    "accepted, answered 500": (True, lambda: _error("InternalFailure", "oops", status=500)),
    "cut before": (False, lambda: ConnectionClosedError(endpoint_url="https://ses")),
    "answered 503": (False, lambda: _error("ServiceUnavailable", "busy", status=503)),
    "no connection": (False, lambda: EndpointConnectionError(endpoint_url="https://ses")),
    "throttled": (False, lambda: _error("Throttling", "Maximum sending rate exceeded.")),
    "refused": (False, lambda: _error("MessageRejected", "Illegal content")),
}
# Trouble of ours, which stays until somebody heals it.
TROUBLES: dict[str, tuple[str, str]] = {
    "quota": ("Throttling", "Daily message quota exceeded."),
    "paused": ("AccountSendingPausedException", "Email sending is disabled"),
    "sender": (
        "MessageRejected",
        f"Email address is not verified. The following identities failed the check: {SENDER}",
    ),
}
# What SES tells of an email: kind and seconds after it was accepted.
FATES: dict[str, list[tuple[str, int]]] = {
    "delivered": [("Send", 1), ("Delivery", 3)],
    "out of order": [("Delivery", 1), ("Send", 5)],
    "doubled": [("Send", 1), ("Send", 1), ("Delivery", 3), ("Delivery", 40), ("Send", 500)],
    "late": [("Send", 400), ("Delivery", 410)],
    "delayed": [("Send", 1), ("DeliveryDelay", 5), ("Delivery", 70)],
    "bounced": [("Send", 1), ("Bounce", 2), ("Delivery", 3)],
    "complained": [("Send", 1), ("Complaint", 60), ("Delivery", 90)],
    "dropped": [],
}


@dataclass(frozen=True)
class Acceptance:
    """An email that SES took. ``reference`` is what it is about; a canary has none."""

    message_id: str
    reference: str
    recipient: str
    tags: dict[str, str]


class Ses:
    """The client. ``answers`` and ``fates`` are used up one by one; then all is well."""

    def __init__(self, clock: Clock, rng: random.Random, sqs: Sqs, events: Queue | None) -> None:
        self.accepted: list[Acceptance] = []
        self.dropped: set[str] = set()
        self.answers: deque[str] = deque()
        self.fates: deque[str] = deque()
        self.trouble = ""
        self.unverified: set[str] = set()
        self.is_silent = False
        self.calls: Counter[tuple[str, str]] = Counter()
        # Calls that used up a receive or were accepted, by reference.
        self.earnest: Counter[str] = Counter()
        self.around: Callable[[str], None] = lambda place: None
        self._clock = clock
        self._random = rng
        self._sqs = sqs
        self._events = events
        self._withheld: list[str] = []

    def speak(self) -> None:
        """End the silence: what was withheld comes within minutes, in any order."""
        self.is_silent = False
        while self._withheld and self._events:
            delay = self._random.uniform(0, CATCHING_UP_SECONDS)
            self._sqs.put(self._events, self._withheld.pop(), delay=delay)

    # What boto3's client has.

    def send_email(
        self,
        *,
        Destination: dict[str, list[str]],
        Content: dict[str, dict[str, bytes]],
        **options: Any,  # noqa: N803
    ) -> dict[str, Any]:
        email = self._read(Destination["ToAddresses"][0], Content["Raw"]["Data"])
        self.calls[email.tags.get("nid", ""), email.tags.get("att", "")] += 1
        answer = self.answers.popleft() if self.answers else "ok"
        self.around("before SendEmail")
        self._refuse(email)
        is_accepted, error = ANSWERS[answer]
        if answer != "throttled":
            self.earnest[email.reference] += 1
        if is_accepted:
            self.accepted.append(email)
            self._tell(email)
        self.around("after SendEmail")
        if error:
            raise error()
        return {"MessageId": email.message_id, "ResponseMetadata": {"RequestId": "r"}}

    def get_send_quota(self) -> dict[str, float]:
        used = 1000.0 if self.trouble == "quota" else 0.0
        return {"MaxSendRate": 50.0, "Max24HourSend": 1000.0, "SentLast24Hours": used}

    def get_account_sending_enabled(self) -> dict[str, bool]:
        return {"Enabled": self.trouble != "paused"}

    def get_identity_verification_attributes(self, *, Identities: list[str]) -> dict[str, Any]:  # noqa: N803
        status = "Pending" if self.trouble == "sender" else "Success"
        return {"VerificationAttributes": {SENDER: {"VerificationStatus": status}}}

    def describe_configuration_set(self, **options: Any) -> dict[str, Any]:
        return {}

    # How it works inside.

    def _read(self, recipient: str, raw: bytes) -> Acceptance:
        text = raw.replace(b"=\n", b"").decode()
        found = re.search(r"\b(?:ORD|TXN)-\d+\b", text)
        tags = re.search(r"^X-SES-MESSAGE-TAGS: (.*)$", text, re.MULTILINE)
        assert tags, "an email without tags"
        return Acceptance(
            message_id=f"ses-{sum(self.calls.values()) + 1}",
            reference=found[0] if found else "",
            recipient=recipient,
            tags=dict(pair.split("=") for pair in tags[1].strip().split(", ")),
        )

    def _refuse(self, email: Acceptance) -> None:
        if self.trouble:
            raise _error(*TROUBLES[self.trouble])
        if email.recipient in self.unverified:
            self.earnest[email.reference] += 1
            text = "Email address is not verified. The following identities failed the check: "
            raise _error("MessageRejected", text + email.recipient)

    def _tell(self, email: Acceptance) -> None:
        if not self._events:
            return
        fate = self.fates.popleft() if self.fates and email.reference else "delivered"
        if fate == "dropped":
            self.dropped.add(email.reference)
        for kind, seconds in FATES[fate]:
            body = self._event(email, kind, seconds)
            if self.is_silent:
                self._withheld.append(body)
            else:
                self._sqs.put(self._events, body, delay=seconds)

    def _event(self, email: Acceptance, kind: str, seconds: int) -> str:
        sent_at = self._clock.now()
        detail: dict[str, Any] = {"timestamp": (sent_at + timedelta(seconds=seconds)).isoformat()}
        if kind == "Bounce":
            detail["bounceType"] = "Permanent"
        mail = {
            "timestamp": sent_at.isoformat(),
            "messageId": email.message_id,
            "destination": [email.recipient],
            "tags": {name: [value] for name, value in email.tags.items()},
        }
        name = "deliveryDelay" if kind == "DeliveryDelay" else kind.lower()
        return json.dumps({"eventType": kind, "mail": mail, name: detail})


def _error(code: str, text: str, *, status: int = 400) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": text},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "SendEmail")
