"""Staff read the console's times in their own zone, which each time names; nobody else's times change."""

from datetime import UTC, datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from notifier.web.time_zones import Zone
from queues.console import list_url, moment
from queues.models import DeadLetter
from tests.support.builders import make_order
from tests.support.rows import make_dead_letter

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
PAGE = reverse("time-zone")


@pytest.fixture
def letters(db):
    letter = make_dead_letter()
    DeadLetter.objects.update(collected_at=NOON)
    return list_url(type(letter))


def test_a_list_shows_times_in_the_zone_of_the_browser(admin_client, letters):
    admin_client.cookies["browser_time_zone"] = "Europe/Brussels"

    page = admin_client.get(letters).content.decode()

    assert "2026-12-01 13:00:00 CET" in page
    assert "Times are in Europe/Brussels (CET)." in page


def test_the_zone_that_a_person_chose_comes_before_that_of_the_browser(admin_client, letters):
    admin_client.cookies["browser_time_zone"] = "Europe/Brussels"
    saved = admin_client.post(PAGE, {"zone": "America/New_York", "next": letters})

    page = admin_client.get(letters).content.decode()

    assert saved.url == letters
    assert "2026-12-01 07:00:00 EST" in page


def test_a_person_can_follow_the_browser_again(admin_client, letters):
    admin_client.cookies["browser_time_zone"] = "Europe/Brussels"
    admin_client.post(PAGE, {"zone": "America/New_York"})

    admin_client.post(PAGE, {"zone": ""})

    assert "13:00:00 CET" in admin_client.get(letters).content.decode()


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "a" * 4000, "\x00", "posix"]
)
def test_a_name_that_is_no_zone_counts_as_none(admin_client, letters, name):
    admin_client.cookies["browser_time_zone"] = name
    admin_client.post(PAGE, {"zone": name})

    assert "2026-12-01 12:00:00 UTC" in admin_client.get(letters).content.decode()


def test_without_a_browsers_word_times_are_in_the_sites_zone(admin_client, letters, settings):
    settings.TIME_ZONE = "Asia/Tokyo"

    assert "2026-12-01 21:00:00 JST" in admin_client.get(letters).content.decode()


def test_the_choice_leads_to_no_other_site(admin_client):
    saved = admin_client.post(PAGE, {"zone": "UTC", "next": "https://evil.example/"})

    assert saved.url == "/admin/"


def test_the_page_offers_zones_and_names_that_of_the_browser(admin_client):
    admin_client.cookies["browser_time_zone"] = "Europe/Brussels"

    page = admin_client.get(PAGE).content.decode()

    assert "As in my browser: Europe/Brussels" in page
    assert "<option>America/Sao_Paulo</option>" in page
    assert "Etc/GMT+3" not in page


def test_a_zone_without_letters_of_its_own_is_named_by_its_distance():
    with timezone.override(Zone("America/Sao_Paulo")):
        assert moment(NOON) == "2026-12-01 09:00:00 UTC-03"


def test_a_customers_page_stays_in_the_sites_zone(client):
    order = make_order()
    client.cookies["browser_time_zone"] = "Europe/Brussels"

    page = client.get(order.get_signed_url(), follow=True).content.decode()

    assert f"{order.placed_at:%H:%M} UTC" in page


def test_the_next_request_begins_in_the_sites_zone_again(admin_client, letters):
    admin_client.cookies["browser_time_zone"] = "Europe/Brussels"

    admin_client.get(letters)

    assert timezone.get_current_timezone_name() == "UTC"
