"""One person is one customer however the address is spelled, and what was typed is what is shown."""

import uuid
from importlib import import_module

import pytest
from django.apps import apps
from django.db import IntegrityError, models

from orders import services
from orders.api import local_tokens
from orders.errors import TooFast
from orders.forms import RegistrationForm, SignInForm
from orders.models import BankAccount, Customer, Order
from orders.models.customers import CustomerQuerySet
from queues.events.stakes import Stake
from tests.support.api import ApiClient, access_token, id_token, order
from tests.support.builders import make_account, make_customer, make_order, make_product

pytestmark = pytest.mark.django_db

migration = import_module("orders.migrations.0007_fill_address_keys")
IDN, ASCII = "Ada@Bücher.example", "ada@xn--bcher-kva.example"


@pytest.mark.parametrize(
    "address",
    [
        "ada@\u202eexample.com",
        "ada@" + "ä" * 60 + ".example",
        "ada@localhost",
        "ada@[127.0.0.1]",
        "ada@\ue000.example",
        "ada@shop\u2028.example",
        "müller@example.com",
    ],
)
@pytest.mark.parametrize("form", [SignInForm, RegistrationForm])
def test_form_refuses_what_no_email_can_be_sent_to(form, address):
    assert form({"email": address, "name": "Ada", "website": ""}).errors["email"]


def test_form_takes_an_address_without_what_a_paste_brought_unseen():
    form = SignInForm({"email": "ada@exam\u00adple.com\u200b", "website": ""})

    assert form.is_valid()
    assert form.cleaned_data["email"] == "ada@example.com"


def test_order_keeps_the_address_as_typed_and_is_found_in_every_spelling(product):
    placed = make_order(customer_email=IDN)

    assert Order.objects.get().customer_email == IDN
    assert [Order.objects.by(each).get() for each in (ASCII, IDN.upper())] == [placed, placed]
    assert not Order.objects.by("ada@bucher.example").exists()


def test_second_spelling_registers_nobody_twice(client):
    services.register(name="Ada", email=IDN)
    services.register(name="Ada", email=ASCII)

    assert Customer.objects.get().email == IDN
    assert Customer.objects.with_email("ada@BU\u0308CHER.example") == Customer.objects.get()


def test_database_has_one_customer_per_address_in_any_spelling():
    make_customer(email=IDN)

    with pytest.raises(IntegrityError):
        make_customer(email=ASCII)


def test_staff_are_told_of_the_customer_in_another_spelling(admin_client):
    make_customer(email=IDN)

    response = admin_client.post("/admin/orders/customer/add/", {"name": "Ada", "email": ASCII})

    assert "There is a customer with this email address already." in response.text
    assert Customer.objects.count() == 1


def test_changed_address_has_a_new_key():
    customer = make_customer(email="eve@example.com")
    customer.email = IDN

    customer.save(update_fields=["email"])

    assert Customer.objects.with_email(ASCII) == customer


def test_holder_reads_the_account_with_a_token_in_another_spelling(settings, tmp_path):
    settings.API_LOCAL_KEY = str(tmp_path / "key.pem")
    account = make_account(holder_email=IDN)

    answer = ApiClient(id_token(ASCII)).get(f"/accounts/{account.number}/transactions")

    assert answer.status_code == 200
    assert BankAccount.objects.held_by("eve@example.com", ASCII).get() == account


def test_limits_and_stakes_count_an_address_in_all_its_spellings(settings, tmp_path):
    settings.API_LOCAL_KEY = str(tmp_path / "key.pem")

    assert Stake.of_address(IDN) == Stake.of_address(ASCII)
    assert local_tokens.issue(email=IDN, use="id") != ""
    with pytest.raises(TooFast):
        for spelling in (IDN, ASCII):
            services.place_order(
                idempotency_key=uuid.uuid4(), lines=[(make_product(), 1)], most_an_hour=1,
                customer_name="Ada", customer_email=spelling, shipping_name="Ada", shipping_street="1",
                shipping_postal_code="1", shipping_city="B", shipping_country="D",
            )  # fmt: skip


def test_older_rows_get_their_keys():
    placed, account = make_order(customer_email=IDN), make_account(holder_email=IDN)
    older, younger = make_customer(email=IDN), make_customer(email="eve@example.com")
    for model, column in (
        (Order, "customer_email_key"),
        (BankAccount, "holder_email_key"),
        (Customer, "email_key"),
    ):
        models.QuerySet(model).update(**{column: None})
    CustomerQuerySet(Customer).filter(pk=younger.pk).update(email="ada@bu\u0308cher.example")

    migration.fill_keys(apps, None)

    assert Order.objects.by(ASCII).get() == placed
    assert BankAccount.objects.held_by(ASCII).get() == account
    assert Customer.objects.with_email(ASCII) == older
    younger.refresh_from_db()
    assert younger.email_key is None


@pytest.mark.parametrize(
    "name",
    [
        "\u200b",
        "\u034f",
        "\u2800\u2800",
        "\u2060",
        "\u00ad \u200b",
        "\u3164",
        "Ada\ufffe",
        "Ada\uffff",
    ],
)
def test_name_that_nobody_sees_or_sqs_refuses_is_refused(settings, tmp_path, name):
    settings.API_LOCAL_KEY = str(tmp_path / "key.pem")
    body = order(make_product().sku)
    body["shipping_address"]["name"] = name

    answer = ApiClient(id_token()).post("/orders", body)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/shipping_address/name"]
    assert (
        "name" in RegistrationForm({"name": name, "email": "ada@example.com", "website": ""}).errors
    )


def test_description_with_a_noncharacter_is_refused(settings, tmp_path):
    settings.API_LOCAL_KEY = str(tmp_path / "key.pem")
    body = {
        "account": make_account().number,
        "kind": "deposit",
        "amount_cents": 1,
        "description": "rent\uffff",
    }

    answer = ApiClient(access_token("transactions:write")).post("/transactions", body)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/description")


def test_token_with_a_name_that_nobody_sees_has_no_name(settings, tmp_path):
    settings.API_LOCAL_KEY = str(tmp_path / "key.pem")
    token = local_tokens.issue(email="ada@example.com", name="\u200b\u2800", use="id")

    answer = ApiClient(token).post("/orders", order(make_product().sku))

    assert answer.json()["customer"]["name"] == "Ada Lovelace"


@pytest.mark.parametrize("name", ["نامه\u200cای", "नमस्\u200dते", "李", "👩\u200d💻"])
def test_joiners_inside_a_name_stay(name):
    form = RegistrationForm({"name": name, "email": "ada@example.com", "website": ""})

    assert form.is_valid()
    assert form.cleaned_data["name"] == name
