"""Choose the From address of emails: the one that staff chose on an identity's page, else ``SES_FROM_EMAIL``.

Every process asks the database again after ``FRESH_SECONDS``, so a choice is in force everywhere within seconds and
costs no query per email.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.utils import parseaddr

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from emails.models.identities import DefaultSender
from queues import addresses
from queues.threads.writer import by_one_thread

logger = logging.getLogger(__name__)

FRESH_SECONDS = 2.0


@dataclass
class _Known:
    chosen: str
    until: float


_known: _Known | None = None


def in_force() -> str:
    """Return the From of an email in ASCII, with its display name; empty if there is none at all.

    While the database does not answer, the last known sender stays in force. Raises DatabaseError if none is known.
    """
    global _known
    known = _known
    if known is None or time.monotonic() >= known.until:
        if known is not None:
            # Other threads use the old sender while this one asks. A lock could block: the query may need another
            # thread.
            known.until = time.monotonic() + FRESH_SECONDS
        known = _known = _Known(_chosen_now(known), time.monotonic() + FRESH_SECONDS)
    return known.chosen or _ascii(settings.SES_FROM_EMAIL)


def address() -> str:
    """Return the bare address of the sender in force."""
    return parseaddr(in_force())[1]


def readable() -> str:
    """Return the sender in force for people to read, with its name decoded."""
    name, address = parseaddr(in_force())
    name = str(make_header(decode_header(name)))
    return f"{name} <{address}>" if name else address


def chosen() -> DefaultSender | None:
    """Return the sender that staff chose, with who chose it and when; None if ``SES_FROM_EMAIL`` is in force."""
    return DefaultSender.objects.filter(pk=1).first()


def choose(address: str, *, display_name: str, by: str) -> DefaultSender:
    """Send from this address from now on; the caller must find out first whether SES lets us."""
    row, _ = DefaultSender.objects.update_or_create(
        pk=1,
        defaults={
            "address": address,
            "display_name": display_name,
            "chosen_by": by,
            "chosen_at": timezone.now(),
        },
    )
    forget()
    logger.warning("default sender chosen domain=%s", address.rpartition("@")[2])
    return row


def reset() -> bool:
    """Send from ``SES_FROM_EMAIL`` again; False if that was so already."""
    deleted, _ = DefaultSender.objects.filter(pk=1).delete()
    forget()
    if deleted:
        logger.warning("default sender reset to SES_FROM_EMAIL")
    return bool(deleted)


def forget() -> None:
    """Forget the known sender, so that the next email asks the database: after a choice here, and between tests."""
    global _known
    _known = None


def _ascii(sender: str) -> str:
    """Return the sender as SES takes it; a sender that is wrong stays, and SES's refusal names it."""
    try:
        return addresses.mailbox(sender)
    except ValueError:
        return sender


def _chosen_now(known: _Known | None) -> str:
    try:
        return _read()
    except DatabaseError as exc:
        if known is None:
            raise
        logger.warning("default sender not read: %s", type(exc).__name__)
        return known.chosen


@by_one_thread
def _read() -> str:
    row = chosen()
    return _ascii(str(row)) if row else ""
