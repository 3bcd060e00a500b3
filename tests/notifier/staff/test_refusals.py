"""What staff read where the console refuses or finds nothing."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tests.support.rows import make_notification, staff

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("page", "words", "name", "roles"),
    [
        ("admin:admin_logentry_changelist", "Can view log entry", "admin.view_logentry", "auditor"),
        ("admin:queues_redrive_start", "Can redrive", "queues.redrive_deadletter", "operator, support"),
        ("admin:emails_notification_add", "Can add notification", "emails.add_notification", ""),
    ],
)  # fmt: skip
def test_who_lacks_a_right_reads_which_and_who_has_it(client, page, words, name, roles):
    client.force_login(staff("view_notification", "view_deadletter"))

    response = client.get(reverse(page))

    text = " ".join(response.content.decode().split())
    assert response.status_code == 403
    assert words in text
    assert name in text
    assert (f"These roles have it: {roles}." if roles else "No role has it.") in text
    assert 'id="nav-sidebar"' in text
    assert "shop" not in response.context["title"].lower()


def test_who_may_not_act_reads_which_right_the_act_takes(client):
    email = make_notification()
    client.force_login(staff("view_notification"))
    fields = {"action": "send_again", "_selected_action": email.pk}

    response = client.post(reverse("admin:emails_notification_changelist"), fields)

    assert "emails.send_again_notification" in response.content.decode()


@pytest.mark.parametrize(
    ("referer", "leads_back"),
    [("http://testserver/admin/?x=1", True), ("https://evil.example/", False), ("", False)],
)
def test_the_way_back_leads_to_our_own_pages_only(client, referer, leads_back):
    client.force_login(staff())

    response = client.get(reverse("search"), headers={"referer": referer})

    assert (f'href="{referer}"' in response.content.decode()) == leads_back
    assert response.status_code == 403


def test_an_unknown_address_of_the_console_is_told_by_the_console(client, settings):
    settings.DEBUG = False
    client.force_login(staff())

    response = client.get("/admin/subject/ORD-999999/")

    assert response.status_code == 404
    assert "There is nothing at this address" in response.content.decode()
    assert 'id="nav-sidebar"' in response.content.decode()


def test_customers_read_the_pages_of_the_shop(client):
    assert "Notifier Shop" in client.get("/nothing/").content.decode()


def test_an_error_of_the_console_names_its_request_and_needs_no_database(client, monkeypatch):
    client.force_login(staff())
    client.raise_request_exception = False
    monkeypatch.setattr("notifier.overview.overview_page.index", lambda *args: 1 / 0)

    response = client.get("/admin/", headers={"X-Request-ID": "request-12345678"})

    assert response.status_code == 500
    assert "This page failed" in response.content.decode()
    assert "request-12345678" in response.content.decode()
