"""Describe one SES event for staff: a title, a detail, and what the servers said."""

from __future__ import annotations

from dataclasses import dataclass

from emails.models import DeliveryEvent
from emails.reports import reasons
from emails.reports.ses_events import SesEvent, read_again

# Titles, each with the colour of its Unfold label.
_TITLES = {
    "Send": ("Sent by SES", ""),
    "Delivery": ("Delivered to the recipient's mail server", "success"),
    "DeliveryDelay": ("Delayed by the recipient's mail server", "warning"),
    "Complaint": ("Marked as spam by the recipient", "danger"),
    "Reject": ("Rejected by SES", "danger"),
    "Open": ("Opened", "success"),
    "Click": ("Clicked", "success"),
}
_UNTRIED = ("Not tried by SES", "warning")
_NOT_SPAM = ("Marked as not spam by the recipient", "success")
_BOUNCES = {
    "suppressed": _UNTRIED,
    "bounced_hard": ("Hard bounce", "danger"),
    "bounced_soft": ("Soft bounce", "warning"),
    None: ("Automatic reply", ""),
}
_ANSWERED = "An out-of-office reply, for example, or a bounce without a reason."


@dataclass(frozen=True)
class Words:
    """The words for one event; ``quote`` is what others wrote and may name a person: a mail server's answer, a link."""

    title: str
    colour: str = ""
    detail: str = ""
    quote: str = ""

    def full(self, *, quotes: bool) -> str:
        """Join everything into one text; leave quotes out for staff who may not see personal data."""
        parts = (f"{self.title}.", self.detail, self.quote if quotes else "")
        return " ".join(part for part in parts if part)


def of(report: DeliveryEvent) -> Words:
    """Return the words for a stored event, whatever release stored it."""
    event = read_again(report.raw)
    if event is None:
        return Words(report.type)
    match event.kind:
        case "Bounce":
            title, colour = _BOUNCES[event.status]
        case "Complaint" if event.is_not_spam:
            title, colour = _NOT_SPAM
        case "Complaint" if not event.sub_type.is_tried:
            title, colour = _UNTRIED
        case _:
            title, colour = _TITLES[event.kind]
    return Words(title, colour, _detail(event, report), _quote(event, report))


def said(code: str, words: str) -> str:
    """Explain a code in a sentence, followed by the server's own words."""
    return " ".join(part for part in (reasons.sentence(code), _quoted(words) or code) if part)


def _detail(event: SesEvent, report: DeliveryEvent) -> str:
    match event.kind:
        case "Bounce" if event.status is None:
            return _ANSWERED
        case "Delivery":
            milliseconds = _inside(report, "delivery", "processingTimeMillis")
            return (
                f"SES delivered it in {milliseconds / 1000:.1f} s."
                if type(milliseconds) is int
                else ""
            )
    return f"{reasons.sentence(event.code)} ({event.code})" if event.code else ""


def _quote(event: SesEvent, report: DeliveryEvent) -> str:
    if event.kind == "Click":
        link = _inside(report, "click", "link")
        return _quoted(link if isinstance(link, str) else "")
    return _quoted(event.words)


def _quoted(words: str) -> str:
    return f"“{words}”" if words else ""


def _inside(report: DeliveryEvent, part: str, name: str) -> object:
    found = report.raw.get(part)
    return found.get(name, "") if isinstance(found, dict) else ""
