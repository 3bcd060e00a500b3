"""The public forms: ten posts a minute by one caller, five orders an hour to one address, and nothing by programs."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest
from django.test import Client

from orders.limits import allowances
from orders.models import Customer, Order, RequestAllowance
from queues.models import OutboxEvent
from tests.support.builders import make_customer, make_product, shipping
from tests.support.threads import at_once

pytestmark = pytest.mark.django_db

HERE, ELSEWHERE = "203.0.113.7", "198.51.100.9"
BOB = {"name": "Bob Example", "email": "bob@example.net"}
FORMS = [("/", {}), ("/register/", BOB), ("/orders/", {"email": BOB["email"]})]


def post(client, path, fields, *, address=HERE, **headers):
    return client.post(path, fields, REMOTE_ADDR=address, headers=headers)


def order(client, product, *, key=None, to="ada@example.com", address=HERE):
    fields = shipping(customer_email=to) | {
        "idempotency_key": key or uuid.uuid4(),
        f"quantity-{product.pk}": "2",
    }
    return post(client, "/", fields, address=address)


def spend_minute(client, times=10, **how):
    return [post(client, "/orders/", {"email": "x"}, **how).status_code for _ in range(times)]


def let_pass(**time):
    """Let so much time go by for all that was counted."""
    past = int(timedelta(**time).total_seconds() * 1_000_000)
    for row in RequestAllowance.objects.all():
        RequestAllowance.objects.filter(pk=row.pk).update(tat_us=row.tat_us - past)


def words(response):
    return " ".join(response.context["form"].non_field_errors())


@pytest.mark.parametrize(("path", "fields"), FORMS)
def test_eleventh_post_of_a_minute_is_refused_on_the_form_with_the_time_to_wait(
    client, product, path, fields
):
    assert spend_minute(client) == [200] * 10

    response = post(client, path, fields)

    assert response.status_code == 429
    assert 1 <= int(response["Retry-After"]) <= 6
    assert f"Please send it again in {response['Retry-After']} second" in response.text
    assert not OutboxEvent.objects.exists() and not Customer.objects.exists()


def test_refused_order_is_taken_when_the_time_has_passed_and_nothing_typed_is_lost(client, product):
    spend_minute(client)
    key = uuid.uuid4()

    refused = order(client, product, key=key)
    let_pass(seconds=6)
    taken = order(client, product, key=key)

    assert 'value="ada@example.com"' in refused.text and 'value="2"' in refused.text
    assert str(key) in refused.text
    assert taken.url == Order.objects.get().get_absolute_url()


def test_caller_is_in_nobody_elses_way(client, product):
    spend_minute(client)

    assert order(client, product, address=ELSEWHERE).status_code == 302


def test_callers_behind_a_trusted_proxy_are_told_apart(client, product, settings):
    settings.TRUSTED_PROXIES = 1
    through_proxy = {"X-Forwarded-For": f"9.9.9.9, {HERE}"}
    assert spend_minute(client, address="127.0.0.1", **through_proxy) == [200] * 10

    again = {"X-Forwarded-For": f"8.8.8.8, {HERE}"}
    other = {"X-Forwarded-For": f"{HERE}, {ELSEWHERE}"}
    assert spend_minute(client, 1, address="127.0.0.1", **again) == [429]
    assert spend_minute(client, 1, address="127.0.0.1", **other) == [200]


def test_looking_at_a_form_counts_nothing(client, product):
    for path, _ in FORMS:
        client.get(path)

    assert not RequestAllowance.objects.exists()


def test_sixth_order_of_an_hour_to_an_address_is_refused_and_later_placed(client, product):
    for _ in range(5):
        assert order(client, product, address=ELSEWHERE).status_code == 302

    refused = order(client, product)

    assert refused.status_code == 429
    assert 660 < int(refused["Retry-After"]) <= 720
    assert "Please send it again in 12 minutes." in words(refused)
    assert 'value="ada@example.com"' in refused.text and 'value="2"' in refused.text
    assert Order.objects.count() == OutboxEvent.objects.count() == 5
    let_pass(minutes=12)
    assert order(client, product).status_code == 302
    assert order(client, product).status_code == 429


def test_address_is_the_same_whatever_its_case(client, product):
    for _ in range(5):
        order(client, product)

    assert order(client, product, to="ADA@Example.com").status_code == 429
    assert order(client, product, to="grace@example.com").status_code == 302


def test_registered_address_is_refused_as_an_unknown_one_is(client, product, settings):
    settings.FORM_POSTS_PER_MINUTE = 0
    make_customer(email="bob@example.net")

    bob, eve = (
        [order(client, product, to=address) for _ in range(6)][-1]
        for address in ("bob@example.net", "eve@example.net")
    )

    assert bob.status_code == eve.status_code == 429
    assert words(bob) == words(eve)


def test_same_form_again_is_no_other_order_to_the_address(client, product):
    key = uuid.uuid4()
    for _ in range(4):
        order(client, product)

    first = order(client, product, key=key)
    again = [order(client, product, key=key) for _ in range(3)]

    assert {answer.url for answer in again} == {first.url}
    let_pass(minutes=12)
    assert order(client, product).status_code == 302


def test_refused_orders_count_nothing(client, product):
    nothing_chosen = shipping() | {"idempotency_key": uuid.uuid4()}
    for _ in range(6):
        post(client, "/", nothing_chosen, address=ELSEWHERE)

    assert [order(client, product).status_code for _ in range(6)] == [302] * 5 + [429]


def test_limits_can_be_switched_off(client, product, settings):
    settings.FORM_POSTS_PER_MINUTE = settings.FORM_ORDERS_PER_HOUR = 0

    assert [order(client, product).status_code for _ in range(12)] == [302] * 12
    assert not RequestAllowance.objects.exists()


def test_neither_caller_nor_recipient_is_kept_or_logged(client, product, caplog):
    for _ in range(5):
        order(client, product)
    order(client, product)
    spend_minute(client, 5)

    kept = json.dumps(list(RequestAllowance.objects.values_list("client", flat=True)))
    assert "ada" not in kept and HERE not in kept
    assert "refused a form from=203.0.113.0/24" in caplog.text
    assert "ada@" not in caplog.text and HERE not in caplog.text


def test_what_was_counted_is_forgotten(client, product):
    order(client, product)
    let_pass(hours=2)

    assert allowances.forget_quiet_clients() == 2


@pytest.mark.parametrize(("path", "fields"), FORMS)
def test_form_with_its_hidden_field_filled_in_does_nothing_and_says_so(
    client, product, path, fields
):
    response = post(client, path, fields | {"website": "https://spam.example"})

    assert response.status_code == 400
    assert "filled in a hidden field" in response.text
    assert "spam.example" not in response.text
    assert not OutboxEvent.objects.exists() and not Customer.objects.exists()


@pytest.mark.parametrize(("path", "fields"), FORMS)
def test_hidden_field_is_hidden_from_people_and_screen_readers(client, product, path, fields):
    page = client.get(path).text

    trap = page[page.index('class="trap" aria-hidden="true"') :]
    assert 'name="website"' in trap and 'tabindex="-1"' in trap and 'autocomplete="off"' in trap


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_posts_at_the_same_time_are_counted_one_by_one(settings):
    settings.FORM_POSTS_PER_MINUTE = 7

    answers = at_once(4, lambda: spend_minute(Client(), 3))

    statuses = [status for answer in answers for status in answer]
    assert (statuses.count(200), statuses.count(429)) == (7, 5)


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_orders_at_the_same_time_are_counted_one_by_one():
    product = make_product()

    answers = at_once(7, lambda: order(Client(), product).status_code)

    assert (answers.count(302), answers.count(429)) == (5, 2)
    assert Order.objects.count() == OutboxEvent.objects.count() == 5


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_same_form_from_everywhere_at_once_counts_one_order():
    product, key = make_product(), uuid.uuid4()

    answers = at_once(6, lambda: order(Client(), product, key=key))

    assert len({answer.url for answer in answers}) == 1
    assert [order(Client(), product).status_code for _ in range(4)] == [302] * 4
