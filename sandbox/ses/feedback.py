"""Build the events that SES publishes about an accepted mail, in the JSON that AWS sends to SNS.

Format: SES developer guide, "Contents of event data that Amazon SES publishes to Amazon SNS"; an identity's topics get
"Amazon SNS notification contents for Amazon SES".
"""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterator
from datetime import UTC, datetime
from typing import Any

from sandbox.ses.mailbox import Mail
from sandbox.ses.post_office import SIMULATOR_DOMAIN

# Everybody who uses the local AWS has this account.
ACCOUNT_ID = "123456789012"

Record = dict[str, Any]

# An identity's notification has headers only where that is asked for.
_OF_EVENTS = ("tags", "headers", "headersTruncated", "commonHeaders")


def sent(mail: Mail, *, region: str) -> Record:
    """SES accepted the mail."""
    return _record("Send", mail, {}, region=region)


def outcomes(mail: Mail, *, region: str, listed: Container[str] = frozenset()) -> Iterator[Record]:
    """Yield the events of a mail: addresses of the simulator or the account's list bounce or complain."""
    reactions: dict[str, list[str]] = {}
    for address in mail.recipients:
        reaction = "suppressionlist" if address in listed else _reaction(address)
        reactions.setdefault(reaction, []).append(address)
    bounced, suppressed = reactions.pop("bounce", []), reactions.pop("suppressionlist", [])
    details: list[tuple[str, Record]] = []
    if delivered := [address for addresses in reactions.values() for address in addresses]:
        details.append(("Delivery", _delivery(mail, delivered)))
    if bounced:
        details.append(("Bounce", _bounce(bounced)))
    if suppressed:
        details.append(("Bounce", _suppression(suppressed)))
    if absent := reactions.get("ooto"):
        details.append(("Bounce", _absence(absent)))
    if complaining := reactions.get("complaint"):
        details.append(("Complaint", _complaint(complaining)))
    for event_type, detail in details:
        yield _record(event_type, mail, detail, region=region)


def opened(mail: Mail, *, address: str, user_agent: str) -> Record:
    """Somebody's mail program loaded the picture in it."""
    return _record("Open", mail, _visit(address, user_agent), region=mail.region)


def clicked(mail: Mail, *, link: str, address: str, user_agent: str) -> Record:
    """Build the event of a reader who followed a link in the mail."""
    detail = _visit(address, user_agent) | {"link": link, "linkTags": None}
    return _record("Click", mail, detail, region=mail.region)


def of_identity(record: Record) -> Record:
    """The same as an identity's notification, which has no tags and another name for its kind."""
    kind = record["eventType"]
    mail = {name: value for name, value in record["mail"].items() if name not in _OF_EVENTS}
    return {"notificationType": kind, "mail": mail, kind.lower(): record[kind.lower()]}


def _reaction(address: str) -> str:
    """``bounce`` for ``bounce@simulator.amazonses.com`` and ``bounce+label@…``."""
    local, _, domain = address.lower().rpartition("@")
    return local.partition("+")[0] if domain == SIMULATOR_DOMAIN else ""


def _record(event_type: str, mail: Mail, detail: Record, *, region: str) -> Record:
    return {
        "eventType": event_type,
        "mail": {
            "timestamp": _iso(mail.time),
            "source": mail.source,
            "sourceArn": f"arn:aws:ses:{region}:{ACCOUNT_ID}:identity/{mail.sender}",
            "sendingAccountId": ACCOUNT_ID,
            "messageId": mail.id,
            "destination": mail.recipients,
            "headersTruncated": False,
            "headers": mail.headers,
            "commonHeaders": _common_headers(mail),
            "tags": _tags(mail),
        },
        event_type.lower(): detail,
    }


def _common_headers(mail: Mail) -> Record:
    lists = {
        key: [value]
        for key, name in (("from", "From"), ("to", "To"), ("cc", "Cc"), ("replyTo", "Reply-To"))
        if (value := mail.header(name))
    }
    date = {"date": mail.header("Date")} if mail.header("Date") else {}
    return lists | date | {"messageId": mail.id, "subject": mail.subject}


def _tags(mail: Mail) -> dict[str, list[str]]:
    own = {name: [value] for name, value in mail.tags.items()}
    return own | {
        "ses:configuration-set": [mail.configuration_set],
        "ses:source-ip": ["127.0.0.1"],
        "ses:from-domain": [mail.sender.rpartition("@")[2]],
        "ses:caller-identity": ["local"],
    }


def _visit(address: str, user_agent: str) -> Record:
    return {"timestamp": _iso(datetime.now(UTC)), "ipAddress": address, "userAgent": user_agent}


def _delivery(mail: Mail, addresses: list[str]) -> Record:
    now = datetime.now(UTC)
    return {
        "timestamp": _iso(now),
        "processingTimeMillis": int((now - mail.time).total_seconds() * 1000),
        "recipients": addresses,
        "smtpResponse": "250 2.6.0 Message received",
        "reportingMTA": "mta.example.com",
    }


def _bounce(addresses: list[str]) -> Record:
    return {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [
            {
                "emailAddress": address,
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 user unknown",
            }
            for address in addresses
        ],
        "timestamp": _iso(datetime.now(UTC)),
        "feedbackId": _feedback_id(),
        "reportingMTA": "dns; mta.example.com",
    }


def _suppression(addresses: list[str]) -> Record:
    return _bounce(addresses) | {
        "bounceSubType": "OnAccountSuppressionList",
        "bouncedRecipients": [
            {
                "emailAddress": address,
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "Amazon SES did not send the message to this address because it is "
                "on the suppression list for your account.",
            }
            for address in addresses
        ],
        "reportingMTA": "dns; amazonses.com",
    }


def _absence(addresses: list[str]) -> Record:
    """Build the event of an out-of-office reply: the mail was delivered, and no server said that it failed."""
    return {
        "bounceType": "Transient",
        "bounceSubType": "General",
        "bouncedRecipients": [{"emailAddress": address} for address in addresses],
        "timestamp": _iso(datetime.now(UTC)),
        "feedbackId": _feedback_id(),
    }


def _complaint(addresses: list[str]) -> Record:
    now = _iso(datetime.now(UTC))
    return {
        "complainedRecipients": [{"emailAddress": address} for address in addresses],
        "timestamp": now,
        "feedbackId": _feedback_id(),
        "complaintSubType": None,
        "userAgent": "Amazon SES Mailbox Simulator",
        "complaintFeedbackType": "abuse",
        "arrivalDate": now,
    }


def _feedback_id() -> str:
    return f"0102{uuid.uuid4().hex[:12]}-{uuid.uuid4()}-000000"


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
