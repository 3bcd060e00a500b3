"""The shop in German: pages, forms and emails, and that staff and programs go on reading English."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from babel.messages.pofile import read_po
from django.conf import settings as django_settings
from django.utils import translation

from infra import catalogs
from orders import services
from orders.models import Customer, Order
from orders.money import formatted
from queues.models import OutboxEvent
from tests.support.api import ApiClient, id_token, order
from tests.support.builders import make_customer, make_order, make_product, shipping

GERMAN = {"headers": {"accept-language": "de-AT,de;q=0.9,en;q=0.5"}}
TRANSLATED = [code for code, _ in django_settings.LANGUAGES if code != "en"]


def posted(client, product, **changes):
    page = client.get("/", **GERMAN)
    key = page.context["form"]["idempotency_key"].value()
    form = {name: value for name, value in shipping().items() if name != "shipping_name"}
    form |= {"idempotency_key": key, "website": "", f"quantity-{product.pk}": "2"}
    return client.post("/", form | changes, **GERMAN)


def last_event():
    return json.loads(OutboxEvent.objects.latest("id").body)


def test_every_language_of_the_settings_has_a_catalog():
    assert catalogs.languages() == sorted(TRANSLATED)


@pytest.mark.parametrize("language", TRANSLATED)
def test_catalog_has_every_marked_text_and_is_compiled(language):
    files = [path.read_bytes() for path in catalogs._files(language)]

    assert list(catalogs.written(catalogs.catalog(language))) == files, "run make catalogs"


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated_with_its_placeholders_and_tags(language):
    with catalogs._path(language).open("rb") as file:
        messages = [each for each in read_po(file, locale=language) if each.id]

    assert len(messages) > 150
    for message in messages:
        assert all(_texts(message.string)), message.id
        for text, translated in zip(_texts(message.id), _texts(message.string), strict=True):
            for part in (r"%\(\w+\)[sd]", r"<[^>]*>"):
                assert sorted(re.findall(part, text)) == sorted(re.findall(part, translated))


def _texts(found: Any) -> tuple[str, ...]:
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("accepted", "language"), [("de-AT", "de"), ("de", "de"), ("fr,en", "en"), ("", "en")]
)
def test_pages_are_in_the_language_of_the_browser(client, accepted, language):
    page = client.get("/register/", headers={"accept-language": accepted})

    assert f'<html lang="{language}" dir="ltr">' in page.content.decode()
    assert ("<h1>Registrieren</h1>" in page.content.decode()) == (language == "de")
    assert page["Content-Language"] == language
    assert {"Accept-Language", "Cookie"} <= set(page["Vary"].split(", "))


@pytest.mark.django_db
def test_chosen_language_stays(client):
    chosen = client.post("/language/", {"language": "de", "next": "/orders/?page=2"})

    page = client.get("/register/", headers={"accept-language": "en"}).content.decode()
    assert chosen.url == "/orders/?page=2"
    assert "<h1>Registrieren</h1>" in page
    assert '<button class="link" name="language" value="en" lang="en">English</button>' in page
    assert '<input type="hidden" name="next" value="/register/">' in page


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/nothing/", "/orders/ORD-000001/"])
def test_page_that_is_not_there_says_so_in_german(client, address):
    page = client.get(address, **GERMAN)

    assert page.status_code == 404
    assert "Seite nicht gefunden" in page.content.decode()


@pytest.mark.django_db
def test_order_placed_in_german_leads_to_a_german_page_and_email(client, product, aws, consume):
    aws.verify("ada@example.com")

    placed = posted(client, product)
    consume("orders")

    page = client.get(placed.url, **GERMAN).content.decode()
    assert Order.objects.get().locale == "de"
    assert last_event()["data"]["locale"] == "de"
    assert "<h1>Bestellung bestätigt</h1>" in page
    assert "25,00\xa0$" in page
    assert "Gesendet" in page
    [email] = aws.accepted
    assert "Guten Tag Ada Lovelace, Ihre Bestellung" in email.raw_data


@pytest.mark.django_db
def test_errors_of_the_form_are_in_german(client, product):
    page = posted(client, product, customer_email="ada", **{f"quantity-{product.pk}": "0"})

    assert page.context["form"].errors == {
        "customer_email": ["Geben Sie eine gültige E-Mail-Adresse ein."],
        "__all__": ["Wählen Sie mindestens einen Artikel."],
    }
    assert "Straße und Hausnummer" in page.content.decode()


@pytest.mark.django_db
def test_order_sent_again_in_another_language_is_the_same_order(product):
    key = "7d8c4f60-0000-4000-8000-000000000001"
    lines = [(product, 2)]

    first = make_order(idempotency_key=key, lines=lines, locale="de")

    assert make_order(idempotency_key=key, lines=lines, locale="en") == first


@pytest.mark.django_db
def test_links_are_sent_in_the_language_of_the_form_that_asks(client):
    form = {"name": "Ada", "email": "ada@example.com", "website": ""}
    client.post("/register/", form, **GERMAN)
    assert Customer.objects.get().locale == last_event()["data"]["locale"] == "de"

    Customer.objects.get().confirm_email()
    Customer.objects.update(verification_sent_at=None)
    client.post("/orders/", {"email": "ada@example.com", "website": ""})

    assert last_event()["type"] == "customer.link_requested.v1"
    assert last_event()["data"]["locale"] == "en"


@pytest.mark.django_db
def test_console_and_api_stay_english(admin_client):
    make_product(sku="MUG-1")
    customer = make_customer()

    page = admin_client.get(f"/admin/orders/customer/{customer.pk}/change/", **GERMAN)
    api = ApiClient(id_token())
    api._headers |= GERMAN["headers"]
    answer = api.post("/orders", order("MUG-1"))
    refused = api.post("/orders", order("MUG-2"))

    assert "Save and continue editing" in page.content.decode()
    assert answer.json()["email"]["message"] == "We are preparing your confirmation email."
    assert refused.json()["detail"] == "There is no product MUG-2 on sale."


def test_amounts_are_written_in_the_language_of_the_page():
    assert formatted(Decimal("1234.5"), "EUR") == "€1,234.50"
    with translation.override("de"):
        assert formatted(Decimal("1234.5"), "EUR") == "1.234,50\xa0€"


@pytest.mark.django_db
def test_customer_without_a_language_gets_english():
    services.resend_verification(make_customer())

    assert last_event()["data"]["locale"] == ""
