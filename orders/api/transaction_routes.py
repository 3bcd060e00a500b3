"""Serve ``/api/v1/transactions`` and ``/api/v1/accounts``: post a transaction, list those of an account."""

from __future__ import annotations

from typing import Annotated

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Router
from ninja.params.functions import Path
from pydantic import Field

from orders import services
from orders.api import repeating, tokens
from orders.api.auth import READ_TRANSACTIONS, WRITE_TRANSACTIONS, caller_of, need_scope
from orders.api.idempotency import Answer
from orders.api.pages import AFTER, LIMIT, AfterTransaction, Limit, next_address, page
from orders.api.repeating import KEY, IdempotencyKey
from orders.api.schemas import (
    ACCOUNT_NUMBER,
    ProblemOut,
    TransactionIn,
    TransactionOut,
    TransactionPage,
    from_cents,
)
from orders.api.tokens import Caller
from orders.models import BankAccount
from queues import addresses

router = Router(tags=["Bank"])


@router.post(
    "/transactions",
    response={201: TransactionOut, frozenset({400, 401, 403, 409, 413, 415, 422, 429}): ProblemOut},
    summary="Post a transaction",
)
def post_transaction(
    request: HttpRequest, transaction: TransactionIn, idempotency_key: IdempotencyKey = KEY
) -> HttpResponse:
    """Post a deposit or a withdrawal; needs the scope transactions:write. The account's holder gets an alert."""
    need_scope(caller_of(request), WRITE_TRANSACTIONS)
    return repeating.once(request, idempotency_key, transaction, lambda: _post(transaction))


@router.get(
    "/accounts/{number}/transactions",
    response={200: TransactionPage, frozenset({401, 404, 422, 429}): ProblemOut},
    summary="Read the transactions of an account",
)
def list_transactions(
    request: HttpRequest,
    number: Annotated[str, Field(pattern=ACCOUNT_NUMBER), Path()],
    limit: Limit = LIMIT,
    after: AfterTransaction = AFTER,
) -> TransactionPage:
    """List them newest first; needs the ID token of the account's holder, or the scope transactions:read."""
    account = BankAccount.objects.filter(number=number).first()
    if account is None or not _may_read(caller_of(request), account):
        raise Http404("no such account for this client")
    found, has_more = page(account.transactions.all(), after=after, limit=limit)
    following = next_address(request, after=found[-1].reference, limit=limit) if has_more else None
    items = [TransactionOut.of(posted, account) for posted in found]
    return TransactionPage(items=items, next=following)


def _may_read(caller: Caller, account: BankAccount) -> bool:
    if tokens.scope(READ_TRANSACTIONS) in caller.scopes:
        return True
    holder = addresses.key(account.holder_email)
    return bool(caller.email) and addresses.key(caller.email) == holder


def _post(asked: TransactionIn) -> Answer:
    posted = services.post_transaction(
        account_number=asked.account,
        kind=asked.kind,
        amount=from_cents(asked.amount_cents),
        currency=asked.currency or "",
        description=asked.description,
    )
    return Answer(201, TransactionOut.of(posted, posted.account).model_dump_json())
