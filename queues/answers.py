"""Define what upper apps answer when the queues ask: outcomes, advice, preflights, previews and tables for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal

from queues import masking


class Verdict(StrEnum):
    """``accepted``: sent. ``bounced``: sent, and it came back. ``unsent``: not sent, and rightly so.

    ``failed``: certainly not sent, though it should have been. ``pending``: nobody knows yet.
    """

    ACCEPTED = "accepted"
    BOUNCED = "bounced"
    UNSENT = "unsent"
    FAILED = "failed"
    PENDING = "pending"


@dataclass(frozen=True)
class Outcome:
    """The outcome of an event, as far as an upper app knows now; ``words`` are for staff and name no person.

    ``may_change``: better or worse news may come soon, and a careful caller waits for it.
    """

    verdict: Verdict
    words: str
    may_change: bool = False


@dataclass(frozen=True)
class Cause:
    """Why messages are dead letters. ``is_of_one``: all are one customer's, so an address in the reason is theirs."""

    code: str
    reason: str
    is_of_one: bool = False


@dataclass(frozen=True)
class DomainAct:
    """A button for each recipient's domain: it posts ``name`` and ``next`` to ``address``, and needs ``permission``."""

    label: str
    address: str
    permission: str


@dataclass(frozen=True)
class Advice:
    """``words`` say what happened, ``todo`` what to do; ``label`` and ``address`` link to the page for that.

    Only staff with ``permission`` see the link; if it is empty, all staff do. ``act`` is the act that helps: the page
    makes its button the primary one. ``fix`` means: first what the link leads to. ``is_specific``: no other cause has
    the same words, so they are its title as they are. ``by_domain`` fixes the cause for one domain of recipients.
    """

    words: str
    todo: str
    label: str = ""
    address: str = ""
    permission: str = ""
    act: Literal["fix", "redrive", "edit", "park", "discard"] = "redrive"
    by_domain: DomainAct | None = None
    is_specific: bool = False


class Bucket(StrEnum):
    """The forecast for an event in a redrive; if it would do several things, the first one listed here counts."""

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
        """The page's label for the bucket: what will happen."""
        return _WORDS[self][0]

    @property
    def consequence(self) -> str:
        """The page's help text: what that means, and what else to do."""
        return _WORDS[self][1]

    @property
    def is_worth_it(self) -> bool:
        """True if the page selects this bucket for a redrive by default."""
        return self in (Bucket.SENDS, Bucket.SENT, Bucket.UNTOLD)


_WORDS = {
    Bucket.SENDS: ("will send", "Their customers get their emails."),
    Bucket.SENT: ("already sent", "A redrive sends nothing again and closes the dead letters."),
    Bucket.NOT_VERIFIED: (
        "recipient not verified",
        "The SES account is in the sandbox, so SES will reject them again. Verify the addresses first.",
    ),
    Bucket.SUPPRESSED: (
        "suppressed",
        "Their addresses are suppressed; a redrive only closes the dead letters. If that is wrong, lift the address "
        "under Suppressions first.",
    ),
    Bucket.KEPT: (
        "kept back",
        "Bulk email is stopped. A redrive closes the dead letters; the emails go out when a person resumes bulk "
        "email.",
    ),
    Bucket.CANCELLED: (
        "cancelled",
        "Somebody cancelled these emails; a redrive only closes the dead letters.",
    ),
    Bucket.IN_DOUBT: (
        "in doubt",
        "SES may have accepted these, or a consumer is calling SES right now. A redrive sends nothing: say what "
        "happened under Notifications.",
    ),
    Bucket.FAILS: (
        "will fail again",
        "The data does not fit, no handler takes the type, the template cannot be rendered, or the queue is not in "
        "settings. Fix that first, or edit the dead letter.",
    ),
    Bucket.UNTOLD: (
        "outcome unknown",
        "They will be handled again; no app knows of an email that this sends.",
    ),
}


# The order in which the page lists them.
ORDER = tuple(_WORDS)


@dataclass(frozen=True)
class Preview:
    """A preview of one email. A ``problem`` says why the email cannot be made."""

    title: str
    recipient: str = ""
    subject: str = ""
    html: str = ""
    text: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Section:
    """A table above a row's own fields; without rows the page shows ``empty``, or no table if that is empty too."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[object]]
    empty: str = ""

    def masked(self) -> Section:
        """Return a copy with masked addresses; links and labels stay, because they name no person."""
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
