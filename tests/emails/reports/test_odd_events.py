"""What only explains in an event of SES, in every oddness: it hides no bounce, no complaint and no delivery."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse

from emails.models import DeliveryEvent, Notification, Suppression
from emails.reports import feedback
from queues.errors import BadData
from tests.emails.reports.test_feedback import sent, ses_event  # noqa: F401  # a fixture
from tests.support.owed import only

Delivery = Notification.Delivery
Raw = dict[str, Any]

pytestmark = pytest.mark.django_db
OURS = "ada@example.com"
ODD = [
    "a\0b",
    "a\ud800b\udfff",
    "a\x01\x1b[2J\x7f\r\nb",
    "\u202e\ufffe\uffff",
    "x" * 50_000,
    "(" * 50_000,
]
DEEP = json.loads("[" * 400 + "]" * 400)


def complaint(of: Notification, **detail: Any) -> Any:
    about = {"notification": of, "message_id": of.provider_message_id}
    said = {"complainedRecipients": [{"emailAddress": OURS}]}
    return ses_event("Complaint", **about | said | detail)


def bounce(of: Notification, **detail: Any) -> Any:
    recipient = {"emailAddress": OURS, "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 gone"}
    about = {"notification": of, "message_id": of.provider_message_id}
    said = {"bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": [recipient]}
    return ses_event("Bounce", **about | said | detail)


def told(raw: Raw | str) -> Notification:
    feedback.take(raw if isinstance(raw, str) else json.dumps(raw))
    return only()


def is_suppressed() -> bool:
    return Suppression.objects.active().filter(address=OURS).exists()


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    "change",
    [
        lambda raw, odd: raw["complaint"].update(userAgent=odd),
        lambda raw, odd: raw["complaint"].update(complaintFeedbackType=odd),
        lambda raw, odd: raw["complaint"].update(arrivalDate=odd),
        lambda raw, odd: raw["complaint"].update({odd: odd}),
        lambda raw, odd: raw["complaint"].update(complainedRecipients=[{"emailAddress": odd}]),
        lambda raw, odd: raw["mail"].update(headers=[{"name": odd, "value": odd}]),
        lambda raw, odd: raw["mail"].update(commonHeaders={"subject": odd, "from": [odd]}),
        lambda raw, odd: raw["mail"].update(source=odd, sourceIp=odd),
        lambda raw, odd: raw["mail"]["tags"].update({odd: [odd]}),
        lambda raw, odd: raw["mail"].update(timestamp=odd),
        lambda raw, odd: raw["complaint"].update(timestamp=odd),
    ],
)
def test_odd_text_that_decides_nothing_hides_no_complaint(
    sent,  # noqa: F811
    change: Callable[[Raw, str], None],
    odd,
):
    raw = complaint(sent)
    change(raw, odd)

    after = told(raw)

    assert after.delivery_status == Delivery.COMPLAINED
    assert is_suppressed()
    stored = json.dumps(DeliveryEvent.objects.get(type="Complaint").raw, ensure_ascii=False)
    assert "\0" not in stored
    assert stored.encode()


@pytest.mark.parametrize("odd", ODD)
def test_odd_text_in_what_the_mail_server_said_hides_no_bounce(sent, odd):  # noqa: F811
    recipient = {"emailAddress": OURS, "diagnosticCode": f"smtp; 550 5.1.1 {odd}", "status": odd}

    after = told(bounce(sent, bouncedRecipients=[recipient]))

    assert (after.delivery_status, after.delivery_code) == (Delivery.BOUNCED_HARD, "5.1.1")
    assert is_suppressed()


@pytest.mark.parametrize(
    "odd", [None, 5, True, [], [None], ["x"] * 5000, {"a": {"b": [None]}}, "", DEEP]
)
@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("mail", "tags"),
        ("mail", "destination"),
        ("mail", "headers"),
        ("mail", "commonHeaders"),
        ("mail", "source"),
        ("bounce", "bounceSubType"),
        ("bounce", "feedbackId"),
        ("bounce", "reportingMTA"),
        ("bounce", "bouncedRecipients"),
        ("bounce", "anything new"),
    ],
)
def test_a_part_of_another_type_hides_no_bounce(sent, part, name, odd):  # noqa: F811
    raw = bounce(sent)
    raw[part][name] = odd

    assert told(raw).delivery_status == Delivery.BOUNCED_HARD


@pytest.mark.parametrize("name", ["mail", "bounce"])
@pytest.mark.parametrize(
    "moment", ["Sun, 22 Nov 2026 10:00:05 +0000", "2026-11-22 10:00", None, {}]
)
def test_a_time_in_another_format_hides_no_bounce_as_long_as_there_is_one(sent, name, moment):  # noqa: F811
    raw = bounce(sent)
    raw[name]["timestamp"] = moment

    assert told(raw).delivery_status == Delivery.BOUNCED_HARD
    assert DeliveryEvent.objects.filter(type="Bounce").count() == 1


@pytest.mark.parametrize("odd", ["a\0b", "a\nb", "\ud800", "", None, 7, "x" * 101])
def test_an_odd_message_id_is_refused_as_it_decides(sent, odd):  # noqa: F811
    raw = bounce(sent)
    raw["mail"]["messageId"] = odd

    with pytest.raises(BadData):
        told(raw)


@pytest.mark.parametrize(
    "body",
    [
        '{"mail": {"headers": ' + "[" * 100_000 + "]" * 100_000 + "}, ",
        '{"processingTimeMillis": ' + "9" * 5000 + ", ",
        '{"processingTimeMillis": [1e999, -1e999, NaN, Infinity], ',
        '\ufeff{"userAgent": "a\x01\tb", ',
        '{"eventType": null, "notificationType": "Complaint", ',
    ],
)
def test_json_that_no_database_stores_hides_no_complaint(sent, body):  # noqa: F811
    told(body + json.dumps(complaint(sent)).removeprefix("{"))

    assert is_suppressed()


@pytest.mark.parametrize(
    ("named", "destination", "is_ours"),
    [
        ([OURS], [OURS], True),
        (["Ada Lovelace <ADA@Example.COM>"], ['"Lovelace, Ada" <ada@example.com>'], True),
        (["bob@example.com", "ADA@example.com"], ["bob@example.com", OURS], True),
        (["bob@example.com"], ["bob@example.com", OURS], False),
        ([], ["bob@example.com", OURS], False),
        ([], [OURS], True),
        # A mail server that forwards names another address (RFC 3464, 2.3.2).
        (["ada@elsewhere.example"], [OURS], True),
        (["ada@elsewhere.example"], [OURS, "bob@example.com"], False),
    ],
)
@pytest.mark.parametrize("kind", ["Bounce", "Complaint"])
def test_an_event_is_about_the_recipients_that_it_names(sent, kind, named, destination, is_ours):  # noqa: F811
    recipients = [{"emailAddress": address} for address in named]
    raw = (
        bounce(sent, bouncedRecipients=recipients)
        if kind == "Bounce"
        else complaint(sent, complainedRecipients=recipients)
    )
    raw["mail"]["destination"] = destination

    after = told(raw)

    assert is_suppressed() == is_ours
    assert (after.delivery_status != Delivery.NONE) == is_ours
    assert not Suppression.objects.exclude(address=OURS).exists()


def test_of_several_recipients_each_has_its_own_answer(sent):  # noqa: F811
    others = {"emailAddress": "bob@example.com", "status": "4.2.2", "diagnosticCode": "smtp; 452"}
    own = {"emailAddress": "Ada@Example.com", "status": "5.1.1", "diagnosticCode": "smtp; 550 gone"}

    after = told(bounce(sent, bouncedRecipients=[others, own]))

    assert (after.delivery_code, after.delivery_reason) == ("5.1.1", "smtp; 550 gone")


def test_an_odd_event_is_shown(sent, admin_client):  # noqa: F811
    raw = complaint(sent, userAgent="a\0b\x1b", complaintFeedbackType="a\x1b\u2028b")
    raw["mail"]["headers"] = DEEP
    told(raw)
    event = DeliveryEvent.objects.get(type="Complaint")

    page = admin_client.get(reverse("admin:emails_deliveryevent_change", args=[event.pk]))
    listed = admin_client.get(reverse("admin:emails_deliveryevent_changelist"))

    assert (page.status_code, listed.status_code) == (200, 200)
    assert "\x1b" not in listed.content.decode()
