"""The addresses of SES's mailbox simulator, through the local AWS and back: what each email's fate comes to be."""

from __future__ import annotations

import re
import time
import uuid
from types import SimpleNamespace

import pytest
import urllib3

from emails.models import DeliveryEvent, Notification
from emails.ses import ses_api
from emails.ses.provisioning import DESTINATION
from queues.aws import provisioning, sqs
from queues.consumer.loop import Consumer
from queues.outbox import relay
from tests.support.owed import place

pytestmark = pytest.mark.django_db

Delivery = Notification.Delivery
# Of each address: how many events SES tells, the status that they come to, and what is wrong.
FATES = {
    "success": (2, Delivery.DELIVERED, ""),
    "bounce": (2, Delivery.BOUNCED_HARD, "5.1.1"),
    "complaint": (3, Delivery.COMPLAINED, "abuse"),
    "suppressionlist": (2, Delivery.SUPPRESSED, "OnAccountSuppressionList"),
    "ooto": (3, Delivery.DELIVERED, ""),
}


@pytest.fixture
def way(local_aws, settings):
    """Queues, a topic, a configuration set and a sender of our own, and what publishes and consumes once."""
    mark = uuid.uuid4().hex[:8]
    settings.AWS_ENDPOINT_URL = settings.AWS_SES_REGION_ENDPOINT_URL = local_aws.endpoint
    settings.QUEUES = {alias: f"{alias}-{mark}" for alias in ("orders", "ses-events")}
    settings.SES_EVENTS_TOPIC = settings.SES_CONFIGURATION_SET = f"events-{mark}"
    settings.SES_FROM_EMAIL = f"shop-{mark}@example.com"
    settings.QUEUE_WAIT_SECONDS = 1
    said: list[str] = []
    provisioning.provision(said.append)
    ses_api.api().verify_email_identity(EmailAddress=settings.SES_FROM_EMAIL)
    local_aws.verify(settings.SES_FROM_EMAIL)
    return SimpleNamespace(said=said, sender=settings.SES_FROM_EMAIL, name=f"events-{mark}")


def run_until(events: int) -> None:
    """Publish and consume until SES has told so much."""
    while relay.publish_pending():
        pass
    consumer = Consumer(sqs.queues(()), concurrency=4)
    deadline = time.monotonic() + 60
    while DeliveryEvent.objects.count() < events:
        assert time.monotonic() < deadline, f"{DeliveryEvent.objects.count()} of {events} events"
        consumer.poll_once()


def read(addresses):
    """Open addresses as a mail program does; return where each leads, if elsewhere."""
    return [
        urllib3.request("GET", address, redirect=False).headers.get("Location")
        for address in addresses
    ]


def fates() -> dict[str, tuple[str, str]]:
    return {
        row.recipient.partition("@")[0]: (row.delivery_status, row.delivery_code)
        for row in Notification.objects.all()
    }


def test_each_address_of_the_simulator_comes_to_its_fate(way):
    for name in FATES:
        place(recipient=f"{name}@simulator.amazonses.com")

    run_until(sum(count for count, _, _ in FATES.values()))

    assert fates() == {name: (status, code) for name, (_, status, code) in FATES.items()}
    assert {row.state for row in Notification.objects.all()} == {Notification.State.SENT}
    assert not DeliveryEvent.objects.filter(is_orphan=True).exists()
    assert all(row.delivered_at for row in Notification.objects.to("ooto@simulator.amazonses.com"))


def test_the_same_is_told_by_the_notifications_of_an_identity(way, settings):
    arn = f"arn:aws:sns:{settings.AWS_REGION}:123456789012:{way.name}"
    for kind in ("Bounce", "Complaint", "Delivery"):
        ses_api.api().set_identity_notification_topic(
            Identity=way.sender, NotificationType=kind, SnsTopic=arn
        )
    settings.SES_CONFIGURATION_SET = ""
    for name in ("success", "bounce"):
        place(recipient=f"{name}@simulator.amazonses.com")

    run_until(2)

    told = DeliveryEvent.objects.values_list("raw", flat=True)
    assert {raw["notificationType"] for raw in told} == {"Delivery", "Bounce"}
    assert fates() == {"success": ("delivered", ""), "bounce": ("bounced_hard", "5.1.1")}


def test_opens_in_the_mailbox_come_back_as_events_and_secret_links_are_not_tracked(
    way, local_aws, settings
):
    settings.SES_TRACKING = ["opens", "clicks"]
    provisioning.provision(lambda line: None)
    event = place(recipient="success@simulator.amazonses.com")
    run_until(2)
    sent = Notification.objects.get(event_id=event.id)
    assert (sent.opened_at, sent.clicked_at) == (None, None)
    html = local_aws.mail_detail(sent.provider_message_id)["html"]

    read(re.findall(r'<img alt="" src="([^"]+/_sandbox/open/[^"]+)"', html))
    run_until(3)

    sent.refresh_from_db()
    assert sent.opened_at
    # The only link opens the order without a password, so SES does not get it.
    assert "/_sandbox/click/" not in html


def test_delays_are_asked_for_and_tracking_only_if_it_is_set(way, settings):
    def types():
        found = ses_api.api_v2().get_configuration_set_event_destinations(
            ConfigurationSetName=way.name
        )
        return set(found["EventDestinations"][0]["MatchingEventTypes"])

    assert types() == {"SEND", "REJECT", "BOUNCE", "COMPLAINT", "DELIVERY", "DELIVERY_DELAY"}
    settings.SES_TRACKING = ["opens", "clicks"]
    again: list[str] = []
    provisioning.provision(again.append)
    assert types() >= {"OPEN", "CLICK"}
    assert f"fixed event destination {DESTINATION}" in again
    once_more: list[str] = []
    provisioning.provision(once_more.append)
    assert f"event destination {DESTINATION} is as it should be" in once_more
