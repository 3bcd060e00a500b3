"""Define the events that this app records itself, such as an email that came back."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict

from queues.events.envelope import EventData
from queues.events.links import Url


class Returned(BaseModel):
    """An email that came back. ``subject`` names its order or transaction; ``what`` tells staff what happened."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    subject: str
    recipient: str
    what: str
    reason: str
    happened_at: AwareDatetime
    link: Url


class EmailReturned(EventData, type="email.returned.v1", queue="orders", source="/emails"):
    """Emails to customers came back or were marked as spam, and an alert goes to the address ``support``.

    ``count`` is the number of all of them; ``emails`` holds those that the alert lists, and ``more`` counts the rest.
    """

    support: str
    count: int
    emails: list[Returned]
    more: int = 0
