"""Whom emails are sent as: what staff chose on the page of an identity, else ``SES_FROM_EMAIL``.

Every process asks the database anew after ``FRESH_SECONDS``, so a choice is in force everywhere within seconds and
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
from queues.threads.writer import by_one_thread

logger = logging.getLogger(__name__)

FRESH_SECONDS = 2.0


@dataclass
class _Known:
    chosen: str
    until: float


_known: _Known | None = None


def in_force() -> str:
    """The From of an email, with its display name; empty if there is none at all.

    While the database does not answer, what was known last stays in force. Raises DatabaseError if nothing was.
    """
    global _known
    known = _known
    if known is None or time.monotonic() >= known.until:
        if known is not None:
            # Other threads go on with it while this one asks; no lock, for the asking may need another thread.
            known.until = time.monotonic() + FRESH_SECONDS
        known = _known = _Known(_chosen_now(known), time.monotonic() + FRESH_SECONDS)
    return known.chosen or str(settings.SES_FROM_EMAIL)


def address() -> str:
    """Its bare address."""
    return parseaddr(in_force())[1]


def readable() -> str:
    """As a person reads it, with its name decoded."""
    name, address = parseaddr(in_force())
    name = str(make_header(decode_header(name)))
    return f"{name} <{address}>" if name else address


def chosen() -> DefaultSender | None:
    """Who chose it and when; None where ``SES_FROM_EMAIL`` is in force."""
    return DefaultSender.objects.filter(pk=1).first()


def choose(address: str, *, display_name: str, by: str) -> DefaultSender:
    """Send as this from now on. Whether SES lets us is the caller's to find out first."""
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
    """Send as ``SES_FROM_EMAIL`` again; False if that was so already."""
    deleted, _ = DefaultSender.objects.filter(pk=1).delete()
    forget()
    if deleted:
        logger.warning("default sender reset to SES_FROM_EMAIL")
    return bool(deleted)


def forget() -> None:
    """Ask the database at the next email: after a choice in this process, and between tests."""
    global _known
    _known = None


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
    return str(row) if row else ""
