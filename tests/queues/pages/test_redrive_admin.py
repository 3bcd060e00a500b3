from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db.models.functions import Now
from django.urls import reverse

from queues.consumer import pausing
from queues.models import DeadLetter, Redrive, RedriveItem
from queues.redrives import jobs
from queues.redrives.leases import Lease
from tests.support.lanterns import handle_all, make_dead_letter, make_dead_letters, outcomes, start
from tests.support.rows import staff

pytestmark = pytest.mark.django_db

LIST = reverse("admin:queues_redrive_changelist")
HOSTILE = "<script>alert(1)</script>"


def page(redrive: Redrive) -> str:
    return reverse("admin:queues_redrive_change", args=[redrive.pk])


def progress(redrive: Redrive) -> str:
    return reverse("admin:queues_redrive_progress", args=[redrive.pk])


def stop(client: Any, redrive: Redrive) -> Any:
    return client.post(
        LIST, {"action": "stop", "_selected_action": [str(redrive.pk)], "from_row": "1"}
    )


def settle(item: RedriveItem, outcome: str, **fields: Any) -> None:
    RedriveItem.objects.filter(pk=item.pk).update(outcome=outcome, **fields)


def test_the_page_says_how_far_it_is_and_asks_for_more_while_it_runs(admin_client):
    make_dead_letters(3)
    redrive = start()
    jobs.advance()

    response = admin_client.get(page(redrive))

    html = response.content.decode()
    assert {figure["outcome"]: figure["count"] for figure in response.context["figures"]} == {
        "pending": 1,
        "waiting": 2,
    }
    assert f'data-refresh="{progress(redrive)}"' in html
    assert "Canary, step 1 of 4: no more than 1 dead letter" in html


def test_the_same_page_is_the_record_afterwards(admin_client):
    make_dead_letters(1)
    redrive = start(reason="the wicks are dry")
    jobs.advance()
    handle_all()
    jobs.advance()

    html = admin_client.get(page(redrive)).content.decode()

    assert "data-refresh" not in html
    assert "The outcome of every dead letter is known" in html
    assert "the wicks are dry" in html


def test_letters_that_came_back_are_first_and_lead_to_their_new_dead_letter(admin_client):
    letters = make_dead_letters(3)
    redrive = start()
    again = make_dead_letter(event_id=letters[2].event_id)
    DeadLetter.objects.filter(pk=letters[2].pk).update(state="redriven")
    settle(redrive.items.get(letter=letters[2]), "returned", detail="Wet: still wet")

    html = admin_client.get(page(redrive)).content.decode()

    assert html.index("Wet: still wet") < html.index("L-1")
    assert reverse("admin:queues_deadletter_change", args=[again.pk]) in html


def test_a_reader_who_may_not_see_dead_letters_gets_no_link_to_them(client):
    [letter] = make_dead_letters(1)
    redrive = start()
    client.force_login(staff("view_redrive"))

    html = client.get(page(redrive)).content.decode()

    assert "L-1" in html
    assert reverse("admin:queues_deadletter_change", args=[letter.pk]) not in html


def test_a_halted_redrive_says_why(admin_client):
    make_dead_letters(2)
    redrive = start()
    Redrive.objects.update(state="halted", why=f"Wet: {HOSTILE}")

    html = admin_client.get(page(redrive)).content.decode()

    assert "It stopped by itself, because a failure came back." in html
    assert "Wet: &lt;script&gt;" in html
    assert HOSTILE not in html


def test_what_fails_since_it_was_sent_back_is_not_called_pending(admin_client):
    make_dead_letters(2)
    redrive = start()
    settle(redrive.items.all()[0], "pending", detail="Wet: still wet", fingerprint="f")

    response = admin_client.get(progress(redrive))

    assert {figure["outcome"]: figure["count"] for figure in response.context["figures"]} == {
        "failing": 1,
        "waiting": 1,
    }
    assert "Failing" in response.content.decode()


def test_the_end_says_what_happened_and_what_is_left_to_do(admin_client):
    make_dead_letters(4)
    redrive = start(canary=False)
    for item, outcome in zip(
        redrive.items.all(), ["accepted", "handled", "returned", "bounced"], strict=True
    ):
        settle(item, outcome)
    jobs.advance()

    html = admin_client.get(page(redrive)).content.decode()

    assert 'data-told="Done. 2 of 4 succeeded.' in html
    assert (
        "The outcome of every dead letter is known. 2 of 4 succeeded. 1 dead letter failed again: fix the cause, then"
        in html
    )
    assert "1 bounced: the address must be corrected." in html


def test_a_redrive_that_nobody_carries_on_says_so(admin_client):
    make_dead_letters(1)
    redrive = start()
    Redrive.objects.update(next_at=Now() - timedelta(minutes=1))

    assert (
        "Start consume_queue, and it continues."
        in admin_client.get(progress(redrive)).content.decode()
    )


def test_a_redrive_whose_consumer_was_killed_says_when_it_goes_on(admin_client):
    make_dead_letters(1)
    redrive = start()
    Lease.take(redrive.pk)
    words = "another one takes over within 10 seconds"
    assert words not in admin_client.get(progress(redrive)).content.decode()

    Redrive.objects.update(next_at=Now() + timedelta(seconds=5))

    assert words in admin_client.get(progress(redrive)).content.decode()


def test_a_redrive_whose_queue_is_paused_says_why_nothing_comes_back(admin_client):
    make_dead_letters(1)
    redrive = start()
    pausing.pause("orders", by="ann", reason="wrong prices")

    html = admin_client.get(progress(redrive)).content.decode()

    assert "Consumers receive nothing from orders (paused by ann: wrong prices) now." in html


def test_stop_is_posted_once_and_leaves_one_entry_in_the_log(admin_client):
    make_dead_letters(2)
    redrive = start()

    first, second = stop(admin_client, redrive), stop(admin_client, redrive)

    redrive.refresh_from_db()
    assert first.url == second.url == page(redrive)
    assert redrive.state == Redrive.State.STOPPED
    assert outcomes(redrive) == {"skipped": 2}
    assert LogEntry.objects.get().change_message == "Stopped."


@pytest.mark.parametrize("held", ["view_redrive", "redrive_deadletter", "discard_deadletter"])
def test_stop_takes_the_permission_to_redrive_and_a_post(client, held):
    make_dead_letters(1)
    redrive = start()
    client.force_login(staff("view_redrive", held))

    client.get(LIST, {"action": "stop", "_selected_action": str(redrive.pk)})
    redrive.refresh_from_db()
    assert redrive.state == Redrive.State.RUNNING

    response = stop(client, redrive)
    redrive.refresh_from_db()
    allowed = held == "redrive_deadletter"
    assert response.status_code == (302 if allowed else 403)
    assert (redrive.state == Redrive.State.STOPPED) == allowed
    assert LogEntry.objects.count() == allowed


def test_the_button_is_shown_only_to_those_who_may_and_while_it_runs(client):
    make_dead_letters(1)
    redrive = start()
    client.force_login(staff("view_redrive"))
    assert 'value="stop"' not in client.get(page(redrive)).content.decode()

    client.force_login(staff("view_redrive", "redrive_deadletter"))
    assert 'value="stop"' in client.get(page(redrive)).content.decode()
    jobs.stop(redrive)
    assert 'value="stop"' not in client.get(page(redrive)).content.decode()


def test_the_pages_take_the_permission_to_view_redrives(client):
    make_dead_letters(1)
    redrive = start()
    client.force_login(staff("view_deadletter", "redrive_deadletter"))

    for address in (LIST, page(redrive), progress(redrive)):
        assert client.get(address).status_code == 403


def test_looking_changes_nothing(admin_client):
    make_dead_letters(2)
    redrive = start()
    before = list(RedriveItem.objects.values()), Redrive.objects.values().get()

    for address in (LIST, page(redrive), progress(redrive)):
        assert admin_client.get(address).status_code == 200
    posted = admin_client.post(progress(redrive))

    assert posted.status_code == 405
    assert (list(RedriveItem.objects.values()), Redrive.objects.values().get()) == before


def test_nobody_edits_a_redrive(admin_client):
    make_dead_letters(1)
    redrive = start()

    assert admin_client.post(page(redrive), {"reason": "changed"}).status_code == 403


def test_the_page_of_an_unknown_redrive_leads_nowhere(admin_client):
    assert admin_client.get(progress(Redrive(id=uuid.uuid4()))).status_code == 404


def test_pages_cost_the_same_however_many_letters_there_are(
    admin_client, django_assert_max_num_queries
):
    letters = [make_dead_letter().__dict__ for _ in range(1)]
    letters[0].pop("_state")
    DeadLetter.objects.bulk_create(
        DeadLetter(
            **letters[0] | {"id": uuid.uuid4(), "sqs_message_id": str(number), "event_id": None}
        )
        for number in range(9_999)
    )
    redrive = start()
    redrive.items.filter(position__lte=3000).update(outcome="returned")

    with django_assert_max_num_queries(18):
        admin_client.get(page(redrive))
    with django_assert_max_num_queries(11):
        response = admin_client.get(progress(redrive))
    assert redrive.total == 10_000
    assert len(response.context["letters"][0].rows) == 100


def test_the_list_costs_the_same_however_long_it_is(admin_client, django_assert_max_num_queries):
    for number in range(30):
        start([make_dead_letter(number)])

    with django_assert_max_num_queries(16):
        response = admin_client.get(LIST)

    assert response.context["cl"].result_count == 30


def test_the_list_says_how_many_came_through(admin_client):
    make_dead_letters(2)
    redrive = start(canary=False)
    jobs.advance()
    first, last = redrive.items.all()
    settle(first, "accepted")
    settle(last, "returned")

    html = admin_client.get(LIST).content.decode()

    assert "1 of 2" in html
    assert "failed again: 1" in html


def test_a_letter_says_which_redrives_it_was_in(admin_client):
    [letter] = make_dead_letters(1)
    redrive = start(by="ada")

    html = admin_client.get(
        reverse("admin:queues_deadletter_change", args=[letter.pk])
    ).content.decode()

    assert page(redrive) in html
    assert "ada" in html
