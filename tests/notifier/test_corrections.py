"""A customer corrects the address of a confirmation that could not be sent."""

from __future__ import annotations

import pytest
from django.urls import reverse

from emails.models import Notification
from emails.ses import brands
from orders import services
from queues.models import DeadLetter, OutboxEvent
from tests.support.builders import make_order
from tests.support.rows import make_dead_letter, make_suppression, staff

pytestmark = pytest.mark.django_db

WRONG, RIGHT = "ada@exmaple.com", "ada@example.com"


@pytest.fixture
def order(aws, consume, refuses):
    """An order whose confirmation is a dead letter, because SES does not send to its address."""
    aws.verify(RIGHT)
    order = make_order(customer_email=WRONG)
    refuses("MessageRejected", f"Email address is not verified: {WRONG}", times=1)
    consume("orders")
    event = OutboxEvent.objects.get()
    make_dead_letter(event_id=event.event_id, subject=order.number, body=event.body)
    return order


def sent_since(aws):
    """The recipients of each email after the refused one, which the local SES had taken before it answered."""
    return [set(email.destinations) for email in aws.accepted[1:]]


def page_of(order):
    return order.get_signed_url().replace("/?", "/address/?")


def test_the_confirmation_goes_once_to_the_corrected_address(client, order, aws, consume):
    page = client.get(order.get_signed_url()).text
    assert page_of(order).replace("&", "&amp;") in page

    response = client.post(page_of(order), {"email": RIGHT})
    consume("orders")

    assert response.url == order.get_signed_url()
    assert sent_since(aws) == [{RIGHT}]
    assert {row.recipient: row.state for row in Notification.objects.all()} == {
        WRONG: "cancelled",
        RIGHT: "sent",
    }
    page = client.get(response.url).text
    assert f"To {RIGHT}" in page
    assert WRONG not in page


def test_until_it_is_sent_the_page_shows_the_corrected_address(client, order):
    client.post(page_of(order), {"email": RIGHT})

    page = client.get(order.get_signed_url()).text

    assert f"To {RIGHT}" in page
    assert "Change it" not in page


def test_a_second_correction_is_refused_while_the_first_is_on_its_way(client, order, aws, consume):
    client.post(page_of(order), {"email": RIGHT})
    consume("orders")

    page = client.post(page_of(order), {"email": "eve@example.com"}).text

    assert "mailto:shop@example.com" in page
    assert not Notification.objects.filter(recipient="eve@example.com").exists()


def test_an_email_that_came_back_is_sent_to_the_corrected_address(client, order, aws, consume):
    DeadLetter.objects.update(state="discarded")
    Notification.objects.update(state="sent", delivery_status="bounced_hard")
    page = client.get(order.get_signed_url()).text
    assert "Change it" in page

    client.post(page_of(order), {"email": RIGHT})
    consume("orders")

    assert sent_since(aws) == [{RIGHT}]
    assert "Change it" not in client.get(order.get_signed_url()).text


@pytest.mark.parametrize("email", ["", "no address", WRONG, "a@b"])
def test_what_is_no_other_address_changes_nothing(client, order, email):
    response = client.post(page_of(order), {"email": email})

    assert response.status_code == 200
    assert "errorlist" in response.text
    assert DeadLetter.objects.get().state == "open"


def test_strangers_do_not_learn_of_the_order(client, order):
    address = reverse("order-address", args=[order.number])

    assert client.get(address).status_code == 404
    assert client.post(address, {"email": RIGHT}).status_code == 404
    assert client.post(f"{address}?key=x", {"email": RIGHT}).status_code == 404


def test_staff_who_may_look_at_orders_edit_dead_letters_by_their_own_right(client, order):
    client.force_login(staff("view_order", "view_pii"))
    address = reverse("order-address", args=[order.number])

    client.post(address, {"email": RIGHT})

    assert "Change it" not in client.get(order.get_absolute_url()).text
    assert DeadLetter.objects.get().state == "open"


@pytest.mark.parametrize("state", ["sent", "in_doubt", "sending", "cancelled"])
def test_an_email_that_may_be_out_is_not_sent_elsewhere(client, order, aws, state):
    Notification.objects.update(state=state)
    brands.save("shop", support="help@example.com", by="grace")

    page = client.post(page_of(order), {"email": RIGHT}).text

    assert 'href="mailto:help@example.com' in page
    assert not Notification.objects.filter(recipient=RIGHT).exists()
    assert "Change it" not in client.get(order.get_signed_url()).text


def test_an_order_without_a_dead_letter_names_whom_to_ask(client, aws):
    order = make_order()

    assert "mailto:shop@example.com" in client.get(page_of(order)).text


def test_a_dead_letter_of_another_producer_about_the_order_is_left_alone(client, order):
    DeadLetter.objects.update(state="discarded")
    make_dead_letter(subject=order.number, body=DeadLetter.objects.get().body)

    client.post(page_of(order), {"email": RIGHT})

    assert {letter.state for letter in DeadLetter.objects.all()} == {"discarded", "open"}


def test_addresses_are_corrected_five_times_an_hour(client, order):
    for _ in range(services.MOST_CORRECTIONS):
        services.count_correction(order, "any@example.com")

    response = client.post(page_of(order), {"email": RIGHT})

    assert response.status_code == 429
    assert "too often" in response.text
    assert not Notification.objects.filter(recipient=RIGHT).exists()


def test_nobody_is_flooded_by_the_corrections_of_many_orders(client, order, settings):
    settings.FORM_ORDERS_PER_HOUR = 1
    services.count_correction(make_order(), RIGHT)

    assert client.post(page_of(order), {"email": RIGHT}).status_code == 429


def test_an_address_that_must_get_no_email_is_refused_without_a_reason(client, order, aws):
    make_suppression(address=RIGHT)

    page = client.post(page_of(order), {"email": RIGHT}).text

    assert "send to this address. Please enter another one." in page
    assert "suppress" not in page
