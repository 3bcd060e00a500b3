from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from emails.models import Attempt, DeliveryEvent, Notification
from emails.rendering import templates
from queues.console import change_url
from queues.models import DeadLetter, OutboxEvent
from tests.support.rows import make_dead_letter, staff

pytestmark = pytest.mark.django_db

LIST = reverse("admin:emails_notification_changelist")
TEMPLATE = "order_confirmation"
HOSTILE = '"></iframe><script>alert(1)</script>'
State = Notification.State


def make_notification(**fields: Any) -> Notification:
    defaults: dict[str, Any] = {
        "event_id": uuid.uuid4(),
        "event_type": "order.placed.v1",
        "event_source": "/orders",
        "subject": "ORD-000001",
        "template": TEMPLATE,
        "recipient": "ada@example.com",
        "context": templates.sample(TEMPLATE).data,
        "next_at": timezone.now(),
        "state": State.IN_DOUBT,
    }
    return Notification.objects.create(**defaults | fields)


def act(client: Any, name: str, *rows: Notification, **fields: Any) -> Any:
    keys = [str(row.pk) for row in rows]
    return client.post(LIST, {"action": name, "_selected_action": keys} | fields)


def page_of(client: Any, notification: Notification) -> str:
    address = reverse("admin:emails_notification_change", args=[notification.pk])
    response = client.get(address)
    assert response.status_code == 200
    return str(response.content.decode())


def test_a_person_says_that_an_email_in_doubt_was_sent(admin_client, admin_user):
    notification = make_notification()

    response = act(admin_client, "mark_sent", notification, confirmed="yes", reason="she has it")

    notification.refresh_from_db()
    assert notification.state == State.SENT
    assert "1 notification marked as sent." in [
        str(text) for text in get_messages(response.wsgi_request)
    ]
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user) == (str(notification.pk), admin_user)
    assert entry.change_message == "Marked as sent: she has it"


@pytest.mark.parametrize("state", [State.IN_DOUBT, State.FAILED])
def test_sending_again_gives_the_event_another_outbox_row(admin_client, state):
    notification = make_notification(state=state)

    act(admin_client, "send_again", notification, confirmed="yes", reason="she has not got it")

    notification.refresh_from_db()
    assert notification.state == State.PENDING
    assert OutboxEvent.objects.get().event_id == notification.event_id
    assert LogEntry.objects.get().change_message == "Sent again: she has not got it"


@pytest.mark.parametrize("name", ["mark_sent", "send_again"])
def test_an_email_that_was_sent_is_never_touched(admin_client, name):
    notification = make_notification(state=State.SENT)

    act(admin_client, name, notification, confirmed="yes")

    notification.refresh_from_db()
    assert notification.state == State.SENT
    assert not OutboxEvent.objects.exists()
    assert not LogEntry.objects.exists()


def test_a_failed_email_cannot_be_called_sent(admin_client):
    notification = make_notification(state=State.FAILED)

    act(admin_client, "mark_sent", notification, confirmed="yes")

    notification.refresh_from_db()
    assert notification.state == State.FAILED


@pytest.mark.parametrize("state", [State.PENDING, State.FAILED])
def test_an_email_that_was_not_sent_yet_is_cancelled_for_a_reason(admin_client, state):
    notification = make_notification(state=state, reason_code="Refused", reason="as SES said")

    asked = act(admin_client, "cancel", notification)
    unsaid = act(admin_client, "cancel", notification, confirmed="yes")
    notification.refresh_from_db()
    assert (asked.status_code, unsaid.status_code, notification.state) == (200, 200, state)

    act(admin_client, "cancel", notification, confirmed="yes", reason="the order was withdrawn")

    notification.refresh_from_db()
    assert (notification.state, notification.reason) == (State.CANCELLED, "")
    assert LogEntry.objects.get().change_message == "Cancelled: the order was withdrawn"


@pytest.mark.parametrize("state", [State.SENDING, State.SENT, State.IN_DOUBT, State.SUPPRESSED])
def test_what_may_have_gone_already_cannot_be_cancelled(admin_client, state):
    notification = make_notification(state=state)

    act(admin_client, "cancel", notification, confirmed="yes", reason="too late")

    notification.refresh_from_db()
    assert notification.state == state
    assert not LogEntry.objects.exists()


ACTS = {
    "mark_sent": ("mark_sent_notification", State.IN_DOUBT),
    "send_again": ("send_again_notification", State.IN_DOUBT),
    "cancel": ("cancel_notification", State.PENDING),
}
PERMISSIONS = [needed for needed, _ in ACTS.values()]


@pytest.mark.parametrize("held", [*PERMISSIONS, "preview_email", "redrive_deadletter"])
@pytest.mark.parametrize(("name", "needed", "before"), [(name, *ACTS[name]) for name in ACTS])
def test_an_act_takes_its_own_permission_and_a_post(client, name, needed, before, held):
    notification = make_notification(state=before)
    client.force_login(staff("view_notification", held))
    said = {"confirmed": "yes", "reason": "so it is"}

    client.get(LIST, {"action": name, "_selected_action": notification.pk} | said)
    notification.refresh_from_db()
    assert notification.state == before

    posted = act(client, name, notification, **said)
    notification.refresh_from_db()
    assert posted.status_code == (302 if held == needed else 403)
    assert (notification.state != before) == (held == needed)
    assert LogEntry.objects.count() == (held == needed)


@pytest.mark.parametrize("page", ["add", "change", "delete"])
def test_nobody_edits_a_notification(admin_client, page):
    key = [] if page == "add" else [make_notification().pk]

    address = reverse(f"admin:emails_notification_{page}", args=key)

    assert admin_client.post(address, {"post": "yes"}).status_code == 403


def test_a_notification_shows_its_attempts_and_what_ses_reported(admin_client):
    notification = make_notification(state=State.SENT, provider_message_id="ses-2")
    Attempt.objects.create(
        notification=notification, number=1, started_at=timezone.now(), error="lost the answer"
    )
    DeliveryEvent.objects.create(
        provider_message_id="ses-2", type="Complaint", happened_at=timezone.now(), raw={}
    )

    page = page_of(admin_client, notification)

    assert "lost the answer" in page
    assert "Complaint" in page


def test_a_notification_leads_to_its_order_its_event_and_its_dead_letter(admin_client):
    notification = make_notification()
    shared = {"event_id": notification.event_id, "queue": "orders", "body": "{}"}
    event = OutboxEvent.objects.create(available_at=timezone.now(), **shared)
    letter = DeadLetter.objects.create(sqs_message_id="m", **shared)

    page = page_of(admin_client, notification)

    assert reverse("subject", args=["ORD-000001"]) in page
    assert reverse("admin:queues_outboxevent_change", args=[event.pk]) in page
    assert "queues/deadletter/" in page
    assert reverse("admin:queues_deadletter_change", args=[letter.pk]) in page


def test_what_the_reader_may_not_see_is_left_out(client):
    notification = make_notification()
    DeadLetter.objects.create(
        sqs_message_id="m", event_id=notification.event_id, queue="orders", body="{}"
    )
    client.force_login(staff("view_notification"))

    page = page_of(client, notification)

    assert "Dead letters of this event" not in page


def test_the_email_is_shown_in_a_sandbox_without_rights(admin_client):
    context = dict(templates.sample(TEMPLATE).data) | {"order_number": HOSTILE}

    page = page_of(admin_client, make_notification(context=context, recipient="x@example.com"))

    assert 'sandbox=""' in page
    assert "<script>alert(1)" not in page


def test_an_email_that_cannot_be_rendered_says_why(admin_client):
    page = page_of(admin_client, make_notification(context={}))

    assert "This email cannot be rendered" in page


@pytest.mark.parametrize("state", State.values)
@pytest.mark.parametrize("delivery", Notification.Delivery.values)
def test_every_state_has_words(admin_client, state, delivery):
    notification = make_notification(state=state, delivery_status=delivery, reason="<b>why</b>")

    assert "&lt;b&gt;why&lt;/b&gt;" in page_of(admin_client, notification)


@pytest.mark.parametrize("field", ["recipient", "subject", "event_id", "provider_message_id"])
def test_one_search_finds_the_email(admin_client, field):
    notification = make_notification(
        recipient="grace@example.org", subject="TXN-000009", provider_message_id="0100-abc"
    )
    make_notification()

    response = admin_client.get(LIST, {"q": str(getattr(notification, field))})

    assert list(response.context["cl"].result_list) == [notification]


def test_a_list_costs_the_same_however_long_it_is(admin_client, django_assert_max_num_queries):
    for _ in range(30):
        make_notification()

    with django_assert_max_num_queries(13):
        admin_client.get(LIST)


@pytest.mark.parametrize("name", templates.names())
def test_every_template_has_a_preview_light_dark_and_on_a_phone(admin_client, name):
    page = admin_client.get(
        reverse("admin:emails_emailtemplate_change", args=[name])
    ).content.decode()

    assert page.count('sandbox=""') == 3
    assert "Text part" in page


def test_template_preview_shows_each_language(admin_client):
    address = reverse("admin:emails_emailtemplate_change", args=[TEMPLATE])

    pages = {
        each: admin_client.get(address, {"language": each}).content.decode()
        for each in ("", "ar", "de", "fr", "../x")
    }

    assert '<option value="ar" >Arabic</option>' in pages[""]
    assert "Ihre Bestellung ORD-000123 ist bestätigt" in pages["de"]
    assert "تم تأكيد طلبك" in pages["ar"]
    for each in ("", "fr", "../x"):
        assert "Your order ORD-000123 is confirmed" in pages[each]


def test_the_list_names_every_template_and_partial(admin_client):
    page = admin_client.get(reverse("admin:emails_emailtemplate_changelist")).content.decode()

    for name in (*templates.names(), "partials/layout"):
        assert reverse("admin:emails_emailtemplate_change", args=[name]) in page


def test_an_unknown_template_has_no_preview(admin_client):
    assert (
        admin_client.get(reverse("admin:emails_emailtemplate_change", args=["missing"])).status_code
        == 404
    )


def test_previews_take_a_permission_of_their_own(client):
    client.force_login(staff("view_notification"))
    assert (
        client.get(reverse("admin:emails_emailtemplate_change", args=[TEMPLATE])).status_code == 403
    )

    client.force_login(staff("preview_email"))
    assert (
        client.get(reverse("admin:emails_emailtemplate_change", args=[TEMPLATE])).status_code == 200
    )


def test_data_nested_beyond_reason_breaks_no_page(admin_client):
    nested: list[Any] = []
    for _ in range(800):
        nested = [nested]
    notification = make_notification(context={"extra": nested})

    page = page_of(admin_client, notification)

    # Python 3.12 and later write such a depth all the same.
    assert "nested too deeply" in page or page.count("[") > 800


def test_data_with_half_a_surrogate_pair_breaks_no_page(admin_client):
    notification = make_notification(context={"extra": "\ud800"})

    assert "\\ud800" in page_of(admin_client, notification)


def test_what_cannot_be_sent_again_is_said_and_stays(admin_client):
    notification = make_notification(event_type="order.forgotten.v1", state=State.FAILED)

    response = act(admin_client, "send_again", notification, confirmed="1")

    assert "unknown event type" in str(next(iter(get_messages(response.wsgi_request))))
    notification.refresh_from_db()
    assert notification.state == State.FAILED
    assert not LogEntry.objects.exists()


def test_a_dead_email_leads_to_its_dead_letter_first(admin_client):
    notification = make_notification(state=State.PENDING)
    letter = make_dead_letter(event_id=notification.event_id)

    response = admin_client.get(reverse("admin:emails_notification_change", args=[notification.pk]))

    assert response.context["advised"] == ("Open its dead letter", change_url(letter))
    assert response.context["situation"]["label"] == "Dead letter"
    assert response.context["situation"]["colour"] == "danger"


def test_advice_is_given_to_those_who_may_follow_it(client):
    notification = make_notification(state=State.PENDING)
    make_dead_letter(event_id=notification.event_id)
    client.force_login(staff("view_notification"))

    response = client.get(reverse("admin:emails_notification_change", args=[notification.pk]))

    assert response.context["advised"] is None


def test_a_page_shows_only_the_facts_that_are_known(admin_client):
    page = page_of(admin_client, make_notification(state=State.PENDING))
    assert "Delivered at" not in page
    assert "Clicked at" not in page

    assert "Clicked at" in page_of(admin_client, make_notification(clicked_at=timezone.now()))
