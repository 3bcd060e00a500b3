import json
import uuid
from datetime import timedelta

import pytest
from django.db import transaction
from django.urls import resolve
from django.utils import timezone

from emails.models import Notification, Suppression
from emails.models.reputation import Incident
from emails.reports import feedback, ses_events
from emails.reputation import support
from notifier.alerts import concerns
from queues.models import OutboxEvent
from queues.models.live import Duty
from tests.emails.reports.test_feedback import ses_event
from tests.support.builders import make_order, make_transaction
from tests.support.rows import make_notification

pytestmark = pytest.mark.django_db

SUPPORT = "help@example.com"
HARD = {"bounceType": "Permanent", "bounceSubType": "General"}
SOFT = {"bounceType": "Transient", "bounceSubType": "MailboxFull"}


@pytest.fixture(autouse=True)
def told_to(settings):
    settings.SUPPORT_EMAIL = SUPPORT


def came_back(notification, kind="Bounce", **detail):
    detail = detail or (HARD if kind == "Bounce" else {})
    raw = ses_event(kind, notification=notification, message_id=f"ses-{notification.pk}", **detail)
    feedback.record([(ses_events.parsed(raw), raw)])


def sent(recipient="ada@example.com", **fields):
    return make_notification(recipient=recipient, state=Notification.State.SENT, **fields)


def look():
    """Do what a consumer does half a minute later."""
    Duty.objects.filter(pk=support.DUTY).delete()
    return support.tell()


def hour_passes():
    Duty.objects.update(taken_at=timezone.now() - timedelta(hours=1))


def alerts():
    rows = OutboxEvent.objects.filter(type="email.returned.v1").order_by("id")
    return [json.loads(row.body)["data"] for row in rows]


def bodies(aws):
    return [str(email.raw_data) for email in aws.accepted if SUPPORT in str(email.destinations)]


def test_bounced_order_reaches_the_support_with_reason_and_link(aws, consume, client, admin_user):
    order = make_order()
    consume()
    notification = Notification.objects.get()
    came_back(
        notification,
        **HARD,
        bouncedRecipients=[
            {"emailAddress": "ada@example.com", "diagnosticCode": "smtp; 550 5.1.1 user unknown"}
        ],
    )

    assert look() == 1
    consume()

    [body] = bodies(aws)
    assert order.number in body
    assert "550 5.1.1 user unknown" in body
    [told] = alerts()[0]["emails"]
    client.force_login(admin_user)
    path = told["link"].removeprefix("http://testserver")
    assert resolve(path).url_name == "emails_notification_change"
    assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    ("kind", "detail", "words"),
    [
        ("Bounce", HARD, "Hard bounce"),
        ("Bounce", SOFT, "Soft bounce"),
        ("Bounce", HARD | {"bounceSubType": "OnAccountSuppressionList"}, "Not delivered"),
        ("Complaint", {"complaintFeedbackType": "abuse"}, "Marked as spam"),
    ],
)
def test_each_kind_of_bad_news_is_told_in_words(kind, detail, words):
    came_back(sent(), kind, **detail)

    look()

    assert words in alerts()[0]["emails"][0]["what"]


def test_transaction_is_told_and_a_registration_is_not(aws, consume):
    make_transaction()
    consume()
    came_back(Notification.objects.get())
    came_back(sent("x@example.com", event_type="customer.registered.v1"))

    assert look() == 1


def test_events_told_twice_alert_once():
    notification = sent()
    came_back(notification)
    came_back(notification)
    assert look() == 1
    came_back(notification)

    hour_passes()

    assert look() == 0


def test_one_customer_is_told_of_once_an_hour_and_the_rest_is_counted_in_the_next():
    came_back(sent())
    assert look() == 1
    for _ in range(3):
        came_back(sent("Ada@Example.com"))
    assert look() == 0

    hour_passes()

    assert look() == 3
    assert [alert["count"] for alert in alerts()] == [1, 3]


def test_several_customers_share_one_alert():
    for name in "abc":
        came_back(sent(f"{name}@example.com"))

    assert look() == 3
    assert len(alerts()) == 1


def test_of_a_storm_each_alert_takes_a_part_and_nothing_is_left_out():
    for number in range(support.MOST + 5):
        came_back(sent(f"{number}@example.com"))

    assert (look(), look(), look()) == (support.MOST, 5, 0)


def test_storm_of_the_longest_reports_fits_into_a_message():
    said = "smtp; " + "\U0001f4ee\n\x07" * 5000
    for number in range(support.MOST):
        address = f"{number}-{'x' * 50}@{'é' * 180}.example"
        came_back(
            sent(address, subject="\U0001f4ee" * 200),
            **HARD,
            bouncedRecipients=[{"emailAddress": "a@example.com", "diagnosticCode": said}],
        )

    assert look() == support.MOST
    assert "\x07" not in alerts()[0]["emails"][0]["reason"]


def test_many_emails_to_one_customer_are_counted_where_they_are_not_listed():
    for _ in range(support.MOST + 3):
        came_back(sent())

    look()

    [alert] = alerts()
    assert (len(alert["emails"]), alert["more"]) == (support.MOST, 3)


def test_bounced_alert_makes_no_alert_and_the_overview_says_so(aws, consume):
    came_back(sent())
    look()
    consume()
    alert = Notification.objects.get(template="support_alert")

    came_back(alert)
    hour_passes()

    assert look() == 0
    assert Suppression.objects.of([SUPPORT]).exists()
    assert "The support gets no alerts" in {concern.title for concern in concerns.current()}


def test_alert_has_a_name_to_be_found_by_and_is_not_on_the_page_of_the_order(aws, consume):
    came_back(sent(subject="ORD-000001"))

    look()
    consume()

    assert Notification.objects.get(template="support_alert").subject == support.SUBJECT


def test_alert_to_a_suppressed_support_is_not_sent(aws, consume):
    Suppression.objects.create(address=SUPPORT, source="complaint", since=timezone.now())
    came_back(sent())

    look()
    consume()

    assert Notification.objects.get(template="support_alert").state == Notification.State.SUPPRESSED
    assert bodies(aws) == []


def test_soft_bounce_of_what_has_arrived_is_an_answer_by_a_machine():
    came_back(sent(delivered_at=timezone.now()), **SOFT)

    assert look() == 0
    assert not Incident.objects.filter(told_at=None).exists()


def test_crash_before_the_alert_is_committed_loses_and_repeats_nothing():
    came_back(sent())

    with transaction.atomic():
        assert look() == 1
        transaction.set_rollback(True)

    assert (look(), look()) == (1, 0)
    assert len(alerts()) == 1


def test_alert_that_is_handled_twice_is_sent_once(aws, consume):
    came_back(sent())
    look()
    consume()
    OutboxEvent.objects.update(state=OutboxEvent.State.PENDING, deduplication_id=uuid.uuid4())

    consume()

    assert len(bodies(aws)) == 1


def test_without_an_address_nothing_is_noted(settings):
    settings.SUPPORT_EMAIL = ""

    came_back(sent())

    assert not Incident.objects.exists()
    assert look() == 0
