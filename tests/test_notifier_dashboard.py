import pytest

from emails import breakers


@pytest.mark.django_db
def test_open_breaker_is_the_first_thing_on_the_overview(admin_client):
    breakers.trip(breakers.CONFIGURATION, code="ExpiredToken", reason="the token is too old")

    page = admin_client.get("/admin/").content.decode()

    assert "Sending has stopped: configuration" in page
    assert "ExpiredToken: the token is too old" in page
    assert "All is well" not in page


@pytest.mark.django_db
def test_closed_breaker_is_not_shown(admin_client):
    breakers.trip(breakers.QUOTA, code="Quota", reason="used up")
    breakers.reset(breakers.QUOTA)

    assert "Sending has stopped" not in admin_client.get("/admin/").content.decode()
