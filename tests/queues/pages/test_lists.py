"""What a person writes into a list's address or search box costs little and breaks nothing, in every list."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.urls import reverse

from orders.models import Order, Product, Transaction
from queues.console import list_url
from queues.models import DeadLetter, Redrive
from queues.pages.listing.time_range import TimeFilter
from queues.pages.lists import MOST_CHARACTERS, MOST_WORDS, TOO_LONG, ListAdmin
from tests.support.builders import make_order, make_product, make_transaction
from tests.support.rows import make_dead_letter, make_redrive, make_suppression, staff

pytestmark = pytest.mark.django_db

HUGE = "9" * 25


def lists():
    return [page for page in admin.site._registry.values() if isinstance(page, ListAdmin)]


@pytest.fixture
def rows(admin_user):
    make_order()
    make_transaction()
    make_dead_letter()
    make_redrive()
    make_suppression()


@pytest.mark.parametrize("text", ["a " * (MOST_WORDS + 1), "a" * (MOST_CHARACTERS + 1)])
def test_too_long_a_search_finds_nothing_and_says_so(admin_client, rows, text):
    for page in lists():
        if not page.search_fields:
            continue
        response = admin_client.get(list_url(page.model), {"q": text})

        assert response.context["cl"].result_count == 0, page
        assert TOO_LONG in response.content.decode(), page


def test_as_many_words_as_are_allowed_are_looked_for(admin_client):
    make_product(name="one two three four five six seven eight")

    response = admin_client.get(list_url(Product), {"q": "eight seven six five four three two one"})

    assert response.context["cl"].result_count == 1


def test_autocompletion_is_bounded_too(admin_client, rows):
    query = {"app_label": "orders", "model_name": "transaction", "field_name": "account"}
    address = reverse("admin:autocomplete")

    assert admin_client.get(address, query | {"term": "a"}).json()["results"]
    assert not admin_client.get(address, query | {"term": "a " * 9}).json()["results"]


def test_search_box_says_how_long_a_text_may_be(admin_client):
    page = admin_client.get(reverse("search"), {"q": "a" * 400}).content.decode()

    assert "Search for at most 320 characters." in page


@pytest.mark.parametrize(
    "query",
    [
        *("q=%00", "q=a%00b", "q=%ED%A0%80", "q=%25_%5C", "q='\"", "q=-1", f"q={HUGE}"),
        *(f"p={HUGE}", "p=0", "p=-1", "p=x", "p=%00", "all=1", "e=1", f"p={'9' * 5000}"),
        *(f"o={HUGE}", "o=-", "o=%00", "o=-1.2.-3", "o=" + "1." * 500),
    ],
)
def test_odd_searches_pages_and_orders_break_no_list(admin_client, rows, query):
    for page in lists():
        response = admin_client.get(f"{list_url(page.model)}?{query}")

        assert response.status_code in ((404,) if "%00" in query else (200, 302)), page


@pytest.mark.parametrize("value", [HUGE, f"-{HUGE}", "%07", "%27", "a" * 500])
@pytest.mark.parametrize("question", ["", "__exact", "__isnull"])
def test_odd_filters_break_no_list(admin_client, rows, value, question):
    for page in lists():
        for name in page._filtered(None):
            response = admin_client.get(f"{list_url(page.model)}?{name}{question}={value}")

            assert response.status_code in (200, 302, 400), (page, name)


@pytest.mark.parametrize("question", ["__regex", "__iregex", "__in", "__gt", "__contains", "__len"])
@pytest.mark.parametrize("name", ["id", "pk", "state", "body", "name"])
def test_no_address_asks_more_than_the_filters_do(admin_client, rows, name, question):
    for page in lists():
        response = admin_client.get(f"{list_url(page.model)}?{name}{question}=(a%2B)%2B$")

        assert response.status_code == 400, page


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize(
    "text",
    [
        *("9999-12-31T23:59", "0001-01-01T00:00", "1970-01-01", "10000-01-01", "2026-13-01", "x"),
        *("2026-12-01T10:00+25:00", "2026-12-01T10:00Z", "2026-W49-2", HUGE, "-1", "%00", ""),
    ],
)
def test_no_time_breaks_a_list(admin_client, rows, text, zone):
    admin_client.cookies["time_zone"] = zone
    dated = {
        page: name
        for page in lists()
        for name, kind in filter(is_pair, page.list_filter)
        if issubclass(kind, TimeFilter)
    }

    for page, name in dated.items():
        for ending in TimeFilter.endings:
            response = admin_client.get(f"{list_url(page.model)}?{name}{ending}={text}")

            assert response.status_code in ((404,) if "%00" in text else (200, 302)), page
    assert {page.model for page in dated} >= {DeadLetter, Redrive, Order, Transaction, LogEntry}


def is_pair(chosen):
    return isinstance(chosen, tuple)


@pytest.mark.parametrize("key", [HUGE, f"-{HUGE}", "x", "", "1.5", "%00", "\0"])
def test_a_key_that_no_row_can_have_is_refused(admin_client, rows, key):
    for page in lists():
        fields = {"action": "delete_selected", "_selected_action": key}

        assert admin_client.post(list_url(page.model), fields).status_code == 400, page


@pytest.mark.parametrize("key", [HUGE, f"-{HUGE}", "x", "%00", "_00"])
def test_a_page_of_no_row_leads_back(admin_client, rows, key):
    for page in lists():
        for name in ("change", "history"):
            response = admin_client.get(f"{list_url(page.model)}{key}/{name}/")

            assert response.status_code in (302, 404), page


def test_more_rows_than_a_page_shows_are_not_taken_one_by_one(admin_client):
    fields = {"action": "x", "_selected_action": ["1"] * 2000}

    assert admin_client.post(list_url(User), fields).status_code == 400


def test_a_link_of_ours_filters_the_list(admin_client):
    for address in ("?delivery_status__exact=bounced", "?state__exact=in_doubt"):
        response = admin_client.get(reverse("admin:emails_notification_changelist") + address)

        assert response.status_code == 200


def test_a_list_still_filters_by_what_it_offers(client):
    client.force_login(staff(role="auditor"))

    for address in (
        reverse("admin:admin_logentry_changelist") + "?user__id__exact=1",
        reverse("admin:auth_user_changelist") + "?groups__id__exact=1&is_staff__exact=1",
        reverse("admin:queues_deadletter_changelist") + "?code=MessageRejected&parked=no",
    ):
        assert client.get(address).status_code == 200
