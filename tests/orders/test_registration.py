"""Registration: one neutral answer, one link a minute, and a link that works once for a day."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core.signing import TimestampSigner
from django.utils import timezone

from orders import services
from orders.models import Customer
from queues.models import OutboxEvent
from tests.support.builders import make_customer

pytestmark = pytest.mark.django_db

BOB = {"name": "Bob Example", "email": "bob@example.net"}


def _events():
    return OutboxEvent.objects.filter(type="customer.registered.v1")


def _link():
    """The path of the newest link."""
    url = json.loads(_events().first().body)["data"]["verify_url"]
    return url.removeprefix("http://testserver")


def _sign_at(monkeypatch, age: timedelta) -> None:
    """Links made from now on are as old as this."""
    then = timezone.now() - age
    monkeypatch.setattr("django.core.signing.time.time", then.timestamp)


@pytest.fixture
def registered(client):
    client.post("/register/", BOB)
    return Customer.objects.get()


@pytest.fixture
def expired_link(monkeypatch):
    with monkeypatch.context() as patch:
        _sign_at(patch, timedelta(hours=24, seconds=5))
        customer = make_customer(**BOB)
        return f"/verify/{services._signer(customer).sign(str(customer.pk))}/", customer


def test_registration_records_one_event_with_a_link_for_a_day(registered):
    body = json.loads(_events().get().body)

    assert body["subject"] == body["partitionkey"] == f"customer-{registered.pk}"
    assert body["source"] == "/customers"
    assert body["data"]["customer"] == BOB
    assert "bob" not in body["data"]["verify_url"]


def test_looking_at_the_link_confirms_nothing(client, registered):
    response = client.get(_link())

    assert "bob@example.net" in response.text
    registered.refresh_from_db()
    assert registered.email_verified_at is None


def test_posting_confirms_the_address_and_a_second_time_says_so(client, registered):
    link = _link()

    first, second = client.post(link), client.post(link)

    registered.refresh_from_db()
    assert registered.email_verified_at
    assert first.status_code == 200
    assert "Already confirmed" in second.text
    assert "Already confirmed" in client.get(link).text


@pytest.mark.parametrize(
    "change",
    [
        lambda link: link[:-2] + "x/",
        lambda link: link.replace("/verify/", "/verify/9"),
        lambda link: "/verify/x/",
        lambda link: "/verify/" + "9" * 40 + ":a:b/",
        lambda link: "/verify/%00:a:b/",
        lambda link: "/verify/١:a:b/",
    ],
)
def test_altered_link_does_not_work(client, registered, change):
    link = change(_link())

    for response in (
        client.get(link),
        client.post(link),
        client.post(f"{link}again/", follow=True),
    ):
        assert response.status_code in (200, 404, 410)
    registered.refresh_from_db()
    assert registered.email_verified_at is None
    assert _events().count() == 1


def test_link_to_a_former_address_does_not_work(client, registered):
    registered.email = "new@example.net"
    registered.save()

    assert "does not work" in client.post(_link()).text


def test_expired_link_offers_a_new_one_that_works(client, expired_link):
    link, customer = expired_link

    assert "This link has expired" in client.post(link).text
    client.post(f"{link}again/")
    client.post(_link())

    customer.refresh_from_db()
    assert customer.email_verified_at


def test_resending_is_bounded_to_one_a_minute(client, expired_link):
    link, customer = expired_link

    for _ in range(3):
        client.post(f"{link}again/")
    assert _events().count() == 1

    Customer.objects.update(verification_sent_at=timezone.now() - timedelta(seconds=61))
    client.post(f"{link}again/")
    assert _events().count() == 2


def test_known_address_gets_the_same_answer_and_no_second_customer(client, registered):
    again = client.post("/register/", {"name": "Eve", "email": "BOB@example.net"})

    assert again.url == "/register/sent/"
    assert Customer.objects.get().name == "Bob Example"
    assert _events().count() == 1


def test_confirmed_address_gets_no_email(client):
    make_customer(**BOB, email_verified_at=timezone.now())

    response = client.post("/register/", BOB)

    assert response.url == "/register/sent/"
    assert not _events().exists()


def test_customer_saved_by_staff_gets_no_email():
    make_customer()

    assert not OutboxEvent.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "a\0b"},
        {"name": "a\r\nb"},
        {"name": "x" * 10_000},
        {"email": "a,b@example.com"},
        {"email": "a@example.com\r\nBcc: b@example.com"},
        {"email": '"a,b"@example.com'},
    ],
)
def test_hostile_registration_is_refused_beside_its_field(client, changes):
    response = client.post("/register/", BOB | changes)

    assert list(response.context["form"].errors) == list(changes)
    assert not Customer.objects.exists()


def test_signature_of_another_purpose_does_not_work(client, registered):
    token = TimestampSigner().sign(str(registered.pk))

    assert client.post(f"/verify/{token}/").status_code == 410


def test_an_address_with_a_capital_umlaut_gets_its_second_link(db):
    services.register(name="Ada", email="ada@EXÄMPLE.example")
    Customer.objects.update(verification_sent_at=None)

    services.register(name="Ada", email="ada@EXÄMPLE.example")

    assert Customer.objects.count() == 1
    assert OutboxEvent.objects.count() == 2
