"""Refuse transactions of other applications about accounts that are not known here.

This check finds mistakes, not fraud: an application that may write to the queue can pretend to be us. IAM decides who
may write.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID

from django.conf import settings

from orders.events import TransactionPosted
from orders.models import BankAccount
from queues import addresses
from queues.answers import Advice, Bucket, Cause
from queues.errors import Reject
from queues.events.envelope import Event
from queues.registry import advisers, handles, preflights

CODE = "UnknownAccount"


@handles("transaction.posted.v1")
def refuse_unknown_account(event: Event) -> None:
    """Raise Reject for an unknown account. Our own transactions skip the query: posting them locked the account."""
    if _unknown([event]):
        raise Reject(
            f"{event.source} names an account that is not known here: its number ends in"
            f" {_ending(event) or 'nothing'}, and it is held by the address in holder_email",
            code=CODE,
        )


@preflights
class Preflight:
    """Find the events that would be refused again."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def __call__(self, events: Sequence[Event]) -> dict[UUID, Bucket]:
        """Return the events that would fail, with one query for all of them."""
        posted = [event for event in events if event.type == TransactionPosted.event_type]
        return dict.fromkeys(_unknown(posted), Bucket.FAILS)


@advisers
def advise(cause: Cause) -> Advice | None:
    """Advise on the dead letters that this module causes; None for others."""
    if cause.code != CODE:
        return None
    return Advice(
        "Another application posted to an account that is not known here",
        "Check which is wrong, the account's number or its holder's address. Fix it under Bank accounts and redrive, "
        "or tell the application's owner and discard the dead letter. FOREIGN_ACCOUNTS=any accepts accounts that "
        "are kept elsewhere.",
    )


def _unknown(events: Sequence[Event]) -> set[UUID]:
    """Return the ids of events from other applications whose account is not known here."""
    foreign = [event for event in events if event.source != TransactionPosted.event_source]
    if not foreign or settings.FOREIGN_ACCOUNTS == "any":
        return set()
    held = BankAccount.objects.held_by(*{_address(event) for event in foreign})
    accounts = [
        (addresses.key(email), number)
        for email, number in held.values_list("holder_email", "number")
    ]
    return {event.id for event in foreign if not _is_among(event, accounts)}


def _is_among(event: Event, accounts: Sequence[tuple[str, str]]) -> bool:
    ending, address = _ending(event), addresses.key(_address(event))
    return bool(ending) and any(
        email == address and number.endswith(ending) for email, number in accounts
    )


def _ending(event: Event) -> str:
    """Return the last four letters and digits of the account's number, or fewer if fewer are given."""
    masked: str = event.data["account"]["number_masked"]
    return re.sub(r"[^0-9A-Za-z]", "", masked)[-4:]


def _address(event: Event) -> str:
    address: str = event.data["account"]["holder_email"]
    return address
