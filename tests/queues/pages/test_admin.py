from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone
from moto import mock_aws

from queues.audit.staff_log import PART, parts, shown
from queues.aws import sqs
from queues.models import DeadLetter, HandlingFailure, OutboxEvent
from tests.support.responses import said
from tests.support.rows import staff

pytestmark = pytest.mark.django_db

LETTERS = reverse("admin:queues_deadletter_changelist")
COLLECT = reverse("admin:queues_deadletter_collect")
OUTBOX = reverse("admin:queues_outboxevent_changelist")
HOSTILE = "<script>alert(1)</script>"


def make_dead_letter(**fields: Any) -> DeadLetter:
    defaults = {
        "queue": "orders",
        "sqs_message_id": str(uuid.uuid4()),
        "event_id": uuid.uuid4(),
        "type": "order.placed.v1",
        "subject": "ORD-000001",
        "body": json.dumps({"note": HOSTILE}),
        "code": "MessageRejected",
        "reason": "Email address is not verified.",
        "receive_count": 3,
    }
    return DeadLetter.objects.create(**defaults | fields)


def make_outbox_event(**fields: Any) -> OutboxEvent:
    defaults = {
        "event_id": uuid.uuid4(),
        "type": "order.placed.v1",
        "subject": "ORD-000001",
        "queue": "orders",
        "body": json.dumps({"note": HOSTILE}),
        "available_at": timezone.now(),
        "state": OutboxEvent.State.PUBLISHED,
    }
    return OutboxEvent.objects.create(**defaults | fields)


def act(client: Any, address: str, name: str, *rows: Model, **fields: Any) -> Any:
    keys = [str(row.pk) for row in rows]
    return client.post(address, {"action": name, "_selected_action": keys} | fields)


def change_page(row: Model) -> str:
    return reverse(f"admin:queues_{row._meta.model_name}_change", args=[row.pk])


DISCARD = {"confirmed": "yes", "reason": "a test"}


def test_discard_asks_first_and_changes_nothing(admin_client):
    letter = make_dead_letter()

    response = act(admin_client, LETTERS, "discard", letter)

    letter.refresh_from_db()
    assert "Discard: 1 dead letter" in response.content.decode()
    assert letter.state == DeadLetter.State.OPEN
    assert not LogEntry.objects.exists()


def test_discard_puts_each_letter_into_the_log(admin_client, admin_user):
    letters = [make_dead_letter(), make_dead_letter()]

    response = act(admin_client, LETTERS, "discard", *letters, **DISCARD)

    assert "2 dead letters discarded." in said(response)
    entries = LogEntry.objects.filter(action_flag=PART, content_type__model="deadletter")
    assert {entry.object_id for entry in entries} == {str(letter.pk) for letter in letters}
    assert {entry.change_message for entry in entries} == {"Discarded: a test"}
    assert {entry.user for entry in entries} == {admin_user}


def test_discarding_twice_discards_once(admin_client):
    letter = make_dead_letter()
    act(admin_client, LETTERS, "discard", letter, **DISCARD)

    response = act(admin_client, LETTERS, "discard", letter, **DISCARD)

    assert "1 of 1 unchanged" in said(response)
    assert LogEntry.objects.count() == 1


def test_an_act_on_all_pages_takes_all_that_the_filter_shows(admin_client):
    letters = [make_dead_letter(queue="orders") for _ in range(3)]
    other = make_dead_letter(queue="transactions")

    act(
        admin_client, f"{LETTERS}?queue=orders", "discard", letters[0], select_across="1", **DISCARD
    )

    assert [letter.pk for letter in DeadLetter.objects.open()] == [other.pk]


def test_an_act_on_many_letters_is_done_in_batches_each_with_its_log_entry(
    admin_client, monkeypatch
):
    monkeypatch.setattr("queues.pages.facts.BATCH_SIZE", 2)
    letters = [make_dead_letter() for _ in range(5)]

    act(admin_client, LETTERS, "discard", *letters, **DISCARD)

    assert DeadLetter.objects.open().count() == 0
    [whole] = shown(LogEntry.objects.all())
    assert (whole.object_repr, whole.change_message) == ("5 dead letters", "Discarded: a test")
    assert {part.object_id for part in parts(whole)} == {str(letter.pk) for letter in letters}


def test_discard_wants_a_reason(admin_client):
    letter = make_dead_letter()

    response = act(admin_client, LETTERS, "discard", letter, confirmed="yes", reason=" ")

    letter.refresh_from_db()
    assert "This field is required." in response.content.decode()
    assert letter.state == DeadLetter.State.OPEN


def test_discard_from_the_letters_page_leads_back_to_it(admin_client):
    letter = make_dead_letter()

    response = act(
        admin_client, LETTERS, "discard", letter, confirmed="yes", reason="a test", from_row="1"
    )

    letter.refresh_from_db()
    assert letter.state == DeadLetter.State.DISCARDED
    assert response.url == change_page(letter)
    assert LogEntry.objects.get().change_message == "Discarded: a test"


def test_publish_again_makes_published_events_pending(admin_client):
    events = [make_outbox_event(), make_outbox_event(state=OutboxEvent.State.PENDING)]

    response = act(admin_client, OUTBOX, "publish_again", *events)

    events[0].refresh_from_db()
    assert events[0].state == OutboxEvent.State.PENDING
    assert "1 outbox event queued to be published again." in said(response)
    assert LogEntry.objects.get().object_id == str(events[0].pk)


ACTS = [
    (LETTERS, "discard", "discard_deadletter", make_dead_letter),
    (OUTBOX, "publish_again", "publish_outboxevent", make_outbox_event),
]
VIEWS = ["view_deadletter", "view_outboxevent"]
ALL = [permission for _, _, permission, _ in ACTS]
ALL += ["redrive_deadletter", "collect_deadletter", *VIEWS]


@pytest.mark.parametrize("held", ALL)
@pytest.mark.parametrize(("address", "name", "needed", "make"), ACTS)
def test_an_act_takes_its_own_permission_and_a_post(client, address, name, needed, make, held):
    row = make()
    before = row.state
    client.force_login(staff(*VIEWS, held))
    fields = {"confirmed": "yes", "reason": "because"}

    got = client.get(address, {"action": name, "_selected_action": str(row.pk)} | fields)
    row.refresh_from_db()
    # To the list with an error, or nothing: what may name somebody is no condition for a list.
    assert got.status_code in (302, 400)
    assert row.state == before

    posted = act(client, address, name, row, **fields)
    row.refresh_from_db()
    assert (posted.status_code, row.state != before) == (
        (302, True) if held == needed else (403, False)
    )
    assert LogEntry.objects.count() == (held == needed)


@pytest.mark.parametrize("held", ALL)
def test_collecting_takes_its_own_permission_and_a_post(client, aws, held):
    client.force_login(staff("view_deadletter", held))

    got, posted = client.get(COLLECT), client.post(COLLECT)

    allowed = held == "collect_deadletter"
    assert (got.status_code, posted.status_code) == ((405, 302) if allowed else (403, 403))
    assert LogEntry.objects.count() == allowed


def test_an_act_without_the_right_to_see_its_rows_is_refused(client):
    client.force_login(staff("redrive_deadletter"))

    response = act(client, LETTERS, "redrive", make_dead_letter(), confirmed="yes")

    assert response.status_code == 403
    assert not OutboxEvent.objects.exists()


def test_buttons_are_shown_only_for_acts_that_are_possible(client):
    client.force_login(staff("view_deadletter", "redrive_deadletter"))

    opened = client.get(change_page(make_dead_letter())).content.decode()
    done = client.get(
        change_page(make_dead_letter(state=DeadLetter.State.REDRIVEN))
    ).content.decode()

    assert 'value="redrive"' in opened
    assert 'value="discard"' not in opened
    assert 'value="redrive"' not in done


@pytest.mark.parametrize("make", [make_dead_letter, make_outbox_event])
@pytest.mark.parametrize("page", ["add", "change", "delete"])
def test_nobody_edits_a_fact(admin_client, make, page):
    row = make()
    key = [] if page == "add" else [row.pk]
    address = reverse(f"admin:queues_{row._meta.model_name}_{page}", args=key)

    response = admin_client.post(address, {"subject": "changed", "post": "yes"})

    row.refresh_from_db()
    assert response.status_code == 403
    assert row.subject == "ORD-000001"


def test_collect_now_moves_dead_letters_into_the_database(admin_client, aws):
    dead = sqs.dead_letter_queue("orders")
    dead.send_batch([sqs.Outgoing(key="1", body="not JSON")])

    response = admin_client.post(COLLECT)

    assert "1 new dead letter collected." in said(response)
    assert DeadLetter.objects.get().body == "not JSON"
    assert LogEntry.objects.get().change_message == "Collected 1 new dead letter."


@mock_aws
def test_collect_now_says_which_queue_is_missing_and_what_to_run(admin_client):
    response = admin_client.post(COLLECT)

    assert response.status_code == 302
    assert "SQS did not answer for orders" in said(response)
    assert "manage.py provision" in said(response)


def test_collect_now_leaves_dead_letters_that_belong_to_somebody_else(admin_client, settings):
    settings.DEAD_LETTER_COLLECT = False

    page = admin_client.get(LETTERS)
    response = admin_client.post(COLLECT)

    assert COLLECT not in page.content.decode()
    assert "dead letters stay in SQS" in said(response)
    assert not LogEntry.objects.exists()


def test_open_dead_letters_come_first(admin_client):
    opened = make_dead_letter()
    make_dead_letter(state=DeadLetter.State.REDRIVEN)

    response = admin_client.get(LETTERS)

    assert response.context["cl"].result_list[0] == opened


@pytest.mark.parametrize("body", [json.dumps({"note": HOSTILE}), HOSTILE, "[" * 100_000])
def test_a_body_is_shown_escaped_whatever_it_is(admin_client, body):
    letter = make_dead_letter(body=body, subject=HOSTILE, reason=HOSTILE)

    for address in (change_page(letter), LETTERS):
        response = admin_client.get(address)

        assert response.status_code == 200
        assert HOSTILE not in response.content.decode()


def test_a_letter_shows_what_happened_at_each_receive(admin_client):
    letter = make_dead_letter()
    for count in (1, 2):
        HandlingFailure.objects.create(
            queue="orders",
            sqs_message_id=letter.sqs_message_id,
            receive_count=count,
            code="MessageRejected",
            reason=f"refused the {count}. time",
        )

    page = admin_client.get(change_page(letter)).content.decode()

    assert "refused the 1. time" in page
    assert "refused the 2. time" in page


def test_a_letter_without_recorded_failures_says_so(admin_client):
    page = admin_client.get(change_page(make_dead_letter())).content.decode()

    assert "No failure was recorded: the consumer died with it" in page


@pytest.mark.parametrize("subject", ["", "a/b", "../..", "?x=1#y", "%2F", HOSTILE])
def test_a_foreign_subject_breaks_no_page(admin_client, subject):
    for row in (make_dead_letter(subject=subject), make_outbox_event(subject=subject)):
        assert admin_client.get(change_page(row)).status_code == 200


@pytest.mark.parametrize(
    ("address", "make"), [(LETTERS, make_dead_letter), (OUTBOX, make_outbox_event)]
)
def test_a_list_costs_the_same_however_long_it_is(
    admin_client, django_assert_max_num_queries, address, make
):
    for _ in range(30):
        make()

    with django_assert_max_num_queries(16):
        admin_client.get(address)


@pytest.mark.parametrize(
    ("address", "make"), [(LETTERS, make_dead_letter), (OUTBOX, make_outbox_event)]
)
def test_an_event_id_finds_its_rows(admin_client, address, make):
    row = make()
    make()

    response = admin_client.get(address, {"q": str(row.event_id)})

    assert list(response.context["cl"].result_list) == [row]


def test_late_events_can_be_listed(admin_client):
    late = make_outbox_event(state=OutboxEvent.State.PENDING)
    OutboxEvent.objects.update(recorded_at=timezone.now() - timedelta(minutes=2))
    make_outbox_event(state=OutboxEvent.State.PENDING)

    response = admin_client.get(OUTBOX, {"late": "yes"})

    assert list(response.context["cl"].result_list) == [late]


def test_half_a_surrogate_pair_in_a_body_breaks_no_page(admin_client):
    letter = make_dead_letter(body='{"note": "\\ud800"}')

    assert "\\ud800" in admin_client.get(change_page(letter)).text


@pytest.mark.parametrize("key", ["nope", "", "\0"])
def test_an_act_on_rubbish_keys_is_a_bad_request(admin_client, key):
    response = admin_client.post(LETTERS, {"action": "redrive", "_selected_action": [key]})

    assert response.status_code == 400


def test_a_list_that_counts_no_further_says_so(admin_client, monkeypatch):
    monkeypatch.setattr("queues.pages.facts.MOST_LISTED", 3)
    for _ in range(2):
        make_dead_letter()
    short = admin_client.get(LETTERS).text
    for _ in range(3):
        make_dead_letter()

    long = admin_client.get(LETTERS)

    assert "at most 3 rows" in long.text
    assert "at most" not in short
    assert long.context["cl"].queryset.count() == 5
