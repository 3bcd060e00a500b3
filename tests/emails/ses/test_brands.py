"""Each email comes from its brand: sender, replies, letterhead."""

from __future__ import annotations

import json
from email import message_from_string, policy

import pytest
from django.urls import reverse

from emails.doctor import checks
from emails.identities import sender_status
from emails.models import Brand, Breaker, Notification
from emails.rendering import templates
from emails.ses import brands, default_sender, ses_api
from queues.doctor.findings import Verdict
from tests.support.builders import make_account, make_order, make_transaction

pytestmark = pytest.mark.django_db

SENDER = "alerts@bank.example"
SAVE = reverse("admin:emails_identity_sender", args=["bank"])
FORM = reverse("admin:emails_identity_brand", args=["bank"])
EMPTY = dict.fromkeys(
    ["address", "display_name", "reply_to", "name", "mark", "colour", "footer", "support"], ""
)


@pytest.fixture
def accepted(aws, consume):
    """Return the email that SES accepts for an event that is recorded now."""

    def last(make):
        aws.verify("ada@example.com")
        make()
        consume()
        return message_from_string(aws.accepted[-1].raw_data, policy=policy.default)

    return last


def post_transaction():
    make_transaction(account=make_account(holder_email="ada@example.com"))


def text_of(email):
    return email.get_body(["plain"]).get_content()


def html_of(email):
    return email.get_body(["html"]).get_content()


def test_the_bank_alerts_under_its_own_name_by_the_verified_address(accepted):
    email = accepted(post_transaction)

    assert email["From"] == "Notifier Bank <shop@example.com>"
    assert "Notifier Bank" in html_of(email)
    assert "Notifier Shop" not in str(email)


def test_the_shop_sends_as_the_settings_say(accepted, settings):
    assert accepted(make_order)["From"] == settings.SES_FROM_EMAIL


def test_each_brand_has_the_sender_letterhead_and_contact_that_staff_set(
    accepted, aws, admin_client
):
    aws.verify(SENDER)
    fields = {
        "address": SENDER,
        "display_name": "First Bank Alerts",
        "reply_to": "desk@bank.example",
        "name": "First Bank",
        "mark": "FB",
        "colour": "teal",
        "footer": "1 High Street, London EC1A 1AA",
        "support": "help@bank.example",
    }
    assert admin_client.post(SAVE, fields).status_code == 302

    email, order = accepted(post_transaction), accepted(make_order)

    assert email["From"] == f"First Bank Alerts <{SENDER}>"
    assert email["Reply-To"] == "desk@bank.example"
    assert ">FB</td>" in html_of(email)
    assert "#0f766e" in html_of(email)
    assert "#4f46e5" not in html_of(email)
    for part in (html_of(email), text_of(email)):
        assert "First Bank" in part
        assert "1 High Street, London EC1A 1AA" in part
        assert "help@bank.example" in part
    assert order["From"] == "Notifier Shop <shop@example.com>"
    assert order["Reply-To"] is None
    assert "First Bank" not in str(order)


def test_a_brand_without_an_address_follows_the_default_sender():
    brands.save("bank", display_name="First Bank", by="grace")
    brands.save("shop", address="new@example.org", display_name="Shop", by="grace")

    assert default_sender.in_force("bank") == "First Bank <new@example.org>"
    assert default_sender.in_force("platform") == "Notifier <new@example.org>"


def test_a_row_of_a_release_before_brands_is_that_of_the_shop():
    Brand.objects.create(
        pk=1, address="old@example.org", chosen_by="x", chosen_at="2026-01-01T00:00Z"
    )
    brands.save("bank", name="First Bank", by="grace")

    assert brands.in_force("shop").address == "old@example.org"
    assert Brand.objects.get(key="bank").pk == 2


def test_the_row_that_such_a_release_reads_is_never_that_of_another_brand():
    brands.save("bank", address=SENDER, by="grace")
    brands.save("shop", address="new@example.org", by="grace")

    assert Brand.objects.get(pk=1).key == "shop"


def test_a_sender_that_ses_has_not_verified_is_refused_in_its_field(admin_client, aws):
    page = admin_client.post(SAVE, EMPTY | {"address": SENDER}).text

    assert f"SES has verified neither {SENDER} nor its domain." in page
    assert not Brand.objects.exists()


def test_a_letterhead_changes_while_ses_does_not_answer(admin_client, aws):
    brands.save("bank", address=SENDER, by="grace")

    admin_client.post(SAVE, EMPTY | {"address": SENDER, "name": "First Bank"})

    assert brands.in_force("bank").name == "First Bank"


def test_an_identity_suggests_itself_as_the_sender(admin_client, aws):
    assert f'value="{SENDER}"' in admin_client.get(f"{FORM}?from={SENDER}").text
    assert 'value="bank@bank.example"' in admin_client.get(f"{FORM}?from=bank.example").text


def test_a_brand_that_no_template_names_has_no_page(admin_client):
    address = reverse("admin:emails_identity_brand", args=["nobody"])

    assert admin_client.get(address).status_code == 404


@pytest.mark.parametrize("name", ["Fir\u202est", "First\x00"])
def test_a_letterhead_has_no_invisible_characters(admin_client, aws, name):
    admin_client.post(SAVE, EMPTY | {"name": name})

    assert not Brand.objects.exists()


def test_the_doctor_and_the_check_of_each_minute_name_a_brands_unverified_sender(aws):
    brands.save("bank", address=SENDER, by="grace")

    found = [finding for finding in checks.sender() if finding.verdict is Verdict.ERROR]
    sender_status.check()
    unverified = sender_status.unverified()

    assert [finding.what for finding in found] == [f"The sender {SENDER} is not verified."]
    assert unverified is not None
    assert unverified.address == SENDER
    assert ses_api.unverified_senders() == [SENDER]


def test_a_brands_unverified_sender_holds_its_emails_instead_of_failing_them(
    aws, consume, refuses, monkeypatch
):
    monkeypatch.setattr("emails.sending.breakers.HOLD_SECONDS", 0)
    refuses("MessageRejected", f"Email address is not verified: {SENDER}")
    brands.save("bank", address=SENDER, by="grace")
    post_transaction()

    consume()

    assert Breaker.objects.get(is_open=True).name == "configuration"
    assert Notification.objects.get().state == "pending"


def test_every_colour_has_its_accent_in_the_layout():
    sample = templates.sample("order_confirmation")
    accents = set()
    for colour in Brand.Colour.values:
        head = templates.Letterhead(name="X", mark="X", colour=colour)
        html = templates.render("order_confirmation", sample.data, letterhead=head).html
        accents.add(html.partition('bgcolor="#')[2].partition('bgcolor="')[2][:7])

    assert len(accents) == len(Brand.Colour.values)


def test_a_template_names_its_brand_in_its_sample():
    assert {name: templates.brand(name) for name in templates.names()} == {
        "admin_alert": "platform",
        "order_confirmation": "shop",
        "sign_in_link": "shop",
        "support_alert": "platform",
        "test_email": "platform",
        "transaction_alert": "bank",
        "verify_email": "shop",
    }


def test_samples_link_to_where_the_site_is(settings):
    settings.BASE_URL = "https://shop.example"

    assert "https://shop.example/orders/" in json.dumps(templates.sample("order_confirmation").data)
