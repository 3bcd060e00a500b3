"""Events about emails that nobody knows: kept, bounded, and attached when their email becomes known."""

from __future__ import annotations

import json

import pytest

from emails.models import DeliveryEvent, Notification
from emails.reports import feedback, orphans
from tests.emails.reports.test_feedback import ses_event
from tests.support.rows import make_notification
from tests.support.ses_told import COMPLAINED, DELIVERED, bounced, of_identity

pytestmark = pytest.mark.django_db

Delivery = Notification.Delivery
State = Notification.State


def take(event):
    feedback.take(json.dumps(event))


def test_notification_of_an_identity_finds_its_email_by_the_id_of_ses():
    notification = make_notification(state=State.SENT, provider_message_id="ses-1")

    take(of_identity("Bounce", "ses-1", **bounced()))

    notification.refresh_from_db()
    assert notification.delivery_status == Delivery.BOUNCED_HARD
    assert notification.delivery_code == "5.1.1"
    assert notification.delivery_reason == "smtp; 550 5.1.1 user unknown"
    assert not DeliveryEvent.objects.filter(is_orphan=True).exists()


def test_bounce_told_by_identity_and_configuration_set_is_recorded_once():
    notification = make_notification(state=State.SENT, provider_message_id="ses-1")
    told = of_identity("Bounce", "ses-1", **bounced())

    take(told)
    mail = told["mail"] | {"tags": {"nid": [str(notification.pk)], "att": ["1"]}}
    take({"eventType": "Bounce", "mail": mail, "bounce": told["bounce"]})

    assert DeliveryEvent.objects.count() == 1


@pytest.mark.locking
def test_orphan_is_attached_when_its_email_becomes_known():
    take(of_identity("Delivery", "ses-1", **DELIVERED))
    take(of_identity("Complaint", "ses-1", **COMPLAINED))
    take(of_identity("Delivery", "ses-2", **DELIVERED))
    assert DeliveryEvent.objects.filter(is_orphan=True).count() == 3
    notification = make_notification(state=State.SENT, provider_message_id="ses-1")

    assert orphans.attach() == 2

    notification.refresh_from_db()
    assert notification.delivery_status == Delivery.COMPLAINED
    assert notification.delivered_at
    assert DeliveryEvent.objects.get(is_orphan=True).provider_message_id == "ses-2"
    assert orphans.attach() == 0


def test_orphan_told_again_stays_one():
    for _ in range(2):
        take(of_identity("Delivery", "ses-1", **DELIVERED))

    assert DeliveryEvent.objects.get().is_orphan


def test_event_of_another_account_with_its_own_tags_is_an_orphan():
    mine = make_notification(state=State.SENT, provider_message_id="ses-1")
    stranger = Notification(pk="01a201d8-7a5d-741d-b861-94a460c90b92")
    event = ses_event("Bounce", message_id="ses-of-another", notification=stranger, **bounced())
    event["mail"]["sendingAccountId"] = "999999999999"

    take(event)

    mine.refresh_from_db()
    assert mine.delivery_status == Delivery.NONE
    assert DeliveryEvent.objects.get().is_orphan


def test_canary_is_no_orphan():
    event = ses_event("Send", message_id="ses-canary")
    event["mail"]["tags"] = {"kind": ["canary"]}

    take(event)

    assert not DeliveryEvent.objects.get().is_orphan


def test_only_the_newest_orphans_are_kept(monkeypatch):
    monkeypatch.setattr(orphans, "MAX_KEPT", 2)
    for number in range(5):
        take(of_identity("Delivery", f"ses-{number}", **DELIVERED))

    orphans.tidy()

    left = DeliveryEvent.objects.order_by("pk").values_list("provider_message_id", flat=True)
    assert list(left) == ["ses-3", "ses-4"]


def test_orphan_that_an_older_release_stored_unchecked_is_let_go():
    make_notification(state=State.SENT, provider_message_id="ses-1")
    DeliveryEvent.objects.create(
        provider_message_id="ses-1",
        type="Bounce",
        happened_at="2026-11-22T10:00:00Z",
        raw=["rubbish"],
        is_orphan=True,
    )

    assert orphans.attach() == 1
    assert orphans.attach() == 0
