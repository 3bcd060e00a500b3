"""What upper apps answer when the queues ask: outcomes, advice, forecasts, previews and tables for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from queues import masking


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


@dataclass(frozen=True)
class Cause:
    """Why letters are dead. ``is_of_one``: all of one customer, so that an address in the reason is theirs."""

    code: str
    reason: str
    is_of_one: bool = False


@dataclass(frozen=True)
class Advice:
    """``words`` say what happened, ``todo`` what to do; ``label`` and ``address`` are where that is done.

    Only those with ``permission`` may go there; empty is everybody on the staff.
    """

    words: str
    todo: str
    label: str = ""
    address: str = ""
    permission: str = ""


class Bucket(StrEnum):
    """What would happen; where an event would do several things, the first of these counts."""

    IN_DOUBT = "in_doubt"
    FAILS = "fails"
    NOT_VERIFIED = "not_verified"
    SENDS = "sends"
    KEPT = "kept"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    SENT = "sent"
    UNTOLD = "untold"

    @property
    def words(self) -> str:
        """For the page: what will happen."""
        return _WORDS[self][0]

    @property
    def consequence(self) -> str:
        """For the page: what that means, and what else to do."""
        return _WORDS[self][1]

    @property
    def is_worth_it(self) -> bool:
        """Whether somebody who knows no better should redrive these."""
        return self in (Bucket.SENDS, Bucket.SENT, Bucket.UNTOLD)


_WORDS = {
    Bucket.SENDS: ("will send", "Their customers get their emails."),
    Bucket.SENT: ("already sent", "Nothing is sent again; the letters are closed."),
    Bucket.NOT_VERIFIED: (
        "recipient not verified",
        "The SES account is in the sandbox and refuses them again. Verify the addresses first.",
    ),
    Bucket.SUPPRESSED: (
        "suppressed",
        "Their addresses must get no email; a redrive only closes the letters. Where that is wrong, lift the address "
        "under Suppressions.",
    ),
    Bucket.KEPT: (
        "kept back",
        "Bulk email is stopped. A redrive closes the letters; the emails go out when a person resumes bulk email.",
    ),
    Bucket.CANCELLED: (
        "cancelled",
        "Somebody cancelled these emails; a redrive only closes the letters.",
    ),
    Bucket.IN_DOUBT: (
        "in doubt",
        "SES may have accepted these, or is being called right now. A redrive sends nothing: say under "
        "Notifications what happened.",
    ),
    Bucket.FAILS: (
        "will fail again",
        "The data does not fit, nobody handles the type, the template cannot be rendered, or settings name no such "
        "queue. Mend that first, or edit the letter.",
    ),
    Bucket.UNTOLD: (
        "not ours to tell",
        "They will be handled again; no email is known to come of it.",
    ),
}


# As the page shows them.
ORDER = tuple(_WORDS)


@dataclass(frozen=True)
class Preview:
    """One email. With a ``problem`` it cannot be made, and this says why."""

    title: str
    subject: str = ""
    html: str = ""
    text: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Section:
    """A table above a row's own fields; without rows it says ``empty``, or is not there at all."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[object]]
    empty: str = ""

    def masked(self) -> Section:
        """Without addresses; links and labels name no person."""
        rows = [
            [masking.addresses(cell) if type(cell) is str else cell for cell in row]
            for row in self.rows
        ]
        return replace(self, title=masking.addresses(self.title), rows=rows)


@dataclass(frozen=True)
class EmailStep:
    """One step on the way of an email to the mailbox, for staff and for the customer.

    ``state`` is done, now, todo or wrong. ``at`` is None where no time is known; ``after`` is the time since the step
    before, in words. It is here because emails, orders and notifier all use it, and share only this app.
    """

    name: str
    state: str
    at: datetime | None = None
    detail: str = ""
    after: str = ""
