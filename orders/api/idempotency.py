"""A request that is sent twice is carried out once: ``Idempotency-Key``, as Stripe has it.

The key is claimed first, committed, with a lease. The work, its answer and the end of the claim are one transaction: so
a claim whose process died has done nothing, and whoever comes after its lease may do it. A process that was frozen past
its lease finds its claim gone, and all it did is rolled back. What fails for a reason of ours keeps no answer.
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
from queues.upkeep.old_rows import delete_batch

# Longer than a web server lets a request run.
LEASE_SECONDS = 60
KEEP_HOURS = 24


@dataclass(frozen=True)
class Answer:
    """What the client is told: a status, JSON, and where the thing is that was made."""

    status: int
    body: str
    location: str = ""
    is_replayed: bool = False


@dataclass(frozen=True)
class Request:
    """What makes two requests the same one: the client's key, and a hash of what is asked."""

    client: str
    key: str
    hash: str


class Declined(Exception):
    """Nothing is to be done, and this answer says why: what was written is undone, the answer is kept."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body)
        self.answer = answer


def once(request: Request | None, act: Callable[[], Answer]) -> Answer:
    """Do it, or give the answer that it got before; raises KeyReused, KeyInUse, and what ``act`` raises.

    ``act`` raises Declined to refuse. Without a request, which has a key, it is done as often as it is asked for.
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
    """One batch of those that may be used anew."""
    return delete_batch(
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
    """None: go on, the claim stands."""
    if _insert(request, claim):
        return None
    known = _rows(request).first()
    if known is None:
        raise KeyInUse("The first request under this key was given up just now. Send it again.")
    if known.request_hash != request.hash:
        raise KeyReused("This key belongs to a request with another body. Use a new key.")
    if known.status is not None:
        return Answer(known.status, known.body, known.location, is_replayed=True)
    abandoned = _rows(request).filter(status=None, lease_until__lt=Now())
    if abandoned.update(claim=claim, lease_until=Now() + timedelta(seconds=LEASE_SECONDS)):
        return None
    raise KeyInUse("The first request under this key is still being carried out. Try again.")


def _insert(request: Request, claim: uuid.UUID) -> bool:
    """False where the key is known. Written out: to the ORM, what was ignored looks like what was inserted."""
    lease_until, moment_values = moment(timedelta(seconds=LEASE_SECONDS))
    with connection.cursor() as cursor:
        cursor.execute(
            # The parts are constants. A claim that is lost with the machine has done nothing.
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
            raise KeyInUse("This request took too long, and another one took its key. Try again.")


def _stored(claim: uuid.UUID) -> Any:
    """As the column's field passes it on."""
    return IdempotentRequest._meta.get_field("claim").get_db_prep_value(claim, connection)


def _give_back(mine: QuerySet[IdempotentRequest]) -> None:
    """Nothing was done: the next request under the key may do it at once."""
    try:
        mine.delete()
    except Error:
        # The database is away: the lease ends by itself.
        return


def _rows(request: Request) -> QuerySet[IdempotentRequest]:
    return IdempotentRequest.objects.filter(client=request.client, key=request.key)
