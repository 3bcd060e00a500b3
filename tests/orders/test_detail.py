"""The order's page: what it shows, and to whom."""

from __future__ import annotations

import pytest

from tests.support.builders import make_order

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["", "email/"], ids=["page", "email"])
def piece(request):
    """The order's page and the piece of it that is polled have one rule."""
    return request.param


def test_stranger_finds_no_order(client, piece):
    order = make_order()

    assert client.get(f"/orders/{order.number}/{piece}").status_code == 404


def test_link_in_the_email_opens_the_order(client, piece):
    order = make_order()
    path, _, key = order.get_signed_url().partition("?")

    assert client.get(f"{path}{piece}?{key}").status_code == 200


def test_key_of_another_order_opens_nothing(client, piece):
    order, other = make_order(), make_order()
    key = other.get_signed_url().partition("?")[2]

    assert client.get(f"/orders/{order.number}/{piece}?{key}").status_code == 404


@pytest.mark.parametrize("key", ["", "x", "é", "\0"])
def test_broken_key_opens_nothing(client, piece, key):
    order = make_order()

    assert client.get(f"/orders/{order.number}/{piece}", {"key": key}).status_code == 404


def test_staff_see_every_order(admin_client, piece):
    order = make_order()

    assert admin_client.get(f"/orders/{order.number}/{piece}").status_code == 200


def test_browser_that_placed_it_sees_the_order(client, piece):
    order = make_order()
    session = client.session
    session["orders"] = [order.number]
    session.save()

    assert client.get(f"/orders/{order.number}/{piece}").status_code == 200


@pytest.mark.parametrize("number", ["ORD-999999", "ORD-1", "ORD-%00", "x", "ORD-" + "9" * 30])
def test_order_that_does_not_exist_is_not_found(admin_client, piece, number):
    assert admin_client.get(f"/orders/{number}/{piece}").status_code == 404


def test_page_shows_lines_address_total_and_keeps_its_key_for_the_poll(client):
    order = make_order()

    page = client.get(order.get_signed_url()).text

    assert f"2 × {order.lines.get().unit_price:$>6}" in page
    assert "$25.00" in page
    assert "12 St James&#x27;s Square" in page
    key = order.get_signed_url().partition("?")[2]
    assert f'data-live="/orders/{order.number}/email/?{key}"' in page


def test_customer_reads_no_word_of_the_staff(client):
    order = make_order()

    assert "For staff" not in client.get(order.get_signed_url()).text


def test_staff_without_the_right_to_see_orders_see_none(client, django_user_model, piece):
    order = make_order()
    client.force_login(django_user_model.objects.create_user("clerk", is_staff=True))

    assert client.get(f"/orders/{order.number}/{piece}").status_code == 404
