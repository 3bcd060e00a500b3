from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from emails.models import Attempt, Breaker, Notification
from emails.rendering.templates import Rendered
from emails.reports import feedback, trial_steps
from emails.sending import breakers, trials
from queues.consumer import pausing
from queues.models import DeadLetter, OutboxEvent
from tests.support.rows import staff

pytestmark = pytest.mark.django_db

SEND = reverse("admin:emails_identity_test")
TO = "ada@example.com"


@pytest.fixture(autouse=True)
def verified(aws):
    aws.verify(TO)


def send(client: Any, **fields: str) -> UUID:
    response = client.post(SEND, {"recipient": TO} | fields)
    assert response.status_code == 302, response.content
    return UUID(response.url.rstrip("/").rpartition("/")[2])


def page(client: Any, event_id: UUID, *, part: str = "") -> str:
    response = client.get(reverse(f"admin:emails_identity_trial{part}", args=[event_id]))
    assert response.status_code == 200
    return str(response.content.decode())


def states(event_id: UUID) -> list[tuple[str, str]]:
    trial = trial_steps.of(event_id)
    assert trial is not None
    return [(step.name, step.state) for step in trial.steps]


def report(kind: str, **detail: Any) -> None:
    sent = Notification.objects.get()
    mail = {
        "timestamp": timezone.now().isoformat(),
        "messageId": sent.provider_message_id,
        "destination": [TO],
        "tags": {"nid": [str(sent.pk)], "att": ["1"]},
    }
    feedback.take(
        json.dumps(
            {
                "eventType": kind,
                "mail": mail,
                kind.lower(): {"timestamp": timezone.now().isoformat()} | detail,
            }
        )
    )


def test_a_test_goes_the_way_of_all_emails_to_delivered(admin_client, aws, consume):
    event_id = send(admin_client)
    assert states(event_id)[:2] == [("Recorded", "done"), ("Published to the queue", "now")]
    assert "data-refresh" in page(admin_client, event_id)

    consume()
    report("Delivery", smtpResponse="250 2.6.0 Message received")

    assert [state for _, state in states(event_id)] == ["done"] * 5
    shown = page(admin_client, event_id)
    assert "250 2.6.0 Message received" in shown
    assert "data-refresh" not in shown
    [email] = aws.accepted
    assert "Test email from Notifier" in email.raw_data
    entry = LogEntry.objects.get()
    assert (entry.object_id, str(event_id) in entry.change_message) == ("shop@example.com", True)


@pytest.mark.parametrize(
    ("kind", "detail", "title", "words"),
    [
        (
            "Bounce",
            {
                "bounceType": "Permanent",
                "bouncedRecipients": [{"emailAddress": TO, "diagnosticCode": "550 no such user"}],
            },
            "Hard bounce",
            "550 no such user",
        ),
        ("Complaint", {"complaintFeedbackType": "abuse"}, "Marked as spam", "abuse"),
        ("Reject", {"reason": "Bad content"}, "Rejected by SES", "Bad content"),
    ],
)
def test_bad_news_end_it(admin_client, consume, kind, detail, title, words):
    event_id = send(admin_client)
    consume()

    report(kind, **detail)

    assert states(event_id)[-1] == (title, "wrong")
    shown = page(admin_client, event_id)
    assert "data-refresh" not in shown
    assert words in shown


def test_a_refused_test_is_given_up_with_the_words_of_ses(admin_client, consume, refuses):
    refuses("MessageRejected", f"Email address is not verified: {TO}")

    event_id = send(admin_client)
    consume()

    assert states(event_id)[-1] == ("Not sent", "wrong")
    assert "MessageRejected: Email address is not verified" in page(admin_client, event_id)
    assert Notification.objects.get().state == "cancelled"
    assert Attempt.objects.get().outcome == "refused"
    assert OutboxEvent.objects.get().state == "handled"
    assert not DeadLetter.objects.exists()


def test_throttling_ends_no_test(admin_client, consume, refuses):
    refuses("Throttling", "Maximum sending rate exceeded.", times=1)

    event_id = send(admin_client)
    consume()

    assert states(event_id)[3] == ("Accepted by SES", "done")


def test_a_lost_answer_leaves_a_test_in_doubt(admin_client, consume, refuses):
    refuses("InternalFailure", "oops", status=500)

    event_id = send(admin_client)
    consume()

    assert Notification.objects.get().state == "in_doubt"
    assert "In doubt: SES may have accepted it." in page(admin_client, event_id)


def test_a_test_may_be_sent_from_another_verified_address(admin_client, aws, consume):
    aws.verify("other@example.org")

    send(admin_client, sender="other@example.org")
    consume()

    assert [email.source for email in aws.accepted] == ["other@example.org"]


def test_a_test_from_what_is_not_verified_is_not_recorded(admin_client):
    response = admin_client.post(SEND, {"recipient": TO, "sender": "nobody@example.net"})

    [message] = get_messages(response.wsgi_request)
    assert "SES has verified neither nobody@example.net nor its domain" in str(message)
    assert not OutboxEvent.objects.exists()


def test_a_sender_of_its_own_never_stops_the_sending_of_others(aws, consume, refuses):
    aws.verify("other@example.org")
    refuses("AccessDenied", "not authorized to send from other@example.org")

    trials.request(TO, sender="other@example.org", by="grace")
    consume()

    assert Notification.objects.get().state == "cancelled"
    assert not Breaker.objects.filter(is_open=True).exists()


@pytest.mark.parametrize("recipient", ["", "nobody", "a@b@c", "a@b.c\nBcc: d@e.f", "x" * 300])
def test_rubbish_is_refused(admin_client, recipient):
    response = admin_client.post(SEND, {"recipient": recipient})

    assert response.status_code == 302
    assert list(get_messages(response.wsgi_request))
    assert not OutboxEvent.objects.exists()


def published(event_id: UUID, **ago: float) -> None:
    past = timezone.now() - timedelta(**(ago or {"seconds": 30}))
    OutboxEvent.objects.filter(event_id=event_id).update(
        state="published", recorded_at=past, published_at=past
    )


def test_without_a_consumer_the_page_says_so(admin_client):
    event_id = send(admin_client)
    published(event_id)

    shown = page(admin_client, event_id, part="_progress")

    assert "No consumer reads the queue orders. Run manage.py consume_queue." in shown
    assert "<html" not in shown


def test_a_pause_is_named(admin_client):
    pausing.pause("orders", by="grace", reason="stock-taking")
    event_id = send(admin_client)
    published(event_id)

    assert "grace paused the queue orders: stock-taking" in page(admin_client, event_id)


def test_an_open_breaker_is_named(admin_client):
    breakers.trip("quota", code="Throttling", reason="Daily message quota exceeded.")
    event_id = send(admin_client)
    published(event_id)

    assert "Sending has stopped (quota): Daily message" in page(admin_client, event_id)


def test_nobody_is_left_waiting_for_reports_that_never_come(admin_client, consume, settings):
    settings.QUEUES = {name: it for name, it in settings.QUEUES.items() if name != "ses-events"}
    event_id = send(admin_client)
    consume()

    shown = page(admin_client, event_id)

    assert "SES_EVENTS_TOPIC are not set" in shown
    assert "data-refresh" not in shown


def test_an_old_test_is_followed_no_more(admin_client):
    event_id = send(admin_client)
    published(event_id, minutes=20)

    assert "data-refresh" not in page(admin_client, event_id)


def test_only_tests_have_this_page(admin_client):
    assert (
        admin_client.get(reverse("admin:emails_identity_trial", args=[uuid4()])).status_code == 404
    )


def test_who_must_not_know_addresses_sees_them_masked(client, consume):
    user = staff("send_test_email", "view_identity")
    client.force_login(user)
    event_id = send(client)
    consume()

    shown = page(client, event_id)

    assert TO not in shown
    assert "a***@e***.com" in shown
    user.user_permissions.remove(Permission.objects.get(codename="send_test_email"))
    client.force_login(type(user).objects.get(pk=user.pk))
    for part in ("", "_progress"):
        address = reverse(f"admin:emails_identity_trial{part}", args=[event_id])
        assert client.get(address).status_code == 403


def test_the_page_costs_a_handful_of_queries(admin_client, consume, django_assert_max_num_queries):
    event_id = send(admin_client)
    consume()

    with django_assert_max_num_queries(10):
        page(admin_client, event_id, part="_progress")


def test_a_text_that_the_console_did_not_sign_for_its_recipient_is_not_sent() -> None:
    email = Rendered("s", "<p>h</p>", "t")
    event_id = trials.request("ada@example.com", by="ada", draft=email)
    context = json.loads(OutboxEvent.objects.get(event_id=event_id).body)["data"]
    mine = Notification(event_type=trials.TYPE, recipient="ada@example.com", context=context)
    assert subject_of(mine) == "[Draft] s"

    for recipient, changed in (
        ("bob@example.com", {}),
        ("ada@example.com", {"draft": "x" + context["draft"]}),
    ):
        row = Notification(event_type=trials.TYPE, recipient=recipient, context=context | changed)
        assert subject_of(row) is None


def subject_of(notification: Notification) -> str | None:
    email = trials.draft_of(notification)
    return email.subject if email else None
