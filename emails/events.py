"""Events that emails themselves lead to."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict

from queues.events.envelope import EventData


class Returned(BaseModel):
    """An email that came back. ``subject`` is what it was about, ``what`` became of it in words for staff."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    subject: str
    recipient: str
    what: str
    reason: str
    happened_at: AwareDatetime
    link: str


class EmailReturned(EventData, type="email.returned.v1", queue="orders", source="/emails"):
    """Emails to customers came back or were called spam, and ``support``, an address, is to know.

    ``count`` is of all of them; ``emails`` are as many as one alert lists, and ``more`` are the others.
    """

    support: str
    count: int
    emails: list[Returned]
    more: int = 0
