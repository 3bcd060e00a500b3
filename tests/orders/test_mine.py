"""My orders: shown to whoever proves by a link that the address is theirs; nobody learns who is registered."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core.signing import TimestampSigner
from django.utils import timezone

from orders import services
from orders.models import Customer
from queues.models import OutboxEvent
from tests.support.builders import make_customer, make_order

pytestmark = pytest.mark.django_db

BOB = "bob@example.net"


@pytest.fixture
def bob():
    return make_customer(name="Bob Example", email=BOB, email_verified_at=timezone.now())


def ask(client, email=BOB):
    return client.post("/orders/", {"email": email})


def requested():
    return OutboxEvent.objects.filter(type="customer.link_requested.v1")


def link():
    """The path of the newest link."""
    url = json.loads(requested().latest("pk").body)["data"]["link_url"]
    return url.removeprefix("http://testserver")


@pytest.fixture
def known(client, bob):
    """A browser that is known as Bob's."""
    ask(client)
    client.post(link())
    return client


def test_link_shows_the_orders_of_its_address_and_no_others(client, bob):
    mine, another = make_order(customer_email="BOB@example.net"), make_order()
    ask(client)

    page = client.post(link(), follow=True).content.decode()

    assert mine.number in page
    assert another.number not in page
    assert client.get(mine.get_absolute_url()).status_code == 200
    assert client.get(another.get_absolute_url()).status_code == 404


def test_confirming_the_address_shows_its_orders_as_well(client):
    order = make_order(customer_email=BOB)
    client.post("/register/", {"name": "Bob", "email": BOB})
    [event] = OutboxEvent.objects.filter(type="customer.registered.v1")
    url = json.loads(event.body)["data"]["verify_url"].removeprefix("http://testserver")

    client.get(url)
    assert order.number not in client.get("/orders/").content.decode()
    client.post(url)

    assert order.number in client.get("/orders/").content.decode()


def test_looking_at_the_link_opens_nothing(client, bob):
    ask(client)

    assert BOB in client.get(link()).content.decode()
    assert "Send me a link" in client.get("/orders/").content.decode()


@pytest.mark.locking
def test_link_works_once(client, bob):
    ask(client)
    client.post(link())
    client.post("/orders/leave/")

    again = client.post(link())

    assert again.status_code == 410
    assert "This link was used before" in again.content.decode()
    assert "Send me a link" in client.get("/orders/").content.decode()


def test_expired_link_says_so(client, bob, monkeypatch):
    old = timezone.now() - timedelta(minutes=31)
    with monkeypatch.context() as patch:
        patch.setattr("django.core.signing.time.time", old.timestamp)
        ask(client)

    for response in (client.get(link()), client.post(link())):
        assert response.status_code == 410
        assert "This link has expired" in response.content.decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path[:-2] + "x/",
        lambda path: path.replace("/open/", "/open/9"),
        lambda path: path.replace("-0:", "-1:"),
        lambda path: "/orders/open/x/",
        lambda path: "/orders/open/1-:a:b/",
        lambda path: "/orders/open/-0:a:b/",
        lambda path: "/orders/open/" + "9" * 40 + "-0:a:b/",
        lambda path: "/orders/open/١-٠:a:b/",
    ],
)
def test_altered_link_opens_nothing(client, bob, change):
    ask(client)

    assert client.post(change(link())).status_code == 410
    assert "Send me a link" in client.get("/orders/").content.decode()


def test_link_that_confirms_an_address_does_not_open_orders(client, bob):
    token = services._token(bob)

    assert client.post(f"/orders/open/{token}/").status_code == 410
    assert client.post(f"/orders/open/{TimestampSigner().sign(f'{bob.pk}-0')}/").status_code == 410


def test_answer_is_the_same_whoever_is_registered(client, bob):
    make_customer(email="new@example.net")

    answers = {ask(client, email).url for email in (BOB, "new@example.net", "no@example.net")}

    assert answers == {"/orders/link-sent/"}
    assert requested().count() == 1


def test_unconfirmed_address_gets_its_confirmation_first(client):
    make_customer(email="new@example.net")

    ask(client, "new@example.net")

    assert OutboxEvent.objects.get().type == "customer.registered.v1"


@pytest.mark.locking
def test_address_gets_one_link_a_minute_and_five_a_day(client, bob, settings):
    settings.FORM_POSTS_PER_MINUTE = 0
    for _ in range(2):
        ask(client)
    assert requested().count() == 1

    for _ in range(10):
        Customer.objects.update(verification_sent_at=timezone.now() - timedelta(seconds=61))
        ask(client)
    assert requested().count() == 5

    long_ago = timezone.now() - timedelta(hours=25)
    Customer.objects.update(verification_sent_at=long_ago, links_since=long_ago)
    ask(client)
    assert requested().count() == 6
    bob.refresh_from_db()
    assert bob.links_sent == 1


def test_links_of_both_kinds_are_bounded_together(client):
    customer = make_customer(email=BOB)
    for _ in range(5):
        Customer.objects.update(verification_sent_at=None)
        client.post("/register/", {"name": "Bob", "email": BOB})
    customer.confirm_email()
    Customer.objects.update(verification_sent_at=None)

    ask(client)

    assert OutboxEvent.objects.count() == 5


def test_browser_is_known_no_more_when_the_address_changes(known, bob):
    order = make_order(customer_email=BOB)
    assert known.get(order.get_absolute_url()).status_code == 200

    bob.refresh_from_db()
    bob.email = "robert@example.net"
    bob.save()

    assert known.get(order.get_absolute_url()).status_code == 404
    assert "Send me a link" in known.get("/orders/").content.decode()


def test_session_gets_another_key_when_it_becomes_known(client, bob):
    session = client.session
    session["orders"] = ["ORD-000001"]
    session.save()
    before = session.session_key
    ask(client)

    client.post(link())

    assert client.session.session_key != before
    assert client.session["orders"] == ["ORD-000001"]


def test_leaving_forgets_what_was_ordered_in_this_browser_too(known):
    order = make_order(customer_email=BOB)

    known.post("/orders/leave/")

    assert known.get(order.get_absolute_url()).status_code == 404


def test_many_orders_are_paged_and_none_is_said(known):
    assert "You have not ordered anything" in known.get("/orders/").content.decode()
    orders = [make_order(customer_email=BOB) for _ in range(21)]

    first, second = known.get("/orders/").content.decode(), known.get("/orders/?page=2")

    assert orders[-1].number in first
    assert orders[0].number not in first
    assert orders[0].number in second.content.decode()


@pytest.mark.parametrize(
    "email", ["", "x", "a,b@example.com", "a@b.c\r\nBcc: d@e.f", "a\0@b.example"]
)
def test_hostile_address_is_refused_beside_its_field(client, email):
    response = ask(client, email)

    assert response.status_code == 200
    assert list(response.context["form"].errors) == ["email"]
