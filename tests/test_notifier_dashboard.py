import pytest

from emails import breakers
from queues.models import DeadLetter
from tests.owed import owed, place


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


@pytest.mark.django_db
def test_email_whose_message_is_a_dead_letter_does_not_pretend_to_wait_in_the_queue(admin_client):
    notification = owed(place())
    DeadLetter.objects.create(
        queue="orders", sqs_message_id="m", event_id=notification.event_id, body="{}"
    )

    page = admin_client.get(
        f"/admin/emails/notification/{notification.pk}/change/"
    ).content.decode()

    assert "its message failed too often and is a dead letter" in page
    assert "waits in the queue" not in page
