"""``Idempotency-Key``: a request that is sent again is not carried out again."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models.functions import Now

from orders.api import idempotency
from orders.api.idempotency import Answer, Declined, Request
from orders.api.schemas import OrderIn
from orders.errors import KeyInUse
from orders.limits import allowances
from orders.models import BankAccount, IdempotentRequest, Order, RequestAllowance, Transaction
from queues import registry
from queues.models import OutboxEvent
from tests.support.api import EVE, ApiClient, access_token, id_token, order
from tests.support.builders import make_account, make_product
from tests.support.threads import at_once

pytestmark = pytest.mark.django_db

KEY = "7d8c4f60-0000-4000-8000-000000000001"
REQUEST = Request(client="ada", key=KEY, hash="h")


@pytest.fixture
def ada():
    make_product(sku="MUG-1")
    return ApiClient(id_token())


# A client that began to send a request before an upgrade sends it again after it.
def test_request_that_names_no_language_is_the_one_of_an_earlier_release(ada):
    body = OrderIn.model_validate(order("MUG-1")).model_dump(mode="json")

    assert "locale" not in body


def answered(answer):
    return answer.status_code, answer.content, answer.get("Location")


def ago(**units):
    return Now() - timedelta(**units)


def test_same_request_again_gets_the_first_answer(ada):
    first = ada.post("/orders", order("MUG-1"), key=KEY)
    second = ada.post("/orders", order("MUG-1"), key=KEY)

    assert answered(first) == answered(second)
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert Order.objects.count() == OutboxEvent.objects.count() == 1


def test_same_request_written_otherwise_is_the_same(ada):
    body = order("MUG-1")
    ada.post("/orders", body, key=KEY)

    again = ada.post("/orders", dict(reversed(body.items())), key=KEY)

    assert again["Idempotent-Replayed"] == "true"


def test_another_body_under_the_key_is_refused(ada):
    ada.post("/orders", order("MUG-1"), key=KEY)

    answer = ada.post("/orders", order("MUG-1", lines=[{"sku": "MUG-1", "quantity": 3}]), key=KEY)

    assert (answer.status_code, answer.json()["code"]) == (422, "key_reused")
    assert Order.objects.count() == 1


def test_key_of_another_client_is_another_key(ada):
    ada.post("/orders", order("MUG-1"), key=KEY)

    answer = ApiClient(id_token(EVE)).post("/orders", order("MUG-1"), key=KEY)

    assert answer.status_code == 201
    assert Order.objects.count() == 2


def test_without_a_key_each_request_is_one_of_its_own(ada):
    ada.post("/orders", order("MUG-1"))
    ada.post("/orders", order("MUG-1"))

    assert Order.objects.count() == 2


@pytest.mark.parametrize("key", ["a b", "é", "k" * 256])
def test_key_that_cannot_be_one_is_refused(ada, key):
    answer = ada.post("/orders", order("MUG-1"), key=key)

    assert answer.json()["errors"][0]["parameter"] == "Idempotency-Key"
    assert not Order.objects.exists()


def test_while_it_is_carried_out_the_same_request_has_to_wait(ada):
    ada.post("/orders", order("MUG-1"), key=KEY)
    IdempotentRequest.objects.update(status=None, lease_until=ago(seconds=-60))

    answer = ada.post("/orders", order("MUG-1"), key=KEY)

    assert (answer.status_code, answer.json()["code"]) == (409, "key_in_use")
    assert answer["Retry-After"] == "1"


def test_refusal_is_an_answer_that_stays():
    account = make_account()
    bank = ApiClient(access_token("transactions:write"))
    withdrawal = {"account": account.number, "kind": "withdrawal", "amount_cents": 100}
    first = bank.post("/transactions", withdrawal, key=KEY)
    deposit = {"account": account.number, "kind": "deposit", "amount_cents": 100}
    bank.post("/transactions", deposit, key="another")

    again = bank.post("/transactions", withdrawal, key=KEY)

    assert first.json()["code"] == "overdraft"
    assert answered(first) == answered(again)
    assert Transaction.objects.count() == 1


def test_what_a_refusal_had_written_is_undone_and_its_answer_kept():
    def refuse():
        make_account()
        raise Declined(Answer(422, "{}"))

    first, again = (idempotency.once(REQUEST, refuse) for _ in range(2))

    assert (first.status, again.status, again.is_replayed) == (422, 422, True)
    assert not BankAccount.objects.exists()


def test_what_failed_by_an_error_of_ours_may_be_sent_againat_once():
    with pytest.raises(ZeroDivisionError):
        idempotency.once(REQUEST, lambda: Answer(1 // 0, ""))

    assert idempotency.once(REQUEST, lambda: Answer(201, "{}")).status == 201


def test_what_died_with_its_process_is_done_by_the_next_one():
    IdempotentRequest.objects.create(
        client="ada", key=KEY, request_hash="h", claim=None, lease_until=ago(seconds=1)
    )

    answer = idempotency.once(REQUEST, lambda: Answer(201, "{}"))

    assert (answer.status, answer.is_replayed) == (201, False)


def test_process_that_was_frozen_past_its_lease_leaves_nothing():
    def frozen():
        make_account()
        IdempotentRequest.objects.update(lease_until=ago(seconds=1))
        idempotency.once(REQUEST, lambda: Answer(201, '"the other one"'))
        return Answer(201, '"the frozen one"')

    with pytest.raises(KeyInUse):
        idempotency.once(REQUEST, frozen)

    # In one process both are one transaction, so the other one's answer went as well.
    assert not IdempotentRequest.objects.filter(body='"the frozen one"').exists()


def test_keys_are_kept_for_a_day(ada):
    ada.post("/orders", order("MUG-1"), key="new")
    ada.post("/orders", order("MUG-1"), key="old")
    IdempotentRequest.objects.filter(key="new").update(asked_at=ago(hours=23, minutes=59))
    IdempotentRequest.objects.filter(key="old").update(asked_at=ago(hours=24, minutes=1))

    _sweep(idempotency.forget_old_keys)

    assert [known.key for known in IdempotentRequest.objects.all()] == ["new"]


def test_client_that_was_quiet_for_an_hour_is_forgotten(ada):
    ada.get("/orders")
    ApiClient(id_token(EVE)).get("/orders")
    RequestAllowance.objects.filter(client=RequestAllowance.objects.all()[0].client).update(
        tat_us=0
    )

    _sweep(allowances.forget_quiet_clients)

    assert RequestAllowance.objects.count() == 1


def _sweep(step):
    """Run a sweep step, as consumers do."""
    assert step in registry.sweeps
    step()


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_same_request_from_everywhere_at_once_is_carried_out_once():
    account = make_account(balance=Decimal(0))
    token = access_token("transactions:write")
    deposit = {"account": account.number, "kind": "deposit", "amount_cents": 100}

    answers = at_once(6, lambda: ApiClient(token).post("/transactions", deposit, key=KEY))

    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert Transaction.objects.count() == OutboxEvent.objects.count() == 1


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_allowance_is_one_for_all_processes(settings):
    settings.API_REQUESTS_PER_MINUTE = 18
    token = id_token()

    statuses = at_once(6, lambda: ApiClient(token).get("/orders").status_code)

    assert sorted(statuses) == [200, 200, 200, 429, 429, 429]
