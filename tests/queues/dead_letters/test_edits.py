from __future__ import annotations

import json
import uuid

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.urls import reverse

from emails.models import Notification
from queues.dead_letters import collecting, edits
from queues.errors import Uncorrectable
from queues.models import DeadLetter, OutboxEvent, Redrive
from queues.redrives import jobs
from tests.support.dead_letters import make_dead_letter, placed, staff
from tests.support.owed import notification_of, only

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"
TEMPLATE = "order_confirmation"


def address(letter):
    return reverse("admin:queues_deadletter_edit", args=[letter.pk])


def broken(**fields):
    """A letter whose address is no address."""
    return make_dead_letter(placed(email="ada at example.com"), code="BadData", **fields)


def fixed(letter, *, email="ada@example.com", **changes):
    data = json.loads(letter.body)["data"]
    return data | {"customer": {"name": "Ada", "email": email}} | changes


def post(client, letter, data, *, button="save", **fields):
    seen = client.get(address(letter)).context["form"].initial["seen"]
    content = data if isinstance(data, str) else json.dumps(data)
    form = {"content": content, "seen": seen, "key": str(uuid.uuid4()), button: "yes"}
    return client.post(address(letter), form | fields)


def said(response):
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def owed_in(event, state, **fields):
    notification = notification_of(event, TEMPLATE, event.data["customer"]["email"])
    Notification.objects.filter(pk=notification.pk).update(state=state, **fields)
    return notification


def test_a_fixed_letter_is_saved_redriven_and_keeps_its_original(admin_client):
    letter = broken()
    original = letter.body

    response = post(admin_client, letter, fixed(letter), reason="the customer rang")

    letter.refresh_from_db()
    redrive = Redrive.objects.get()
    assert response.url == reverse("admin:queues_redrive_change", args=[redrive.pk])
    assert [item.letter_id for item in redrive.items.all()] == [letter.pk]
    assert letter.original_body == original
    assert json.loads(letter.body)["id"] == json.loads(original)["id"]
    assert json.loads(letter.body)["data"]["customer"]["email"] == "ada@example.com"
    assert (letter.customer > "", letter.currency) == (True, "USD")


def test_a_name_that_stands_twice_is_told_with_its_path(admin_client):
    letter = broken()
    content = (
        json.dumps(fixed(letter))[:-1] + ',"customer":{"name":"Bob","email":"bob@example.net"}}'
    )

    response = post(admin_client, letter, content)

    letter.refresh_from_db()
    assert "customer stands twice" in response.text
    assert "bob@example.net" not in letter.body
    assert not Redrive.objects.exists()


@pytest.mark.parametrize("char", ["\ufffe", "\uffff"])
def test_a_character_that_sqs_refuses_is_told_with_its_field(admin_client, char):
    letter = broken()
    changed = fixed(letter)
    changed["shipping_address"] |= {"name": f"Ada{char}"}

    response = post(admin_client, letter, changed)

    letter.refresh_from_db()
    assert "shipping_address.name" in response.text
    assert letter.state == DeadLetter.State.OPEN


def test_the_log_says_who_and_which_fields_and_no_values(admin_client, admin_user):
    letter = broken()

    post(admin_client, letter, fixed(letter), reason="the customer rang")

    entry = LogEntry.objects.get(object_id=str(letter.pk))
    assert entry.user == admin_user
    assert "customer.email" in entry.change_message
    assert "the customer rang" in entry.change_message
    assert "example.com" not in entry.change_message


def test_a_fixed_letter_ends_in_an_email(admin_client, aws, consume):
    letter = broken()
    post(admin_client, letter, fixed(letter))

    while jobs.advance():
        pass
    consume("orders")

    [mail] = aws.accepted
    assert "ada@example.com" in mail.destinations
    assert only().state == Notification.State.SENT


def test_what_does_not_fit_is_refused_and_each_field_is_named(admin_client):
    letter = broken()

    response = post(admin_client, letter, fixed(letter, total_cents="much", currency="XXX"))

    page = response.content.decode()
    letter.refresh_from_db()
    assert "total_cents:" in page
    assert "currency:" in page
    assert letter.original_body == ""
    assert not Redrive.objects.exists()


@pytest.mark.parametrize(
    "content",
    ["", "x", "[]", "null", "[" * 100_000, '{"a": NaN}', '{"a": "\\u0000"}', '{"a": "\\ud800"}'],
)
def test_hostile_content_changes_nothing(admin_client, content):
    letter = broken()
    before = letter.body

    response = post(admin_client, letter, content)

    letter.refresh_from_db()
    assert response.status_code == 200
    assert letter.body == before


def test_content_that_is_too_large_changes_nothing(admin_client):
    letter = broken()

    response = post(admin_client, letter, fixed(letter, padding="x" * 70_000))

    assert "the limit is 65536" in response.content.decode()
    assert not Redrive.objects.exists()


def test_markup_in_the_content_is_shown_escaped(admin_client):
    letter = broken()

    response = post(admin_client, letter, fixed(letter, order_number=HOSTILE), button="preview")

    assert HOSTILE not in response.content.decode()


def test_the_preview_shows_the_email_and_saves_nothing(admin_client, aws):
    letter = broken()
    before = letter.body

    response = post(admin_client, letter, fixed(letter), button="preview")

    letter.refresh_from_db()
    [preview] = response.context["shown"]
    assert preview.title == f"{TEMPLATE} to ada@example.com"
    assert "Ada" in preview.html
    told = "The data fits. 1 email to ada@example.com will be sent."
    assert response.context["checked"] == told
    # The browser moves to what the form's address names.
    html = response.content.decode()
    assert 'action="#checked"' in html
    assert html.index('id="checked"') < html.index(told) < html.index("<iframe")
    assert letter.body == before
    assert not Notification.objects.exists()
    assert aws.accepted == []


def test_errors_are_where_the_browser_moves_to(admin_client):
    letter = make_dead_letter()

    html = post(admin_client, letter, {"order_number": 1}, button="preview").content.decode()

    assert 'id="checked" tabindex="-1" role="alert"' in html
    assert "The data does not fit. Nothing was saved." in html


def test_without_a_change_there_is_nothing_to_save(admin_client):
    letter = make_dead_letter()

    response = post(admin_client, letter, json.loads(letter.body)["data"])

    assert "You changed nothing." in response.content.decode()


@pytest.mark.parametrize("state", ["sent", "sending", "in_doubt", "cancelled"])
def test_an_email_that_is_or_may_be_sent_forbids_the_edit(admin_client, state):
    event = placed()
    owed_in(event, state)
    letter = make_dead_letter(event)

    for response in (admin_client.get(address(letter)), admin_client.post(address(letter))):
        assert response.url == reverse("admin:queues_deadletter_change", args=[letter.pk])
        assert said(response)


def test_an_email_sent_between_the_look_and_the_save_forbids_the_edit():
    event = placed()
    notification = owed_in(event, "pending")
    letter = make_dead_letter(event)
    draft = edits.draft(letter, fixed(letter, email="bob@example.com"))
    Notification.objects.filter(pk=notification.pk).update(state="sent")

    with pytest.raises(Uncorrectable, match="already sent, so its data cannot change"):
        edits.save(draft)

    letter.refresh_from_db()
    assert letter.original_body == ""


@pytest.mark.parametrize("state", ["pending", "failed"])
def test_an_email_to_the_same_address_says_what_the_letter_says_now(
    admin_client, aws, consume, state
):
    event = placed()
    owed_in(event, state, reason_code="RenderError")
    letter = make_dead_letter(event)

    post(admin_client, letter, fixed(letter, order_number="ORD-999999"))
    while jobs.advance():
        pass
    consume("orders")

    notification = only()
    assert notification.context["order_number"] == "ORD-999999"
    assert notification.state == Notification.State.SENT
    assert "ORD-999999" in str(aws.accepted[0].raw_data)


def test_an_email_to_another_address_replaces_the_one_that_was_owed(admin_client, aws, consume):
    event = placed(email="ada@exmaple.com")
    owed_in(event, "pending")
    letter = make_dead_letter(event)

    post(admin_client, letter, fixed(letter))
    while jobs.advance():
        pass
    consume("orders")

    states = dict(Notification.objects.values_list("recipient", "state"))
    assert states == {"ada@exmaple.com": "cancelled", "ada@example.com": "sent"}
    assert Notification.objects.get(state="cancelled").reason_code == "Corrected"
    assert len(aws.accepted) == 1


def test_an_address_that_is_edited_back_is_owed_again():
    event = placed(email="ada@example.com")
    owed_in(event, "pending")
    letter = make_dead_letter(event)

    edits.save(edits.draft(letter, fixed(letter, email="bob@example.com")))
    letter.refresh_from_db()
    edits.save(edits.draft(letter, fixed(letter, email="ada@example.com")))

    assert only().state == Notification.State.PENDING


def test_the_first_body_stays_the_original():
    letter = broken()
    first = letter.body

    for email in ("bob@example.com", "ada@example.com"):
        letter.refresh_from_db()
        edits.save(edits.draft(letter, fixed(letter, email=email)))

    letter.refresh_from_db()
    assert letter.original_body == first


def test_two_who_edit_the_same_letter_do_not_overwrite_each_other():
    letter = broken()
    drafts = [
        edits.draft(letter, fixed(letter, email=email))
        for email in ("ada@example.com", "bob@example.com")
    ]
    edits.save(drafts[0])

    with pytest.raises(Uncorrectable, match="Somebody else"):
        edits.save(drafts[1])


def test_a_form_made_from_an_older_body_is_refused(admin_client):
    letter = broken()

    response = post(admin_client, letter, fixed(letter), seen="older")

    assert "Somebody else has edited this dead letter." in response.content.decode()


def test_a_double_click_saves_and_redrives_once(admin_client):
    letter = broken()
    seen = admin_client.get(address(letter)).context["form"].initial["seen"]
    form = {
        "content": json.dumps(fixed(letter)),
        "seen": seen,
        "key": str(uuid.uuid4()),
        "save": "yes",
    }

    first, second = (admin_client.post(address(letter), form) for _ in range(2))

    assert first.url == second.url
    assert Redrive.objects.count() == 1
    assert LogEntry.objects.filter(object_id=str(letter.pk)).count() == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": "redriven"}, "only open ones"),
        ({"queue": "ses-events"}, "are not events"),
        ({"body": "not JSON"}, "not JSON"),
        ({"body": "[" * 100_000}, "not JSON"),
        ({"body": '{"type": "order.placed.v1"}'}, "more than the data is wrong"),
    ],
)
def test_what_cannot_be_edited_says_why(admin_client, fields, words):
    letter = make_dead_letter(**fields)

    response = admin_client.get(address(letter))

    assert words in said(response)


def test_a_type_that_nobody_knows_cannot_be_edited():
    letter = make_dead_letter(placed().model_copy(update={"type": "nobody.knows.v1"}))

    assert "unknown event type" in edits.objection(letter)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (["redrive_deadletter", "discard_deadletter", "view_pii"], 403),
        (["edit_deadletter"], 403),
        (["edit_deadletter", "view_pii"], 200),
    ],
)
def test_editing_takes_its_own_permission_and_that_to_see_personal_data(client, held, expected):
    letter = broken()
    client.force_login(staff("view_deadletter", *held))

    got = client.get(address(letter))
    posted = client.post(address(letter), {"content": "{}", "seen": "x", "save": "yes"})

    assert (got.status_code, posted.status_code) == (expected, expected)


def test_the_letters_page_shows_the_body_before_it_was_edited(admin_client):
    letter = broken()
    page = reverse("admin:queues_deadletter_change", args=[letter.pk])
    before = admin_client.get(page).content.decode()

    edits.save(edits.draft(letter, fixed(letter)))
    after = admin_client.get(page).content.decode()

    assert "Body before it was edited" not in before
    assert "Body before it was edited" in after
    assert "ada at example.com" in after


def test_the_letters_page_shows_every_attempt_of_its_email(admin_client, refuses, consume):
    event = placed()
    OutboxEvent.objects.create(
        event_id=event.id,
        type=event.type,
        subject=event.subject,
        queue="orders",
        body=event.to_json(),
        available_at="2020-01-01T00:00Z",
    )
    refuses("MessageRejected", "Illegal address")
    for _ in range(4):
        consume("orders")
    collecting.collect("orders")
    letter = DeadLetter.objects.get()

    page = admin_client.get(
        reverse("admin:queues_deadletter_change", args=[letter.pk])
    ).content.decode()

    assert f"Attempts to send {TEMPLATE}" in page
    assert "MessageRejected Illegal address" in page
