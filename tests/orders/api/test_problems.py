"""The API refuses bad requests in words and with a code, never with a page, and does nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import OperationalError
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from orders.models import Order, Transaction
from queues.models import OutboxEvent
from tests.support.api import ADA, EVE, ApiClient, access_token, id_token, order
from tests.support.builders import make_account, make_product, make_transaction

pytestmark = pytest.mark.django_db

DEEP = '{"lines": ' + "[" * 1000 + "]" * 1000 + "}"
CODES = {
    "no JSON": ("{", 400, "malformed"),
    "a list": ("[]", 400, "malformed"),
    "not a number": ('{"lines": NaN}', 400, "malformed"),
    "too deep": (DEEP, 400, "malformed"),
    "much too deep": ("[" * 60_000, 400, "malformed"),
    "21 levels": ('{"a":' * 21 + "1" + "}" * 21, 400, "malformed"),
    "not UTF-8": (b"\xff\xfe{}", 400, "malformed"),
    "a name twice": ('{"lines": [], "lines": [1]}', 400, "malformed"),
    "a NUL": (r'{"lines": "\u0000"}', 400, "malformed"),
    "half a character": (r'{"lines": "\ud800"}', 400, "malformed"),
    "a huge number": ('{"lines": ' + "9" * 5000 + "}", 400, "malformed"),
    "20 levels": ('{"lines":' * 20 + "1" + "}" * 20, 422, "invalid"),
    "nothing": ("", 422, "invalid"),
    "an empty object": ("{}", 422, "invalid"),
    "65 KiB": ('{"a": "' + "x" * 65 * 1024 + '"}', 413, "too_large"),
}


def is_problem(answer, status, code):
    body = answer.json()
    assert answer.status_code == body["status"] == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert body["code"] == code
    assert body["title"] and body["detail"]
    return body


@pytest.mark.parametrize(("body", "status", "code"), CODES.values(), ids=CODES)
def test_body_that_is_none_is_refused(ada, body, status, code):
    is_problem(ada.post("/orders", body), status, code)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "image/png"])
def test_body_that_is_not_called_json_is_refused(ada, kind):
    is_problem(ada.post("/orders", "{}", content_type=kind), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"lines": []}, "#/lines"),
        ({"lines": [{"sku": "MUG-1", "quantity": 0}]}, "#/lines/0/quantity"),
        ({"lines": [{"sku": "MUG-1", "quantity": "2"}]}, "#/lines/0/quantity"),
        ({"lines": [{"sku": "MUG-1", "quantity": True}]}, "#/lines/0/quantity"),
        ({"lines": [{"sku": "MUG-1", "quantity": 2.5}]}, "#/lines/0/quantity"),
        ({"lines": [{"sku": "MUG-1", "quantity": 100}]}, "#/lines/0/quantity"),
        ({"lines": [{"quantity": 1}]}, "#/lines/0/sku"),
        ({"lines": [{"sku": "MUG-1", "quantity": 1}] * 101}, "#/lines"),
        ({"shipping_address": None}, "#/shipping_address"),
    ],
)
def test_field_that_is_wrong_is_pointed_at(ada, change, pointer):
    make_product(sku="MUG-1")

    problem = is_problem(ada.post("/orders", order("MUG-1", **change)), 422, "invalid")

    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert not Order.objects.exists()


@pytest.mark.parametrize("text", ["a\r\nBcc: eve@example.com", "a\u2028b", "a\u202eb", "   ", ""])
@pytest.mark.parametrize("field", ["name", "street", "postal_code", "city", "country"])
def test_hostile_text_is_refused_at_its_field(ada, field, text):
    address = order("MUG-1")["shipping_address"] | {field: text}

    answer = ada.post("/orders", order("MUG-1", shipping_address=address))

    problem = is_problem(answer, 422, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == [f"#/shipping_address/{field}"]


def test_percent_escapes_are_text_and_no_header(ada, aws, consume):
    make_product(sku="MUG-1", name="Mug")
    aws.verify(ADA)
    address = order("MUG-1")["shipping_address"] | {"name": "Ada%0d%0aBcc: eve@example.com"}
    ada.post("/orders", order("MUG-1", shipping_address=address))

    consume("orders")

    [mail] = aws.accepted
    assert set(mail.destinations) == {ADA}
    assert "\nBcc" not in mail.raw_data


def test_product_that_is_not_on_sale_is_pointed_at(ada):
    make_product(sku="MUG-1")
    make_product(sku="OLD-1", is_active=False)
    lines = [{"sku": "MUG-1", "quantity": 1}, {"sku": "OLD-1", "quantity": 1}]

    problem = is_problem(ada.post("/orders", order("", lines=lines)), 422, "unknown_product")

    assert problem["detail"] == "There is no product OLD-1 on sale."
    assert problem["errors"][0]["pointer"] == "#/lines/1/sku"
    assert not Order.objects.exists()


def test_products_in_two_currencies_are_refused_in_words(ada):
    make_product(sku="MUG-1")
    make_product(sku="TEA-1", currency="EUR")
    lines = [{"sku": sku, "quantity": 1} for sku in ("MUG-1", "TEA-1")]

    problem = is_problem(ada.post("/orders", order("", lines=lines)), 422, "mixed_currencies")

    assert problem["detail"] == "One order, one currency: not EUR and USD."


@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(["state", "is_staff", "client", "customer_email", "total_cents", "id"])
    | st.text(min_size=1, max_size=20).filter(lambda name: name not in order("")),
    value=st.none() | st.integers() | st.text(max_size=20).filter(str.isprintable),
)
def test_field_that_there_is_not_changes_nothing(ada, name, value):
    answer = ada.post("/orders", order("MUG-1") | {name: value})

    assert answer.status_code == 400
    assert answer.json()["code"] in ("unknown_field", "malformed")
    assert not Order.objects.exists()


def test_misspelt_field_is_pointed_at(ada):
    body = order("MUG-1", lines=[{"sku": "MUG-1", "quantity": 1, "colour": "red"}])

    problem = is_problem(ada.post("/orders", body), 400, "unknown_field")

    assert [error["pointer"] for error in problem["errors"]] == ["#/lines/0/colour"]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"kind": "withdrawal"}, "overdraft", "The account holds $10.00, less than $150.00."),
        ({"currency": "EUR"}, "currency_mismatch", "The account is kept in USD, not in EUR."),
        ({"account": "nobody-s"}, "unknown_account", "There is no account with the number"),
        ({"amount_cents": 0}, "invalid", ""),
        ({"amount_cents": -1}, "invalid", ""),
        ({"amount_cents": 150.5}, "invalid", ""),
        ({"amount_cents": 10**12}, "invalid", ""),
        ({"kind": "gift"}, "invalid", ""),
        ({"description": "a\nb"}, "invalid", ""),
        ({"account": "../.."}, "invalid", ""),
    ],
)
def test_transaction_that_cannot_be_is_refused_in_words(change, code, words):
    account = make_account(balance=Decimal("10.00"))
    body = {"account": account.number, "kind": "deposit", "amount_cents": 15000} | change

    answer = ApiClient(access_token("transactions:write")).post("/transactions", body)

    assert words in is_problem(answer, 422, code)["detail"]
    assert not Transaction.objects.exists()
    assert not OutboxEvent.objects.exists()


WHO = {
    "nobody": lambda: "",
    "owner": id_token,
    "another customer": lambda: id_token(EVE),
    "access token without scopes": access_token,
    "reader": lambda: access_token("transactions:read", email=EVE),
    "writer": lambda: access_token("transactions:write", email=EVE),
}
ALLOWED = {
    "place an order": (201, {"owner": 201, "another customer": 201, "*": 403}),
    "list orders": (200, {"*": 200}),
    "read the order": (200, {"owner": 200, "access token without scopes": 200, "*": 404}),
    "post a transaction": (201, {"writer": 201, "*": 403}),
    "read the account": (200, {"owner": 200, "reader": 200, "*": 404}),
}


@pytest.fixture
def requests():
    """Requests to each endpoint, about Ada's order and account."""
    make_product(sku="MUG-1")
    number = ApiClient(id_token()).post("/orders", order("MUG-1")).json()["number"]
    account = make_account(holder_email=ADA.upper())
    make_transaction(account=account)
    deposit = {"account": account.number, "kind": "deposit", "amount_cents": 1}
    return {
        "place an order": lambda client: client.post("/orders", order("MUG-1")),
        "list orders": lambda client: client.get("/orders"),
        "read the order": lambda client: client.get(f"/orders/{number}"),
        "post a transaction": lambda client: client.post("/transactions", deposit),
        "read the account": lambda client: client.get(f"/accounts/{account.number}/transactions"),
    }


@pytest.mark.parametrize("what", ALLOWED)
@pytest.mark.parametrize("who", WHO)
def test_each_may_do_what_is_theirs(requests, who, what):
    _, statuses = ALLOWED[what]
    expected = 401 if who == "nobody" else statuses.get(who, statuses["*"])

    answer = requests[what](ApiClient(WHO[who]()))

    assert answer.status_code == expected, answer.content
    if expected >= 400:
        assert answer["Content-Type"] == "application/problem+json"


def test_others_see_nothing_of_an_order_in_their_list(requests):
    assert ApiClient(id_token(EVE)).get("/orders").json() == {"items": [], "next": None}


def test_missing_scope_is_named():
    answer = ApiClient(id_token()).post(
        "/transactions", {"account": "1", "kind": "deposit", "amount_cents": 1}
    )

    assert "notifier/transactions:write" in is_problem(answer, 403, "scope_missing")["detail"]
    assert 'error="insufficient_scope"' in answer["WWW-Authenticate"]


def test_scope_of_another_resource_server_is_none_of_ours(settings):
    token = access_token("transactions:write")
    settings.COGNITO_RESOURCE_SERVER = "another"

    answer = ApiClient(token).post(
        "/transactions", {"account": "1", "kind": "deposit", "amount_cents": 1}
    )

    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/nothing", "/orders/ORD-000001/", "/%00", "/orders/ORD-999999"])
def test_what_is_not_there_is_no_page(ada, path):
    is_problem(ada.get(path), 404, "not_found")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "after=x", "after=TXN-000001"]
)
def test_page_that_cannot_be_is_refused_by_its_parameter(ada, query):
    problem = is_problem(ada.get(f"/orders?{query}"), 422, "invalid")

    assert problem["errors"][0]["parameter"] == query.partition("=")[0]


def test_number_after_any_that_can_be_is_an_empty_page(ada):
    assert ada.get("/orders", after=f"ORD-{'9' * 18}").json() == {"items": [], "next": None}


def test_method_that_is_not_possible_says_which_are(client):
    answer = client.delete("/api/v1/orders", headers={"Authorization": f"Bearer {id_token()}"})

    is_problem(answer, 405, "method_not_allowed")
    assert set(answer["Allow"].split(", ")) == {"GET", "POST"}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Token x"])
def test_without_a_token_the_answer_says_how_to_send_one(client, header):
    answer = client.get("/api/v1/orders", headers={"Authorization": header} if header else {})

    assert "Authorization: Bearer <token>" in is_problem(answer, 401, "unauthorized")["detail"]
    assert answer["WWW-Authenticate"] == "Bearer"


def test_database_that_is_away_is_no_page(ada, monkeypatch):
    def gone(*args, **kwargs):
        raise OperationalError("the database is locked")

    monkeypatch.setattr("django.db.models.sql.compiler.SQLCompiler.execute_sql", gone)

    answer = ada.get("/orders")

    is_problem(answer, 503, "unavailable")
    assert answer["Retry-After"] == "10"


def test_bug_of_ours_tells_nothing_of_itself(ada, monkeypatch, settings):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("the secret")

    monkeypatch.setattr("django.db.models.sql.compiler.SQLCompiler.execute_sql", broken)

    answer = ada.get("/orders")

    is_problem(answer, 500, "internal")
    assert "secret" not in answer.text


def test_client_that_asks_too_often_is_told_when_to_come_back(ada, settings):
    settings.API_REQUESTS_PER_MINUTE = 12

    answers = [ada.get("/orders") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    is_problem(answers[-1], 429, "too_fast")
    assert 1 <= int(answers[-1]["Retry-After"]) <= 5


def test_client_that_asks_too_often_is_in_nobody_elses_way(ada, settings):
    settings.API_REQUESTS_PER_MINUTE = 1
    ada.get("/orders")

    assert ada.get("/orders").status_code == 429
    assert ApiClient(id_token(EVE)).get("/orders").status_code == 200


def test_body_in_chunks_is_asked_for_its_length(client):
    answer = client.post(
        "/api/v1/orders", headers={"Transfer-Encoding": "chunked"}, CONTENT_LENGTH=""
    )

    is_problem(answer, 411, "length_required")


def test_answers_are_kept_by_nobody(ada):
    assert ada.get("/orders")["Cache-Control"] == "no-store"
