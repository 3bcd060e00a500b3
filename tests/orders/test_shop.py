"""The shop page: from a filled form to one order, and a clear word beside each bad field."""

from __future__ import annotations

import uuid

import pytest

from orders.models import Order
from queues.models import OutboxEvent
from tests.support.builders import make_product

pytestmark = pytest.mark.django_db

FIELDS = [
    "customer_name",
    "customer_email",
    "shipping_street",
    "shipping_postal_code",
    "shipping_city",
    "shipping_country",
]


def _form(product, **changes):
    """Return what a browser posts for two of the product; ``quantity`` stands for its field."""
    form = {
        "idempotency_key": str(uuid.uuid4()),
        "website": "",
        "customer_name": "Ada Lovelace",
        "customer_email": "ada@example.com",
        "shipping_street": "12 St James's Square",
        "shipping_postal_code": "SW1Y 4JH",
        "shipping_city": "London",
        "shipping_country": "United Kingdom",
        "quantity": "2",
    } | changes
    form[f"quantity-{product.pk}"] = form.pop("quantity")
    return form


def _errors(response):
    return response.context["form"].errors


def test_form_places_one_order_with_one_event(client, product):
    response = client.post("/", _form(product))

    order = Order.objects.get()
    assert response.status_code == 302
    assert response.url == f"/orders/{order.number}/"
    assert order.lines.get().quantity == 2
    assert OutboxEvent.objects.get().subject == order.number


def test_double_submit_makes_one_order(client, product):
    form = _form(product)

    first, second = client.post("/", form), client.post("/", form)

    assert first.url == second.url
    assert Order.objects.count() == OutboxEvent.objects.count() == 1


def test_each_page_has_a_key_of_its_own(client, product):
    keys = {client.get("/").context["form"]["idempotency_key"].value() for _ in range(2)}

    assert len(keys) == 2


@pytest.mark.parametrize("field", FIELDS)
def test_empty_field_is_named_and_the_rest_kept(client, product, field):
    response = client.post("/", _form(product, **{field: "   "}))

    assert list(_errors(response)) == [field]
    assert 'value="2"' in response.text
    assert not Order.objects.exists()


@pytest.mark.parametrize("quantity", ["-1", "100", "1.5", "two", "9" * 5000, "1e9", "\0"])
def test_absurd_quantity_is_refused_beside_its_product(client, product, quantity):
    response = client.post("/", _form(product, quantity=quantity))

    assert list(_errors(response)) == [f"quantity-{product.pk}"]
    assert not Order.objects.exists()


@pytest.mark.parametrize("quantity", ["", "0"])
def test_order_of_nothing_is_refused(client, product, quantity):
    response = client.post("/", _form(product, quantity=quantity))

    assert _errors(response)["__all__"] == ["Choose at least one product."]


@pytest.mark.parametrize("unknown", ["999999", "x", "9" * 400])
def test_unknown_product_is_refused(client, product, unknown):
    response = client.post("/", _form(product, **{f"quantity-{unknown}": "1"}))

    assert "no longer on sale" in _errors(response)["__all__"][0]
    assert not Order.objects.exists()


def test_product_that_left_the_shop_is_refused(client, product):
    gone = make_product(is_active=False)

    response = client.post("/", _form(product, **{f"quantity-{gone.pk}": "1"}))

    assert "no longer on sale" in _errors(response)["__all__"][0]


def test_two_currencies_are_refused(client, product):
    other = make_product(currency="EUR")

    response = client.post("/", _form(product, **{f"quantity-{other.pk}": "1"}))

    assert _errors(response)["__all__"] == ["One order, one currency: not EUR and USD."]


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com,eve@example.com",
        "ada@example.com;eve@example.com",
        "ada@example.com eve@example.com",
        "ada@example.com\r\nBcc: eve@example.com",
        "ada\n@example.com",
        '"ada,eve"@example.com',
        "Ada <ada@example.com>",
        "=?utf-8?q?eve=40example.net=3e=00?=ada@example.com",
        "\u212aelvin@example.com",
        "ada@",
        "a" * 10_000 + "@example.com",
    ],
)
def test_address_is_exactly_one_recipient(client, product, address):
    response = client.post("/", _form(product, customer_email=address))

    assert list(_errors(response)) == ["customer_email"]
    assert not Order.objects.exists()


@pytest.mark.parametrize("field", [name for name in FIELDS if name != "customer_email"])
@pytest.mark.parametrize("text", ["x" * 10_000, "a\0b", "a\r\nb", "a\u2028b", "a\u202eb", "a\x1bb"])
def test_hostile_text_is_refused_beside_its_field(client, product, field, text):
    response = client.post("/", _form(product, **{field: text}))

    assert list(_errors(response)) == [field]
    assert not Order.objects.exists()


@pytest.mark.parametrize("field", [*FIELDS, "idempotency_key", "quantity"])
def test_html_is_shown_as_text(client, product, field):
    response = client.post("/", _form(product, **{field: "<script>alert(1)</script>"}), follow=True)

    assert response.status_code == 200
    assert "<script>alert" not in response.text


def test_html_in_a_product_is_shown_as_text(client):
    make_product(name="<script>alert(1)</script>", picture="<svg><script>alert(2)</script></svg>")

    page = client.get("/").text

    assert "<script>alert" not in page


def test_filled_honeypot_places_nothing(client, product):
    response = client.post("/", _form(product, website="https://example.com"))

    assert list(_errors(response)) == ["website"]
    assert not Order.objects.exists()


@pytest.mark.parametrize("key", ["", "not-a-key", "\0"])
def test_broken_key_asks_for_a_reload(client, product, key):
    response = client.post("/", _form(product, idempotency_key=key))

    assert "reload" in _errors(response)["idempotency_key"][0]


def test_empty_shop_says_what_to_run(client):
    assert "python manage.py load_demo" in client.get("/").text


def test_empty_post_is_answered(client, product):
    response = client.post("/", {})

    assert response.status_code == 200
    assert "idempotency_key" in _errors(response)


def test_many_fields_are_no_crash(client, product):
    response = client.post("/", {f"quantity-{number}": "1" for number in range(2000)})

    assert response.status_code == 400


def test_another_order_from_the_same_page_is_not_swallowed(client, product):
    form = _form(product)
    client.post("/", form)

    response = client.post("/", form | {f"quantity-{product.pk}": "3"})

    assert "already placed an order from this page" in _errors(response)["__all__"][0]
    assert Order.objects.get().lines.get().quantity == 2


def test_another_order_from_the_same_page_is_placed_when_sent_again(client, product):
    form = _form(product)
    client.post("/", form)
    changed = form | {"customer_email": "grace@example.com"}

    new_key = client.post("/", changed).context["form"]["idempotency_key"].value()
    client.post("/", changed | {"idempotency_key": new_key})

    assert sorted(Order.objects.values_list("customer_email", flat=True)) == [
        "ada@example.com",
        "grace@example.com",
    ]


def test_a_key_and_another_order_open_nothing(client, product):
    form = _form(product)
    order_url = client.post("/", form).url
    client.cookies.clear()

    client.post("/", form | {"customer_name": "Eve"})

    assert client.get(order_url).status_code == 404


def _form_of(products):
    quantities = {f"quantity-{product.pk}": "1" for product in products}
    return _form(products[0], quantity="1") | quantities


def test_order_of_more_than_a_hundred_products_is_refused_in_words(client):
    products = [make_product() for _ in range(101)]

    response = client.post("/", _form_of(products))

    assert _errors(response)["__all__"] == [
        "An order has at most 100 products. Please order the others separately."
    ]
    assert not Order.objects.exists()


def test_order_whose_texts_fit_into_no_event_is_refused_in_words(client):
    products = [make_product(name="𝕏" * 200) for _ in range(100)]

    response = client.post("/", _form_of(products))

    assert "too large" in _errors(response)["__all__"][0]
    assert not Order.objects.exists()
    assert not OutboxEvent.objects.exists()
