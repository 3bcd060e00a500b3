"""Carry out a request once, even if it is sent twice: ``Idempotency-Key``, as Stripe has it.

The key is claimed first, with a lease, and the claim is committed. The work, its answer and the end of the claim are
one transaction. So if a process dies, its claim has done nothing, and the next request may do the work after the lease.
A process that was frozen past its lease finds its claim gone, and its work is rolled back. A failure of our own stores
no answer.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import Error, connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from orders.errors import KeyInUse, KeyReused
from orders.models import IdempotentRequest
from queues.models.sql import moment, unhurried
from queues.registry import sweeps
from queues.upkeep.old_rows import delete_batches

# Must be longer than the web server lets a request run.
LEASE_SECONDS = 60
KEEP_HOURS = 24


@dataclass(frozen=True)
class Answer:
    """The answer to a request: a status, JSON, and the address of what was made."""

    status: int
    body: str
    location: str = ""
    is_replayed: bool = False


@dataclass(frozen=True)
class Request:
    """The identity of a request: its client, the client's key, and a hash of what is asked."""

    client: str
    key: str
    hash: str


class Declined(Exception):
    """Raised to refuse the request: what was written is rolled back, but the answer is stored."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body)
        self.answer = answer


def once(request: Request | None, act: Callable[[], Answer]) -> Answer:
    """Carry out the request, or return its earlier answer; raises KeyReused, KeyInUse, and what ``act`` raises.

    ``act`` raises Declined to refuse. Without a key ``request`` is None, and each call is carried out.
    """
    if request is None:
        return _carried_out(act, lambda answer: None)
    claim = uuid.uuid4()
    if answer := _claim(request, claim):
        return answer
    try:
        return _carried_out(act, lambda answer: _keep(request, claim, answer))
    except BaseException:
        _give_back(_rows(request).filter(claim=claim))
        raise


@sweeps
def forget_old_keys() -> int:
    """Delete one batch of keys older than ``KEEP_HOURS``, which may be used again; return how many."""
    return delete_batches(
        IdempotentRequest.objects.filter(asked_at__lt=Now() - timedelta(hours=KEEP_HOURS))
    )


def _carried_out(act: Callable[[], Answer], keep: Callable[[Answer], None]) -> Answer:
    try:
        with transaction.atomic():
            answer = act()
            keep(answer)
            return answer
    except Declined as exc:
        keep(exc.answer)
        return exc.answer


def _claim(request: Request, claim: uuid.UUID) -> Answer | None:
    """Claim the key and return None, or return the stored answer; raises KeyInUse or KeyReused."""
    if _insert(request, claim):
        return None
    known = _rows(request).first()
    if known is None:
        raise KeyInUse("The first request with this key has just failed. Send it again.")
    if known.request_hash != request.hash:
        raise KeyReused("This key was used for a request with another body. Use a new key.")
    if known.status is not None:
        return Answer(known.status, known.body, known.location, is_replayed=True)
    abandoned = _rows(request).filter(status=None, lease_until__lt=Now())
    if abandoned.update(claim=claim, lease_until=Now() + timedelta(seconds=LEASE_SECONDS)):
        return None
    raise KeyInUse("The first request with this key is still running. Try again.")


def _insert(request: Request, claim: uuid.UUID) -> bool:
    """Insert the claim; return False if the key is known.

    It is raw SQL, because the ORM does not tell an ignored row from an inserted one.
    """
    lease_until, moment_values = moment(timedelta(seconds=LEASE_SECONDS))
    with connection.cursor() as cursor:
        cursor.execute(
            # The SQL parts are constants. If the machine crashes and loses the claim, the claim has done nothing.
            "INSERT INTO orders_idempotentrequest (client, key, request_hash, claim, lease_until)"  # noqa: S608
            f" SELECT %s, %s, %s, %s, {lease_until} WHERE {unhurried()}"
            " ON CONFLICT (client, key) DO NOTHING",
            [request.client, request.key, request.hash, _stored(claim), *moment_values],
        )
        return bool(cursor.rowcount == 1)


def _keep(request: Request, claim: uuid.UUID, answer: Answer) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE orders_idempotentrequest"
            " SET status = %s, body = %s, location = %s, claim = NULL, lease_until = NULL"
            " WHERE client = %s AND key = %s AND claim = %s",
            [
                *(answer.status, answer.body, answer.location),
                *(request.client, request.key, _stored(claim)),
            ],
        )
        if cursor.rowcount != 1:
            raise KeyInUse(
                "This request took too long, and another one took over its key. Try again."
            )


def _stored(claim: uuid.UUID) -> Any:
    """Convert the claim to the value that its column stores."""
    return IdempotentRequest._meta.get_field("claim").get_db_prep_value(claim, connection)


def _give_back(mine: QuerySet[IdempotentRequest]) -> None:
    """Delete the claim, because nothing was done: the next request with the key may start at once."""
    try:
        mine.delete()
    except Error:
        # The database is down. The lease will end by itself.
        return


def _rows(request: Request) -> QuerySet[IdempotentRequest]:
    return IdempotentRequest.objects.filter(client=request.client, key=request.key)
