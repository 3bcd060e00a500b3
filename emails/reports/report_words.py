"""What one event of SES says, for a person: a title, and what the servers said to it."""

from __future__ import annotations

from dataclasses import dataclass

from emails.models import DeliveryEvent
from emails.reports import reasons
from emails.reports.ses_events import SesEvent, read_again

# Colours of Unfold's labels.
_TITLES = {
    "Send": ("SES reports: on its way", ""),
    "Delivery": ("Delivered to the recipient's mail server", "success"),
    "DeliveryDelay": ("Delayed by the recipient's mail server", "warning"),
    "Complaint": ("Called spam by the recipient", "danger"),
    "Reject": ("Not let out by SES", "danger"),
    "Open": ("Opened", "success"),
    "Click": ("A link in it was followed", "success"),
}
_BOUNCES = {
    "bounced_hard": ("Bounced for good", "danger"),
    "bounced_soft": ("Bounced for now", "warning"),
    None: ("Answered by a machine", ""),
}
_ANSWERED = "An absence note, say; or a bounce that gives no reason."


@dataclass(frozen=True)
class Words:
    """``quote`` is what somebody else wrote, and may tell of a person: an answer of a mail server, a link."""

    title: str
    colour: str = ""
    detail: str = ""
    quote: str = ""

    def full(self, *, quotes: bool) -> str:
        """All in one text; without quotes for those who may not know the person."""
        parts = (f"{self.title}.", self.detail, self.quote if quotes else "")
        return " ".join(part for part in parts if part)


def of(report: DeliveryEvent) -> Words:
    """The words of one event, whatever release has stored it."""
    event = read_again(report.raw)
    if event is None:
        return Words(report.type)
    match event.kind:
        case "Bounce":
            title, colour = _BOUNCES[event.status]
        case _:
            title, colour = _TITLES[event.kind]
    return Words(title, colour, _detail(event, report), _quote(event, report))


def said(code: str, words: str) -> str:
    """A code in a sentence, and behind it what the server said itself."""
    return " ".join(part for part in (reasons.sentence(code), _quoted(words) or code) if part)


def _detail(event: SesEvent, report: DeliveryEvent) -> str:
    match event.kind:
        case "Bounce" if event.status is None:
            return _ANSWERED
        case "Delivery":
            milliseconds = _inside(report, "delivery", "processingTimeMillis")
            return f"SES took {milliseconds / 1000:.1f} s." if type(milliseconds) is int else ""
    return f"{reasons.sentence(event.code)} ({event.code})" if event.code else ""


def _quote(event: SesEvent, report: DeliveryEvent) -> str:
    if event.kind == "Click":
        return _quoted(str(_inside(report, "click", "link")))
    return _quoted(event.words)


def _quoted(words: str) -> str:
    return f"“{words}”" if words else ""


def _inside(report: DeliveryEvent, part: str, name: str) -> object:
    found = report.raw.get(part)
    return found.get(name, "") if isinstance(found, dict) else ""
