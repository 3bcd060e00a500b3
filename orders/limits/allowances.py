"""Limit how often each client may ask, across all processes: a leaky bucket (GCRA) in one row for each client.

Clients are programs that use the API, callers who post our forms, and recipients of emails that a form makes us send.
"""

from __future__ import annotations

import math
from datetime import timedelta

from django.db import connection
from django.utils import timezone
from django.utils.crypto import salted_hmac

from orders.errors import TooFast
from orders.models import RequestAllowance
from queues.models import leaky_bucket
from queues.models.sql import clock_us, unhurried
from queues.registry import sweeps
from queues.upkeep.old_rows import delete_batches


def take(client: str, *, allowed: int, seconds: int, burst_seconds: int) -> None:
    """Count one request; if it comes too early, raise TooFast and count nothing.

    ``allowed`` requests may come in ``seconds``. A client that was quiet may send ``burst_seconds``' worth at once.
    The count is part of the caller's transaction, if there is one.
    """
    step_us = seconds * 1_000_000 // allowed
    ahead_us = max(0, burst_seconds * 1_000_000 - step_us)
    with connection.cursor() as cursor:
        cursor.execute(
            # The SQL parts are constants.
            "INSERT INTO orders_requestallowance AS known (client, tat_us) "  # noqa: S608
            f"SELECT %s, {clock_us()} + %s WHERE {unhurried()} ON CONFLICT (client) DO UPDATE "
            f"SET tat_us = {leaky_bucket.filled('%s', 'known.tat_us')} "
            f"WHERE {leaky_bucket.is_open('known.tat_us')} RETURNING tat_us",
            [client, step_us, step_us, ahead_us],
        )
        if not cursor.fetchall():
            raise TooFast(_seconds_until(client, ahead_us))


def row_of(kind: str, address: str) -> str:
    """Return the client name for an address, ignoring case: a keyed hash, so that the address is not stored."""
    key = salted_hmac(f"orders.allowances.{kind}", address.lower(), algorithm="sha256").hexdigest()
    return f"{kind}:{key[:32]}"


@sweeps
def forget_quiet_clients() -> int:
    """Delete one batch of clients that were quiet for an hour: they have their whole allowance again."""
    an_hour_ago = timezone.now() - timedelta(hours=1)
    return delete_batches(
        RequestAllowance.objects.filter(tat_us__lt=int(an_hour_ago.timestamp() * 1_000_000))
    )


def _seconds_until(client: str, ahead_us: int) -> int:
    """Return the whole seconds to wait, at least 1."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {leaky_bucket.ahead()} FROM orders_requestallowance WHERE client = %s",  # noqa: S608
            [client],
        )
        rows = cursor.fetchall()
    wait_us = int(rows[0][0]) - ahead_us if rows else 0
    return max(1, math.ceil(wait_us / 1_000_000))
