"""What became of what an event led to, in the words that the queues understand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """``accepted``: sent. ``bounced``: sent, and it came back. ``unsent``: rightly not sent.

    ``failed``: certainly not sent, and it was to be. ``pending``: nobody knows yet.
    """

    ACCEPTED = "accepted"
    BOUNCED = "bounced"
    UNSENT = "unsent"
    FAILED = "failed"
    PENDING = "pending"


@dataclass(frozen=True)
class Outcome:
    """As far as an upper app knows it now; ``words`` are for staff and name no person.

    ``may_change``: better or worse news may come soon, and whoever is careful waits for it.
    """

    verdict: Verdict
    words: str
    may_change: bool = False
