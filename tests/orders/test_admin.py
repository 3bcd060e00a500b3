"""The admin records what staff add as it records what customers do, and keeps it as it is."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from orders.models import BankAccount, Customer, Order, Transaction
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


def _order_form(*lines):
    form = shipping() | {
        "customer": "",
        "lines-TOTAL_FORMS": str(len(lines)),
        "lines-INITIAL_FORMS": "0",
        "lines-MIN_NUM_FORMS": "1",
        "lines-MAX_NUM_FORMS": "100",
    }
    for index, (product, quantity) in enumerate(lines):
        form[f"lines-{index}-product"] = str(product.pk)
        form[f"lines-{index}-quantity"] = str(quantity)
    return form


def _transaction_form(account, **changes):
    form = {"account": account.pk, "kind": "deposit", "amount": "150.00", "description": ""}
    return form | changes


def test_order_added_in_the_admin_leaves_its_lines_and_one_event(admin_client):
    response = admin_client.post(
        "/admin/orders/order/add/", _order_form((make_product(), 2), (make_product(), 1))
    )

    order = Order.objects.get()
    assert response.status_code == 302
    assert order.total == Decimal("37.50")
    assert order.lines.count() == 2
    assert OutboxEvent.objects.get().subject == order.number
    assert LogEntry.objects.get().object_id == str(order.pk)


def test_order_without_lines_is_refused_in_the_admin(admin_client):
    response = admin_client.post("/admin/orders/order/add/", _order_form())

    assert "Please submit at least 1 form" in response.text
    assert not Order.objects.exists()


@pytest.mark.parametrize("quantity", ["0", "100", "-1", "x"])
def test_absurd_quantity_is_refused_in_the_admin(admin_client, quantity):
    response = admin_client.post(
        "/admin/orders/order/add/", _order_form((make_product(), quantity))
    )

    assert response.status_code == 200
    assert not Order.objects.exists()


def test_two_currencies_are_refused_in_the_admin(admin_client):
    lines = (make_product(), 1), (make_product(currency="EUR"), 1)

    response = admin_client.post("/admin/orders/order/add/", _order_form(*lines))

    assert "priced in one currency" in response.text
    assert not Order.objects.exists()


def test_transaction_added_in_the_admin_leaves_one_event(admin_client):
    account = make_account()

    admin_client.post("/admin/orders/transaction/add/", _transaction_form(account))

    posted = Transaction.objects.get()
    account.refresh_from_db()
    assert account.balance == posted.balance_after == Decimal("150.00")
    assert OutboxEvent.objects.get().subject == posted.reference


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "x", "NaN", ""])
def test_bad_amount_is_an_error_beside_the_field(admin_client, amount):
    form = _transaction_form(make_account(), amount=amount)

    response = admin_client.post("/admin/orders/transaction/add/", form)

    assert list(response.context["adminform"].form.errors) == ["amount"]


def test_overdraft_is_an_error_beside_the_amount(admin_client):
    form = _transaction_form(make_account(), kind="withdrawal")

    response = admin_client.post("/admin/orders/transaction/add/", form)

    assert response.context["adminform"].form.errors == {
        "amount": ["The account holds $0.00, less than $150.00."]
    }
    assert not OutboxEvent.objects.exists()


@pytest.mark.parametrize("form", [{}, {"account": "999"}, {"kind": "gift"}])
def test_incomplete_transaction_is_refused(admin_client, form):
    response = admin_client.post("/admin/orders/transaction/add/", form)

    assert response.status_code == 200
    assert not Transaction.objects.exists()


@pytest.mark.parametrize("make", [make_order, make_transaction])
def test_facts_are_shown_and_not_changed(admin_client, make):
    fact = make()
    page = f"/admin/orders/{fact._meta.model_name}/{fact.pk}"

    assert f"Emails about {fact}" in admin_client.get(f"{page}/change/").text
    assert admin_client.post(f"{page}/change/", {}).status_code == 403
    assert admin_client.post(f"{page}/delete/", {"post": "yes"}).status_code == 403


def test_balance_is_not_a_field(admin_client):
    account = make_account(balance=Decimal("5.00"))
    form = {"holder_name": "B", "holder_email": "b@example.com", "balance": "999", "number": "1"}

    admin_client.post(f"/admin/orders/bankaccount/{account.pk}/change/", form)

    fresh = BankAccount.objects.get()
    assert (fresh.holder_name, fresh.number) == ("B", account.number)
    assert fresh.balance == Decimal("5.00")


def test_customer_added_in_the_admin_gets_no_email(admin_client):
    form = {"name": "Bob", "email": "bob@example.net"}

    admin_client.post("/admin/orders/customer/add/", form)

    assert Customer.objects.get().email == "bob@example.net"
    assert not OutboxEvent.objects.exists()


@pytest.mark.parametrize("model", ["product", "customer", "order", "bankaccount", "transaction"])
def test_lists_and_forms_open_and_can_be_searched(admin_client, model):
    make_order(customer_email=make_customer().email)
    make_transaction()

    for page in (f"/admin/orders/{model}/?q=a", f"/admin/orders/{model}/add/"):
        assert admin_client.get(page).status_code == 200


def test_a_new_order_takes_no_line_of_another(admin_client):
    line = make_order().lines.get()
    form = _order_form((line.product, 5)) | {"lines-INITIAL_FORMS": "1", "lines-0-id": line.pk}

    response = admin_client.post("/admin/orders/order/add/", form)

    assert response.status_code == 302
    assert list(Order.objects.latest("id").lines.values_list("quantity", flat=True)) == [5]
    line.refresh_from_db()
    assert line.quantity == 2


def test_a_new_address_entered_by_staff_is_unconfirmed(admin_client):
    customer = make_customer(email_verified_at=timezone.now())
    address = f"/admin/orders/customer/{customer.pk}/change/"

    admin_client.post(address, {"name": customer.name, "email": "other@example.com"})

    customer.refresh_from_db()
    assert (customer.email, customer.email_verified_at) == ("other@example.com", None)


def test_a_new_name_leaves_the_address_confirmed(admin_client):
    customer = make_customer(email_verified_at=timezone.now())
    address = f"/admin/orders/customer/{customer.pk}/change/"

    admin_client.post(address, {"name": "Admiral Hopper", "email": customer.email.upper()})

    customer.refresh_from_db()
    assert customer.name == "Admiral Hopper"
    assert customer.email_verified_at


def test_a_balance_beyond_the_column_is_an_error_beside_the_amount(admin_client):
    account = make_account(balance=Decimal("999999999999.99"))

    response = admin_client.post(
        "/admin/orders/transaction/add/", _transaction_form(account, amount="0.01")
    )

    assert "An account holds at most $999,999,999,999.99." in response.text
    assert not Transaction.objects.exists()


def test_a_negative_price_is_refused_beside_it(admin_client):
    form = {"sku": "MUG-1", "name": "Mug", "price": "-1", "currency": "USD"}

    response = admin_client.post("/admin/orders/product/add/", form)

    assert "greater than or equal to 0" in response.text
    assert "product_price_not_negative" not in response.text


def test_order_whose_texts_fit_into_no_event_is_refused_in_the_admin(admin_client):
    product = make_product(name="𝕏" * 200)

    response = admin_client.post("/admin/orders/order/add/", _order_form(*[(product, 1)] * 100))

    assert response.status_code == 200
    assert "too large to be confirmed in one email" in response.content.decode()
    assert not Order.objects.exists()


def test_order_of_a_hundred_and_one_lines_is_refused_in_the_admin(admin_client):
    product = make_product()

    response = admin_client.post("/admin/orders/order/add/", _order_form(*[(product, 1)] * 101))

    assert response.status_code == 200
    assert not Order.objects.exists()


def test_order_with_a_bad_address_shows_that_error_alone(admin_client):
    form = _order_form((make_product(), 1)) | {"customer_email": "ada"}

    response = admin_client.post("/admin/orders/order/add/", form)

    assert response.status_code == 200
    assert "Enter a valid email address" in response.content.decode()
