"""Publish on save: no fact without its event, no event without its fact, and no second version of either."""

from __future__ import annotations

import threading
import uuid
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from orders import services
from orders.errors import (
    CurrencyMismatch,
    Immutable,
    MixedCurrencies,
    NoLines,
    Overdraft,
    Refused,
    UnknownAccount,
)
from orders.models import BankAccount, Order, OrderLine, Transaction
from queues.models import OutboxEvent
from tests.support.builders import (
    make_account,
    make_customer,
    make_order,
    make_product,
    make_transaction,
    shipping,
)

pytestmark = pytest.mark.django_db


def test_order_saved_in_a_shell_leaves_its_lines_and_one_event():
    order = Order(**shipping())
    order.new_lines = [OrderLine(product=make_product(), quantity=3)]

    order.save()

    assert order.number == f"ORD-{order.pk:06d}"
    assert order.lines.get().quantity == 3
    assert OutboxEvent.objects.get(subject=order.number).type == "order.placed.v1"


def test_transaction_saved_in_a_shell_moves_the_balance_and_leaves_one_event():
    account = make_account(balance=Decimal("10.00"))

    posted = Transaction(account=account, kind="withdrawal", amount=Decimal("4.00"))
    posted.save()

    account.refresh_from_db()
    assert account.balance == posted.balance_after == Decimal("6.00")
    assert OutboxEvent.objects.get(subject=posted.reference).group == f"account-{account.pk}"


def test_rolling_back_takes_the_order_and_its_event():
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        make_order()
        raise ZeroDivisionError

    assert not Order.objects.exists()
    assert not OutboxEvent.objects.exists()


def test_rolling_back_takes_the_transaction_its_balance_and_its_event():
    account = make_account()

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        make_transaction(account=account)
        raise ZeroDivisionError

    account.refresh_from_db()
    assert account.balance == 0
    assert not Transaction.objects.exists()
    assert not OutboxEvent.objects.exists()


def test_event_that_cannot_be_recorded_takes_the_order_with_it(settings):
    settings.BASE_URL = "not a URL"

    with pytest.raises(ValueError, match="order_url"):
        make_order()

    assert not Order.objects.exists()


def test_order_without_lines_is_refused():
    with pytest.raises(NoLines):
        Order(**shipping()).save()


@pytest.mark.parametrize("quantity", [0, -1, 100, 10**12])
def test_absurd_quantity_is_refused(quantity):
    with pytest.raises(ValidationError):
        make_order(lines=[(make_product(), quantity)])

    assert not Order.objects.exists()


def test_order_in_two_currencies_is_refused():
    with pytest.raises(MixedCurrencies):
        make_order(lines=[(make_product(), 1), (make_product(currency="EUR"), 1)])


def test_line_keeps_name_and_price_of_that_time():
    product = make_product(name="Mug", price=Decimal("12.50"))
    order = make_order(lines=[(product, 2)])

    product.name, product.price = "Cup", Decimal("99.00")
    product.save()

    line = order.lines.get()
    assert (line.name, line.unit_price, line.total) == ("Mug", Decimal("12.50"), Decimal("25.00"))


def _order():
    return make_order()


def _line():
    return make_order().lines.get()


def _transaction():
    return make_transaction()


@pytest.mark.parametrize("make", [_order, _line, _transaction])
def test_fact_is_neither_saved_again_nor_deleted(make):
    fact = make()

    with pytest.raises(Immutable):
        fact.save()
    with pytest.raises(Immutable):
        fact.delete()


@pytest.mark.parametrize("make", [_order, _line, _transaction])
@pytest.mark.parametrize("manager", ["_default_manager", "_base_manager"])
def test_facts_are_not_changed_in_bulk(make, manager):
    fact = make()
    rows = getattr(type(fact), manager)

    for change in (
        lambda: rows.update(pk=7),
        lambda: rows.all().delete(),
        lambda: rows.bulk_create([fact]),
        lambda: rows.bulk_update([fact], [fact._meta.fields[-1].name]),
    ):
        with pytest.raises(Immutable):
            change()


def test_line_is_not_added_to_a_placed_order():
    order = make_order()

    with pytest.raises(Immutable):
        order.lines.create(product=make_product(), quantity=1)
    with pytest.raises(Immutable):
        order.lines.all().delete()


def test_same_key_is_the_same_order():
    key, lines = uuid.uuid4(), [(make_product(), 2)]

    first = make_order(idempotency_key=key, lines=lines)
    second = make_order(idempotency_key=key, lines=lines)

    assert first == second
    assert OutboxEvent.objects.count() == 1


def test_order_belongs_to_the_customer_with_its_address_in_any_case():
    customer = make_customer(email="Ada@Example.com")

    order = make_order(customer_email="ada@example.COM")

    assert order.customer == customer
    assert OutboxEvent.objects.get().group == f"customer-{customer.pk}"


def test_partition_key_of_a_stranger_holds_no_address():
    order = make_order()

    assert OutboxEvent.objects.get().group == f"order-{order.pk}"


def test_address_of_a_customer_is_unique_in_any_case():
    make_customer(email="ada@example.com")

    with pytest.raises(IntegrityError):
        make_customer(email="ADA@example.com")


def test_overdraft_is_refused_and_changes_nothing():
    account = make_account(balance=Decimal("10.00"))

    with pytest.raises(Overdraft, match=r"\$10.00, less than \$10.01"):
        make_transaction(account=account, kind="withdrawal", amount=Decimal("10.01"))

    account.refresh_from_db()
    assert account.balance == Decimal("10.00")
    assert not Transaction.objects.exists()
    assert not OutboxEvent.objects.exists()


def test_transaction_in_another_currency_is_refused():
    with pytest.raises(CurrencyMismatch):
        make_transaction(currency="EUR")


@pytest.mark.parametrize("amount", ["0", "-5", "0.001", "99999999999"])
def test_amount_that_is_none_is_refused(amount):
    with pytest.raises(ValidationError):
        make_transaction(amount=Decimal(amount))


def test_unknown_account_is_refused():
    with pytest.raises(UnknownAccount):
        services.post_transaction(account_number="none", kind="deposit", amount=Decimal(1))


def test_saving_a_stale_account_keeps_its_balance():
    stale = make_account()
    make_transaction(account=stale, amount=Decimal("150.00"))

    stale.holder_name = "Augusta Ada King"
    stale.save()

    fresh = BankAccount.objects.get(pk=stale.pk)
    assert (fresh.holder_name, fresh.balance) == ("Augusta Ada King", Decimal("150.00"))


def _at_once(*calls):
    """Run the calls in threads that start together; the errors they raised."""
    barrier = threading.Barrier(len(calls))
    errors = []

    def run(call):
        try:
            barrier.wait(timeout=10)
            call()
        except Refused as exc:
            errors.append(exc)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return errors


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_two_withdrawals_at_once_do_not_overdraw():
    account = make_account(balance=Decimal("100.00"))

    def withdraw():
        make_transaction(account=account, kind="withdrawal", amount=Decimal("60.00"))

    errors = _at_once(withdraw, withdraw)

    account.refresh_from_db()
    assert [type(error) for error in errors] == [Overdraft]
    assert account.balance == Decimal("40.00")
    assert OutboxEvent.objects.count() == 1


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_events_of_one_account_are_recorded_in_the_order_of_its_balances():
    account = make_account()

    _at_once(*[lambda: make_transaction(account=account, amount=Decimal(1))] * 6)

    subjects = OutboxEvent.objects.order_by("id").values_list("subject", flat=True)
    balances = [Transaction.objects.get(reference=subject).balance_after for subject in subjects]
    assert balances == [1, 2, 3, 4, 5, 6]


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_two_submits_at_once_make_one_order():
    key, product = uuid.uuid4(), make_product()

    def place():
        make_order(idempotency_key=key, lines=[(product, 1)])

    _at_once(place, place)

    assert Order.objects.count() == OutboxEvent.objects.count() == 1


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_two_registrations_at_once_make_one_customer_and_one_event():
    def register():
        services.register(name="Bob", email="bob@example.net")

    _at_once(register, register)

    assert OutboxEvent.objects.filter(type="customer.registered.v1").count() == 1


def test_migrations_are_complete():
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)
