from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.db import DatabaseError
from django.urls import reverse

from emails.models import Breaker, Notification
from emails.models.identities import Brand
from emails.ses import brands, default_sender, ses_api
from tests.support.builders import make_order
from tests.support.responses import said

pytestmark = pytest.mark.django_db

CHOOSE = reverse("admin:emails_identity_sender", args=["shop"])
RESET = reverse("admin:emails_identity_sender_reset", args=["shop"])
PAGE = reverse("admin:emails_identity_brand", args=["shop"])
NEW = "new@example.org"


def choose(address: str = NEW, name: str = "") -> None:
    brands.save("shop", address=address, display_name=name, by="grace")


def test_nobody_has_chosen_so_settings_say_it(settings):
    assert default_sender.in_force() == settings.SES_FROM_EMAIL


def test_emails_are_sent_as_the_chosen_one(aws, consume):
    aws.verify(NEW)
    aws.verify("ada@example.com")
    choose(name="Example, Shop")
    make_order()

    consume()

    [email] = aws.accepted
    assert email.source == '"Example, Shop" <new@example.org>'
    assert 'From: "Example, Shop" <new@example.org>' in email.raw_data


def test_a_name_that_is_not_ascii_is_encoded_for_ses_and_readable_for_staff():
    choose(name="Grüße")

    assert default_sender.in_force().isascii()
    assert default_sender.readable() == "Grüße <new@example.org>"


def test_a_choice_of_another_process_is_in_force_after_two_seconds(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("queues.threads.fresh.time.monotonic", lambda: now[0])
    before = default_sender.in_force()
    Brand.objects.create(pk=1, address=NEW, chosen_by="x", chosen_at="2026-01-01T00:00Z")

    now[0] += brands.FRESH_SECONDS - 0.1
    assert default_sender.in_force() == before
    now[0] += 0.1
    assert default_sender.in_force() == NEW


def test_many_emails_cost_one_query(django_assert_num_queries):
    with django_assert_num_queries(1):
        for _ in range(100):
            default_sender.in_force()


def test_what_was_known_stays_in_force_while_the_database_is_away(monkeypatch):
    choose()
    default_sender.in_force()
    brands._brands.expire()

    def fail():
        raise DatabaseError

    monkeypatch.setattr(brands._brands, "_read", fail)

    assert default_sender.in_force() == NEW
    brands.forget()
    with pytest.raises(DatabaseError):
        default_sender.in_force()


def test_a_sender_that_ses_does_not_know_opens_the_breaker_as_the_one_of_settings_does(
    aws, consume, monkeypatch, refuses
):
    monkeypatch.setattr("emails.sending.breakers.HOLD_SECONDS", 0)
    refuses("MessageRejected", "Email address is not verified: nobody@example.net")
    choose("nobody@example.net")

    assert not ses_api.sender_is_verified()
    aws.verify("ada@example.com")
    make_order()
    consume()
    assert Breaker.objects.get(is_open=True).name == "configuration"


def test_staff_choose_a_verified_address_and_the_log_says_so(admin_client, aws):
    aws.verify(NEW)

    response = admin_client.post(CHOOSE, {"address": "new@EXAMPLE.org", "display_name": "Shop"})

    assert "Notifier Shop: emails are now sent as Shop <new@example.org>." in said(response)
    assert default_sender.in_force() == "Shop <new@example.org>"
    entry = LogEntry.objects.get()
    assert entry.object_id == NEW
    assert "Before: Notifier Shop <shop@example.com>" in entry.change_message
    page = admin_client.get(response.url).content.decode()
    assert "Shop &lt;new@example.org&gt;" in page


def test_an_address_of_a_verified_domain_may_be_chosen(admin_client, aws):
    ses_api.api().verify_domain_identity(Domain="example.org")

    admin_client.post(CHOOSE, {"address": "any@mail.example.org"})

    assert default_sender.in_force() == "any@mail.example.org"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("nobody@example.net", ""),
        ("", "Shop"),
        ("no address", ""),
        (NEW, "x" * 101),
        (NEW, "Sh\u202eop"),
        (f"{NEW}\nBcc: eve@example.net", ""),
    ],
)
def test_what_ses_would_refuse_is_not_chosen(admin_client, aws, address, name):
    aws.verify(NEW)
    before = default_sender.in_force()

    response = admin_client.post(CHOOSE, {"address": address, "display_name": name})

    assert response.status_code == 200
    assert 'role="alert"' in response.text or "error" in response.text
    assert default_sender.in_force() == before
    assert not LogEntry.objects.exists()


def test_a_header_cannot_be_smuggled_in_by_the_name(admin_client, aws, consume):
    aws.verify(NEW)
    aws.verify("ada@example.com")
    admin_client.post(CHOOSE, {"address": NEW, "display_name": "Shop\r\nBcc: eve@example.net"})
    make_order()

    consume()

    [email] = aws.accepted
    assert "\nBcc:" not in email.raw_data


def test_staff_go_back_to_the_sender_of_settings(admin_client, aws, settings):
    choose()

    admin_client.post(RESET)
    admin_client.post(RESET)

    assert default_sender.in_force() == settings.SES_FROM_EMAIL
    assert not Brand.objects.exists()
    assert LogEntry.objects.count() == 1


def test_the_page_says_who_chose_the_sender_that_is_in_force(admin_client, aws):
    choose(name="Shop")

    page = admin_client.get(PAGE).text

    assert "Shop &lt;new@example.org&gt;" in page
    assert "grace changed it" in page


def test_an_email_that_fails_by_the_sender_before_goes_out_by_the_new_one(aws, consume, settings):
    settings.SES_FROM_EMAIL = "nobody@example.net"
    aws.verify("ada@example.com")
    choose("shop@example.com")
    make_order()

    consume()

    assert Notification.objects.get().state == "sent"
    assert not Breaker.objects.filter(is_open=True).exists()
