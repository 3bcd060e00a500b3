"""Answer what Notifier calls of SES (version 1, and SendEmail of version 2), with faults and events."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from benchmarks.aws_stub.acceptances import Acceptance, Acceptances, recipient_of
from benchmarks.aws_stub.allowance import Allowance
from benchmarks.aws_stub.errors import AwsError, Cut
from benchmarks.aws_stub.faults import Faults
from benchmarks.aws_stub.queues import Message
from benchmarks.aws_stub.sqs import HANG_SECONDS, Sqs

# Nobody at this domain is ever verified.
REFUSED_DOMAIN = "refused.example"
EVENTS_QUEUE = "notifier-ses-events"
SLOW_SECONDS = (0.5, 4.0)
LATE_EVENT_SECONDS = 4.0


class Ses:
    """Events go straight to the events queue, where there is one."""

    def __init__(
        self,
        faults: Faults,
        sqs: Sqs,
        acceptances: Acceptances,
        *,
        allowance: Allowance,
        seconds: tuple[float, float],
    ) -> None:
        self._faults = faults
        self._sqs = sqs
        self._acceptances = acceptances
        self._allowance = allowance
        self._seconds = seconds
        self._held: list[str] = []
        # Those that SES published to its topic.
        self.events = 0

    async def call(self, form: Mapping[str, str]) -> str:
        """The XML inside the answer's result; raises AwsError or Cut."""
        match form.get("Action"):
            case "SendRawEmail":
                message_id = await self.send(form["RawMessage.Data"])
                return f"<MessageId>{message_id}</MessageId>"
            case "GetSendQuota":
                return (
                    f"<Max24HourSend>-1</Max24HourSend><MaxSendRate>{self._allowance.rate}</MaxSendRate>"
                    "<SentLast24Hours>0</SentLast24Hours>"
                )
            case "GetIdentityVerificationAttributes":
                return _all_verified(form)
            case "DescribeConfigurationSet":
                name = form["ConfigurationSetName"]
                return f"<ConfigurationSet><Name>{name}</Name></ConfigurationSet>"
            case "GetAccountSendingEnabled":
                return f"<Enabled>{str(not self._faults.happens('ses_paused')).lower()}</Enabled>"
            case action:
                raise AwsError("InvalidAction", f"There is no action {action} here.")

    async def send(self, encoded: str) -> str:
        """The id of an email that came in base64; raises as ``call``."""
        raw = base64.b64decode(encoded)
        if self._faults.happens("ses_hangs"):
            while self._faults.rates["ses_hangs"]:
                await asyncio.sleep(HANG_SECONDS)
            raise Cut
        if self._faults.happens("ses_paused"):
            raise AwsError("AccountSendingPausedException", "Sending is paused for this account.")
        recipient = recipient_of(raw)
        if recipient.endswith(f"@{REFUSED_DOMAIN}") or self._faults.happens("ses_sandbox"):
            raise AwsError(
                "MessageRejected",
                "Email address is not verified. The following identities failed the check in region "
                f"EU-WEST-1: {recipient}",
            )
        if self._faults.happens("ses_throttled") or not self._allowance.take():
            raise AwsError("Throttling", "Maximum sending rate exceeded.")
        await asyncio.sleep(self._faults.seconds(*self._seconds))
        if self._faults.happens("ses_slow"):
            await asyncio.sleep(self._faults.seconds(*SLOW_SECONDS))
        self._fail("before")
        acceptance = self._acceptances.add(raw, message_id=f"0107{uuid.uuid4().hex}-000000")
        self._tell(acceptance)
        self._fail("after")
        return acceptance.message_id

    def release(self) -> None:
        """Deliver the events that were held back, oldest first."""
        held, self._held = self._held, []
        for body in held:
            self._sqs.queues[EVENTS_QUEUE].put(Message(body=body))

    def _fail(self, when: str) -> None:
        if self._faults.happens(f"ses_cut_{when}"):
            raise Cut
        if self._faults.happens(f"ses_503_{when}"):
            raise AwsError("ServiceUnavailable", "Service is unavailable.", status=503)

    def _tell(self, acceptance: Acceptance) -> None:
        """Send, then Delivery; each may be late or double, so they may change places."""
        queue = self._sqs.queues.get(EVENTS_QUEUE)
        if queue is None:
            return
        for kind in ("Send", "Delivery"):
            self.events += 1
            body = json.dumps(_event(kind, acceptance))
            if self._faults.happens("events_held"):
                self._held.append(body)
                continue
            for _ in range(1 + self._faults.happens("event_doubled")):
                late = self._faults.happens("event_delayed")
                delay = self._faults.seconds(0, LATE_EVENT_SECONDS) if late else 0.0
                queue.put(Message(body=body), delay=delay)


def _event(kind: str, acceptance: Acceptance) -> dict[str, Any]:
    """SES developer guide, "Examples of event data that Amazon SES publishes to Amazon SNS"."""
    accepted_at = datetime.fromtimestamp(acceptance.time, UTC).isoformat()
    event: dict[str, Any] = {
        "eventType": kind,
        "mail": {
            "timestamp": accepted_at,
            "messageId": acceptance.message_id,
            "destination": [acceptance.recipient],
            "tags": {"nid": [acceptance.nid], "att": [acceptance.att]} if acceptance.nid else {},
        },
        kind.lower(): {},
    }
    if kind == "Delivery":
        event["delivery"] = {"timestamp": accepted_at, "recipients": [acceptance.recipient]}
    return event


def _all_verified(form: Mapping[str, str]) -> str:
    entries = "".join(
        f"<entry><key>{value}</key><value><VerificationStatus>Success</VerificationStatus></value></entry>"
        for name, value in form.items()
        if name.startswith("Identities.member.")
    )
    return f"<VerificationAttributes>{entries}</VerificationAttributes>"
