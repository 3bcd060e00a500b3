"""The admin shows SES's events in words and finds them."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from emails.models import DeliveryEvent, Notification
from emails.reports import feedback
from tests.emails.reports.test_feedback import ses_event
from tests.support.rows import make_notification
from tests.support.ses_told import COMPLAINED, DELIVERED, bounced, of_identity

pytestmark = pytest.mark.django_db

LIST = reverse("admin:emails_deliveryevent_changelist")
EMAILS = reverse("admin:emails_notification_changelist")
State = Notification.State


def told(kind, message_id="ses-1", **detail):
    feedback.take(json.dumps(of_identity(kind, message_id, **detail)))
    return DeliveryEvent.objects.latest("pk")


def text(response):
    return " ".join(response.content.decode().split())


def test_bounce_is_said_in_words_with_what_the_mail_server_wrote(admin_client):
    notification = make_notification(state=State.SENT, provider_message_id="ses-1")
    event = told("Bounce", **bounced())

    page = text(admin_client.get(reverse("admin:emails_deliveryevent_change", args=[event.pk])))

    assert "Hard bounce. The address does not exist. (5.1.1)" in page
    assert "550 5.1.1 user unknown" in page
    assert reverse("admin:emails_notification_change", args=[notification.pk]) in page


def test_orphans_are_listed_alone(admin_client):
    make_notification(state=State.SENT, provider_message_id="ses-1")
    told("Delivery", **DELIVERED)
    orphan = told("Delivery", "ses-2", **DELIVERED)

    listed = admin_client.get(LIST, {"orphan": "yes"})

    assert list(listed.context["cl"].result_list) == [orphan]
    assert "unknown" in text(listed)
    page = text(admin_client.get(reverse("admin:emails_deliveryevent_change", args=[orphan.pk])))
    assert "Unknown. The event is attached as soon as its email is known." in page


@pytest.mark.parametrize("choice", [{}, {"kind": "Bounce"}, {"kind": "rubbish"}, {"q": "ses-1"}])
def test_list_shows_rubbish_of_older_releases_as_well(admin_client, choice):
    told("Bounce", **bounced())
    DeliveryEvent.objects.create(
        provider_message_id="ses-1", type="Bounce", happened_at="2026-11-22T10:00:00Z", raw=[1]
    )

    assert len(admin_client.get(LIST, choice).context["cl"].result_list) == 2


def test_nobody_changes_what_ses_told(admin_client):
    event = told("Delivery", **DELIVERED)
    address = reverse("admin:emails_deliveryevent_change", args=[event.pk])

    assert admin_client.post(address, {"type": "Bounce"}).status_code == 403
    assert (
        admin_client.post(reverse("admin:emails_deliveryevent_delete", args=[event.pk])).status_code
        == 403
    )


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("bounced", {"ses-bounce"}),
        ("bounced_hard", {"ses-bounce"}),
        ("bounced_soft", set()),
        ("complained", {"ses-complaint"}),
        ("trouble", {"ses-bounce", "ses-complaint"}),
        ("delivered", {"ses-opened"}),
        ("opened", {"ses-opened"}),
        ("clicked", set()),
        ("waiting", {"ses-nothing"}),
    ],
)
def test_emails_are_found_by_what_became_of_them(admin_client, choice, expected):
    for name in ("bounce", "complaint", "opened", "nothing"):
        make_notification(state=State.SENT, provider_message_id=f"ses-{name}")
    told("Bounce", "ses-bounce", **bounced())
    told("Complaint", "ses-complaint", **COMPLAINED)
    feedback.take(json.dumps(ses_event("Open", message_id="ses-opened")))

    listed = admin_client.get(EMAILS, {"fate": choice}).context["cl"].result_list

    assert {row.provider_message_id for row in listed} == expected


def test_list_of_emails_says_why_and_how_fast(admin_client):
    make_notification(state=State.SENT, provider_message_id="ses-1")
    told("Bounce", **bounced())
    quick = make_notification(state=State.SENT, sent_at="2026-11-22T10:00:02.900Z")
    feedback.take(json.dumps(ses_event("Delivery", notification=quick)))
    feedback.take(json.dumps(ses_event("Open", notification=quick, moment="2026-11-22T11:00:00Z")))

    page = text(admin_client.get(EMAILS))

    assert "The address does not exist." in page
    assert "in 2.1 s, opened" in page
