"""The way from a subject to its rows, and the pages for what goes wrong."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests.support.builders import make_customer, make_order, make_transaction
from tests.support.owed import owed, place

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("make", "model"),
    [(make_order, "order"), (make_transaction, "transaction"), (make_customer, "customer")],
)
def test_subject_leads_to_its_admin_page(admin_client, make, model):
    row = make()
    subject = row.subject if model == "customer" else str(row)

    response = admin_client.get(reverse("subject", args=[subject]))

    assert response.url == f"/admin/orders/{model}/{row.pk}/change/"


@pytest.mark.parametrize(
    "subject", ["ORD-999999", "TXN-1", "customer-0", "customer-x", "customer-" + "9" * 30, "x"]
)
def test_subject_that_does_not_exist_is_not_found(admin_client, subject):
    assert admin_client.get(reverse("subject", args=[subject])).status_code == 404


def test_subject_leads_to_its_emails(admin_client):
    order = make_order()

    response = admin_client.get(reverse("subject-emails", args=[order.number]), follow=True)

    assert response.request["PATH_INFO"] == "/admin/emails/notification/"
    assert response.request["QUERY_STRING"] == f"q={order.number}"
    assert response.status_code == 200


@pytest.mark.django_db
def test_only_email_of_an_order_is_one_click_away(admin_client):
    notification = owed(place())

    response = admin_client.get(reverse("subject-emails", args=[notification.subject]))

    assert response.url == f"/admin/emails/notification/{notification.pk}/change/"


@pytest.mark.parametrize("name", ["subject", "subject-emails"])
def test_subjects_are_for_staff(client, name):
    order = make_order()

    response = client.get(reverse(name, args=[order.number]))

    assert response.url.startswith("/admin/login/")


def test_banner_shows_in_the_sandbox_only(client, settings):
    assert "Local demo:" in client.get("/").text

    settings.SANDBOX = False

    assert "Local demo:" not in client.get("/").text


def test_page_that_is_not_found_is_ours(client):
    response = client.get("/nowhere/<script>/")

    assert response.status_code == 404
    assert "Page not found" in response.text


def test_form_without_its_token_is_answered_in_plain_words():
    response = Client(enforce_csrf_checks=True).post("/", {})

    assert response.status_code == 403
    assert "Nothing was saved" in response.text


def test_crash_is_answered_by_a_page_that_needs_nothing(client, settings):
    client.raise_request_exception = False
    settings.BASE_URL = "not a URL"

    response = client.post("/register/", {"name": "Bob", "email": "bob@example.net"})

    assert response.status_code == 500
    assert "Something went wrong on our side" in response.text


@pytest.mark.parametrize(
    "address",
    ["/admin/subject/ORD-%00/", "/admin/queues/outboxevent/?queue=%00", "/?%00", "/verify/%00/"],
)
def test_nothing_is_found_under_a_nul(admin_client, address):
    assert admin_client.get(address).status_code == 404
