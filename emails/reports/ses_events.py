"""Check and parse an SES message about an email, in either of its two formats, into one SesEvent.

Source: SES developer guide, "Contents of event data that Amazon SES publishes to Amazon SNS" (of a configuration set:
``eventType``, with our tags) and "Amazon SNS notification contents for Amazon SES" (of an identity:
``notificationType``, without tags). Both say that SES may add fields.

What decides is checked strictly: the kind, SES's message id and a time. All else only explains, and is taken as far as
it can be read: an odd value in it never loses the event.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, Self, get_args
from uuid import UUID

from pydantic import BaseModel, ValidationError, model_validator

from emails.models import Notification
from emails.reports import reasons, sub_types
from emails.reports.event_parts import Detail, Mail
from queues import addresses
from queues.errors import BadData
from queues.events.envelope import summary

Delivery = Notification.Delivery

Kind = Literal[
    "Send", "Delivery", "DeliveryDelay", "Bounce", "Complaint", "Reject", "Open", "Click"
]
MAX_CODE = 40
# Event types that change nothing for an email that was sent.
IGNORED = ("Rendering Failure", "Subscription", "AmazonSnsSubscriptionSucceeded")

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# SES gives these subtypes to a bounce that it could not read: mostly an automatic reply.
_UNEXPLAINED = ("General", "Undetermined")
_STATUSES = {
    "Delivery": Delivery.DELIVERED,
    "DeliveryDelay": Delivery.DELAYED,
    "Complaint": Delivery.COMPLAINED,
    "Reject": Delivery.REJECTED,
    "Open": Delivery.DELIVERED,
    "Click": Delivery.DELIVERED,
}


Key = tuple[UUID | str, int]


class SesEvent(BaseModel):
    """One SES event, with the fields that we need."""

    kind: Kind
    mail: Mail
    detail: Detail = Detail()

    @model_validator(mode="after")
    def _has_its_time(self) -> Self:
        if self.mail.timestamp is None and (self.kind == "Send" or self.detail.timestamp is None):
            raise ValueError("it has no time")
        return self

    @property
    def moment(self) -> datetime:
        """The time of the event; the sending time if SES gives no other."""
        found = self.detail.timestamp or self.mail.timestamp
        assert found is not None  # noqa: S101  # see _has_its_time
        return found

    @property
    def recipient(self) -> str:
        """The recipient's address, as it was given; an email of ours has only one."""
        named = self.detail.recipient
        return (named.address if named else "") or next(iter(self.mail.destination), "")

    def about(self, address: str) -> SesEvent | None:
        """Narrow the event to this recipient of its email; None if it tells of others, or does not say of whom.

        An email to one recipient is his, whatever address the event names: our tags or SES's message id say whose email
        it is, and a mail server that forwards reports an address that we never wrote to (RFC 3464, Final-Recipient).
        """
        own = addresses.key(address)
        if own in self.detail.addresses:
            return self.model_copy(update={"detail": self.detail.of(own)})
        return self if len(self.mail.destination) <= 1 else None

    @cached_property
    def tags(self) -> tuple[UUID, int] | None:
        """The notification id and attempt number from our tags; None if the email is not ours."""
        tags = self.mail.tags
        nid, att = tags.get("nid", ""), tags.get("att", "")
        if _UUID.fullmatch(nid) and re.fullmatch(r"[0-9]{1,6}", att):
            return UUID(nid), int(att)
        return None

    @property
    def key(self) -> Key:
        """The key of its notification: our tags, or SES's message id if there are none."""
        return self.tags or (self.mail.message_id, 0)

    @property
    def is_of_no_notification(self) -> bool:
        """True for emails that need no notification: our own canaries and probes."""
        return "kind" in self.mail.tags

    @property
    def sub_type(self) -> sub_types.SubType:
        """What the sub-type of a bounce or complaint says."""
        return sub_types.of(self._sub_type)

    @property
    def is_not_spam(self) -> bool:
        """True for a report that an email was not spam: it is no complaint."""
        return self.kind == "Complaint" and sub_types.is_not_spam(self.detail.feedback_type)

    @property
    def status(self) -> Notification.Delivery | None:
        """The delivery status that the event reports, or None."""
        if not self.sub_type.is_tried:
            return Delivery.SUPPRESSED
        if self.is_not_spam:
            return None
        if self.kind != "Bounce":
            return _STATUSES.get(self.kind)
        if self.detail.bounce_type == "Permanent":
            return Delivery.BOUNCED_HARD
        return None if self._is_unexplained else Delivery.BOUNCED_SOFT

    @property
    def code(self) -> str:
        """The code of the problem, for ``emails.reports.reasons``; empty if nothing went wrong."""
        detail, named = self.detail, self.detail.recipient
        match self.kind:
            case "Bounce" | "DeliveryDelay":
                kind = detail.bounce_sub_type or detail.bounce_type or detail.delay_type
                status = named.status if named else ""
                code = reasons.code(kind=kind or self.kind, status=status, words=self.words)
            case "Complaint":
                by_ses = "" if self.sub_type.is_tried else detail.complaint_sub_type
                code = by_ses or detail.feedback_type or detail.complaint_sub_type or "complaint"
            case "Reject":
                code = detail.reason or "rejected"
            case _:
                code = ""
        return code[:MAX_CODE]

    @property
    def words(self) -> str:
        """The explanation in the words of the mail server, or of SES."""
        named = self.detail.recipient
        diagnostic = named.diagnostic if named else ""
        return diagnostic or self.detail.smtp_response or self.detail.reason

    @property
    def diagnosis(self) -> str:
        """The answer of the recipient's mail server on one line: ``550 5.1.1 user unknown``."""
        named = self.detail.recipient
        said = " ".join(named.diagnostic.split()) if named else ""
        return "".join(filter(str.isprintable, said.removeprefix("smtp; ")))

    @property
    def _sub_type(self) -> str:
        match self.kind:
            case "Bounce":
                return self.detail.bounce_sub_type
            case "Complaint":
                return self.detail.complaint_sub_type
        return ""

    @property
    def _is_unexplained(self) -> bool:
        """True for a bounce without a reason.

        SES's example is an out-of-office reply: the email was delivered, and no server said that it failed.
        """
        named = self.detail.recipient
        return self.detail.bounce_sub_type in _UNEXPLAINED and not (
            named and (named.status or named.diagnostic)
        )


def is_ignored(raw: dict[str, Any]) -> bool:
    """Return True if the message says nothing about an email that was sent."""
    return _kind(raw) in IGNORED


def parsed(raw: dict[str, Any]) -> SesEvent:
    """Check and parse what SES wrote; raises BadData."""
    kind = _kind(raw)
    if not isinstance(kind, str):
        raise BadData(
            "the SES message has no eventType or notificationType", code="UnknownSesEvent"
        )
    if kind not in get_args(Kind):
        raise BadData(f"unknown SES event type {kind[:20]}", code="UnknownSesEvent")
    name = "deliveryDelay" if kind == "DeliveryDelay" else kind.lower()
    detail = raw.get(name)
    try:
        return SesEvent.model_validate(
            {
                "kind": kind,
                "mail": raw.get("mail"),
                "detail": detail if isinstance(detail, dict) else {},
            },
            context=kind,
        )
    except ValidationError as exc:
        raise BadData(f"SES event {kind[:20]}: {summary(exc)}") from exc


def read_again(raw: Any) -> SesEvent | None:
    """Parse a stored event again; None if an older release accepted what this one does not."""
    try:
        return parsed(raw) if isinstance(raw, dict) else None
    except BadData:
        return None


def narrowed(
    told: Iterable[tuple[SesEvent, Notification]],
) -> list[tuple[SesEvent, Notification]]:
    """Narrow each event to the recipient of its notification, and leave out those that tell only of others."""
    found = [(event.about(owner.recipient), owner) for event, owner in told]
    return [(event, owner) for event, owner in found if event is not None]


def _kind(raw: dict[str, Any]) -> Any:
    """Return the event type: events of a configuration set and of an identity name the field differently."""
    return raw.get("eventType") or raw.get("notificationType")
