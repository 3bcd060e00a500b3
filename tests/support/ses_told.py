"""Messages of SES, as its developer guide shows them."""

from __future__ import annotations

from typing import Any

# What the guide's examples hold besides what we need.
_MAIL: dict[str, Any] = {
    "timestamp": "2026-11-22T10:00:00.000Z",
    "source": "Shop <shop@example.com>",
    "sourceArn": "arn:aws:ses:eu-west-1:123456789012:identity/shop@example.com",
    "sourceIp": "127.0.3.0",
    "callerIdentity": "notifier",
    "sendingAccountId": "123456789012",
    "destination": ["ada@example.com"],
    "headersTruncated": False,
    "headers": [{"name": "From", "value": "Shop <shop@example.com>"}],
    "commonHeaders": {"from": ["Shop <shop@example.com>"], "subject": "Order confirmed"},
}


def of_identity(kind: str, message_id: str, **detail: Any) -> dict[str, Any]:
    """An identity's notification: no tags, and the other name of its kind."""
    return {
        "notificationType": kind,
        "mail": _MAIL | {"messageId": message_id},
        kind.lower(): {"timestamp": "2026-11-22T10:00:05.000Z"} | detail,
    }


def bounced(
    status: str = "5.1.1", answer: str = "smtp; 550 5.1.1 user unknown", **detail: Any
) -> Any:
    """The detail of a hard bounce."""
    recipient = {
        "emailAddress": "ada@example.com",
        "action": "failed",
        "status": status,
        "diagnosticCode": answer,
    }
    return {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [recipient],
        "feedbackId": "00000138111222aa-33322211-cccc-cccc-cccc-ddddaaaa0680-000000",
        "reportingMTA": "dsn; a8-70.smtp-out.amazonses.com",
    } | detail


DELIVERED = {
    "processingTimeMillis": 546,
    "recipients": ["ada@example.com"],
    "smtpResponse": "250 ok:  Message 64111812 accepted",
    "reportingMTA": "a8-70.smtp-out.amazonses.com",
    "remoteMtaIp": "127.0.2.0",
}
COMPLAINED = {
    "complainedRecipients": [{"emailAddress": "ada@example.com"}],
    "complaintFeedbackType": "abuse",
    "complaintSubType": None,
    "userAgent": "AnyCompany Feedback Loop (V0.01)",
    "arrivalDate": "2026-11-22T10:00:04.000Z",
}
# As the mailbox simulator's ooto@ and a mailbox of the world tell of an absence.
ABSENT: list[dict[str, Any]] = [
    {
        "bounceType": "Transient",
        "bounceSubType": "General",
        "bouncedRecipients": [{"emailAddress": "ada@example.com"}],
    },
    {"bounceType": "Undetermined", "bounceSubType": "Undetermined", "bouncedRecipients": []},
]
