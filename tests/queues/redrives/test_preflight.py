from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from emails.models import Notification
from queues import answers, registry
from queues.answers import Bucket
from queues.consumer import pausing
from queues.events.envelope import EventData
from queues.models import DeadLetter, OutboxEvent, Redrive
from queues.redrives import jobs, preflight, releasing
from tests.support.dead_letters import make_dead_letter, placed, staff
from tests.support.lanterns import advance
from tests.support.owed import notification_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("account")]

START = reverse("admin:queues_redrive_start")
LETTERS = reverse("admin:queues_deadletter_changelist")
HOSTILE_BODIES = ["", "not JSON", "[]", "null", "[" * 100_000, '{"id": "\\ud800"}', '{"a": NaN}']


class WhistleBlown(EventData, type="whistle.blown.v1", queue="orders", source="/tests"):
    """An event that nobody handles."""


def settle(event, state):
    notification = notification_of(event, "order_confirmation", event.data["customer"]["email"])
    notification.state = state
    notification.save()


def sorted_letters():
    forecast = preflight.sort(DeadLetter.objects.all())
    return {str(bucket): len(keys) for bucket, keys in forecast.buckets.items()}


def page(client, letter):
    return client.get(START, {"fingerprint": letter.fingerprint, "state__exact": "open"})


def take(client, letter, *buckets, **fields):
    """Post what the page's form posts."""
    form = {"confirmed": "yes", "key": str(uuid.uuid4())} | {f"take_{b}": "on" for b in buckets}
    return client.post(f"{START}?fingerprint={letter.fingerprint}&state__exact=open", form | fields)


@pytest.mark.parametrize("body", HOSTILE_BODIES)
def test_a_body_that_is_no_event_will_fail_again(body):
    make_dead_letter(body=body or " ")

    assert sorted_letters() == {"fails": 1}


def test_data_that_does_not_fit_will_fail_again():
    make_dead_letter(placed(total_cents=-1))

    assert sorted_letters() == {"fails": 1}


def test_a_type_that_nobody_handles_will_fail_again():
    event = placed().model_copy(update={"type": "whistle.blown.v1", "data": {}})
    make_dead_letter(event)

    assert sorted_letters() == {"fails": 1}


def test_a_queue_that_settings_do_not_name_will_fail_again():
    make_dead_letter(queue="gone")

    assert sorted_letters() == {"fails": 1}


def test_messages_that_are_no_events_of_ours_are_not_ours_to_tell():
    make_dead_letter(queue="ses-events", body="{}")

    assert sorted_letters() == {"untold": 1}


def test_closed_letters_are_not_looked_at():
    make_dead_letter(state=DeadLetter.State.DISCARDED)

    assert sorted_letters() == {}


def test_one_look_takes_the_oldest_and_names_the_rest(monkeypatch):
    monkeypatch.setattr(preflight, "MAX_DEAD_LETTERS", 3)
    letters = [make_dead_letter() for _ in range(5)]

    forecast = preflight.sort(DeadLetter.objects.all())

    keys = [key for keys in forecast.buckets.values() for key in keys]
    assert sorted(keys) == sorted(letter.pk for letter in letters[:3])
    assert (forecast.count, forecast.beyond, forecast.total) == (3, 2, 5)
    assert set(forecast.rest) == set(letters[3:])


def test_a_look_costs_three_queries_for_each_batch(monkeypatch):
    monkeypatch.setattr(preflight, "BATCH_SIZE", 10)
    for _ in range(20):
        make_dead_letter()

    with CaptureQueriesContext(connection) as queries:
        preflight.sort(DeadLetter.objects.all())

    assert len(queries) == 1 + 2 * 3


@pytest.mark.parametrize("size", [1, 40])
def test_the_page_costs_the_same_for_one_letter_and_for_a_batch(admin_client, size):
    letters = [make_dead_letter() for _ in range(size)]
    page(admin_client, letters[0])

    with CaptureQueriesContext(connection) as queries:
        page(admin_client, letters[0])

    assert len(queries) <= 14


def test_the_page_sorts_and_ticks_what_is_worth_it(admin_client):
    for state in ("sent", "cancelled", "in_doubt"):
        event = placed()
        settle(event, state)
        make_dead_letter(event)
    letter = make_dead_letter()
    make_dead_letter(body="not JSON")

    response = page(admin_client, letter)

    form = response.context["form"]
    ticked = {field.label: field.initial for field in form.bucket_fields()}
    assert ticked == {
        "1 will send": True,
        "1 already sent": True,
        "1 cancelled": False,
        "1 in doubt": False,
        "1 will fail again": False,
    }


def test_only_the_buckets_that_were_taken_go_back(admin_client, admin_user):
    cancelled = placed()
    settle(cancelled, "cancelled")
    left, taken = make_dead_letter(cancelled), make_dead_letter()

    response = take(admin_client, taken, "sends", reason="the template is fixed", rate="5")

    redrive = Redrive.objects.get()
    assert response.url == reverse("admin:queues_redrive_change", args=[redrive.pk])
    assert [item.letter_id for item in redrive.items.all()] == [taken.pk]
    assert (redrive.user, redrive.reason, redrive.rate, redrive.is_canary) == (
        admin_user,
        "the template is fixed",
        5,
        False,
    )
    left.refresh_from_db()
    assert left.state == DeadLetter.State.OPEN


def test_what_became_another_bucket_since_the_page_was_shown_stays(admin_client):
    event = placed()
    letter = make_dead_letter(event)
    page(admin_client, letter)
    settle(event, "in_doubt")

    response = take(admin_client, letter, "sends")

    assert "You selected nothing" in response.content.decode()
    assert not Redrive.objects.exists()


def test_parked_letters_are_left_out_unless_they_are_asked_for(admin_client):
    make_dead_letter()
    make_dead_letter(parked_until=timezone.now() + timedelta(hours=1))

    found = [
        admin_client.get(f"{START}{query}").context["forecast"].count
        for query in ("", "?queue=orders", "?parked=no", "?parked=yes")
    ]

    assert found == [1, 1, 1, 1]
    parked = admin_client.get(f"{START}?parked=yes").context["forecast"].buckets
    assert parked != admin_client.get(START).context["forecast"].buckets


def test_the_page_names_the_cause_and_says_that_nothing_is_received(admin_client):
    letter = make_dead_letter()
    page = f"{START}?state__exact=open&fingerprint={letter.fingerprint}"
    before = admin_client.get(page).content.decode()
    pausing.pause("orders", by="ann", reason="wrong prices")

    html = admin_client.get(page).content.decode()

    assert "The template and the data do not match" in before
    assert "Consumers receive nothing" not in before
    assert "Consumers receive nothing from orders (paused by ann: wrong prices) now." in html


def test_a_double_click_starts_one_redrive(admin_client):
    letter = make_dead_letter()
    key = str(uuid.uuid4())

    first, second = (take(admin_client, letter, "sends", key=key) for _ in range(2))

    assert first.url == second.url
    assert Redrive.objects.count() == 1


def test_a_second_click_after_the_letters_have_gone_leads_to_the_redrive_too(admin_client):
    letter = make_dead_letter()
    key = str(uuid.uuid4())
    first = take(admin_client, letter, "sends", key=key)
    DeadLetter.objects.update(state=DeadLetter.State.REDRIVEN)

    assert take(admin_client, letter, "sends", key=key).url == first.url


@pytest.mark.parametrize("key", ["", "x", "\0"])
def test_a_form_without_its_key_starts_nothing(admin_client, key):
    take(admin_client, make_dead_letter(), "sends", key=key)

    assert not Redrive.objects.exists()


@pytest.mark.parametrize("rate", ["0", "-1", "x", "1e9"])
def test_a_senseless_rate_starts_nothing(admin_client, rate):
    response = take(admin_client, make_dead_letter(), "sends", rate=rate)

    assert response.status_code == 200
    assert not Redrive.objects.exists()


@pytest.mark.parametrize(("size", "is_on"), [(10, False), (11, True)])
def test_the_canary_is_on_above_ten(admin_client, size, is_on):
    letters = [make_dead_letter() for _ in range(size)]

    response = page(admin_client, letters[0])

    assert response.context["form"]["canary"].initial is is_on


def test_ticked_letters_keep_their_choice_up_to_the_redrive(admin_client):
    letters = [make_dead_letter() for _ in range(3)]
    keys = [str(letter.pk) for letter in letters[:2]]

    asked = admin_client.post(LETTERS, {"action": "redrive", "_selected_action": keys})
    shown = asked.content.decode()
    admin_client.post(
        asked.context["address"],
        {"letter": keys, "confirmed": "yes", "key": str(uuid.uuid4()), "take_sends": "on"},
    )

    assert all(f'name="letter" value="{key}"' in shown for key in keys)
    assert {str(item.letter_id) for item in Redrive.objects.get().items.all()} == set(keys)


def test_all_pages_of_the_list_are_what_its_filters_show(admin_client):
    letters = [make_dead_letter() for _ in range(3)]
    make_dead_letter(queue="transactions")

    response = admin_client.post(
        f"{LETTERS}?queue=orders",
        {"action": "redrive", "_selected_action": str(letters[0].pk), "select_across": "1"},
    )

    assert response.url == f"{START}?queue=orders"
    assert admin_client.get(response.url).context["forecast"].count == 3


def test_more_than_one_look_can_take_go_in_one_redrive(admin_client, monkeypatch):
    """Each of the rest is forecast before it is sent back; what nobody selected, or would fail, is skipped."""
    monkeypatch.setattr(preflight, "MAX_DEAD_LETTERS", 2)
    sending = [make_dead_letter() for _ in range(4)]
    sent = placed()
    settle(sent, Notification.State.SENT)
    done = make_dead_letter(sent)
    failing = make_dead_letter(body="{}")

    shown = page(admin_client, sending[0]).content.decode()
    take(admin_client, sending[0], "sends", "rest", "sent")
    advance()

    assert "4 more, not forecast yet" in shown
    redrive = Redrive.objects.get()
    assert redrive.total == 6
    found = {item.letter_id: item for item in redrive.items.all()}
    assert {found[letter.pk].outcome for letter in [*sending, done]} == {"pending"}
    assert found[failing.pk].outcome == "skipped"
    assert found[failing.pk].detail == "Not selected; the forecast was: will fail again."
    assert DeadLetter.objects.get(pk=failing.pk).state == DeadLetter.State.OPEN


def test_forecast_on_the_way_holds_no_transaction_and_asks_anew_once_a_turn(
    admin_client, monkeypatch
):
    """It may wait for SES, and SQLite has one writer."""
    outside, depths, looks = len(connection.savepoint_ids), [], []

    class Look:
        notes: list[str] = []

        def __init__(self):
            looks.append(self)

        def __call__(self, events):
            depths.append(len(connection.savepoint_ids))
            return {event.id: Bucket.SENDS for event in events}

    monkeypatch.setattr(preflight, "MAX_DEAD_LETTERS", 1)
    monkeypatch.setattr(releasing, "BATCH", 2)
    monkeypatch.setattr(registry, "preflights", [Look])
    letters = [make_dead_letter() for _ in range(6)]
    take(admin_client, letters[0], "sends", "rest")
    looks.clear()
    depths.clear()

    jobs.advance()

    assert Redrive.objects.get().items.filter(outcome="pending").count() == 6
    assert depths == [outside] * 3
    assert len(looks) == 1


def test_rest_stays_where_it_is_if_nobody_selects_it(admin_client, monkeypatch):
    monkeypatch.setattr(preflight, "MAX_DEAD_LETTERS", 2)
    letters = [make_dead_letter() for _ in range(3)]

    take(admin_client, letters[0], "sends")

    redrive = Redrive.objects.get()
    assert (redrive.total, redrive.buckets) == (2, None)


@pytest.mark.parametrize("held", ["edit_deadletter", "redrive_deadletter", "discard_deadletter"])
def test_a_redrive_takes_its_own_permission_and_a_post(client, held):
    letter = make_dead_letter()
    client.force_login(staff("view_deadletter", held))

    got = page(client, letter)
    assert not Redrive.objects.exists()
    posted = take(client, letter, "sends")

    allowed = held == "redrive_deadletter"
    assert (got.status_code, posted.status_code) == ((200, 302) if allowed else (403, 403))
    assert Redrive.objects.count() == allowed


@pytest.mark.parametrize("query", ["letter=x", "nonsense=1", "state__exact=%00", "queue=nowhere"])
def test_a_rubbish_address_breaks_nothing(admin_client, query):
    make_dead_letter()

    assert admin_client.get(f"{START}?{query}").status_code in (200, 400, 404)


@pytest.mark.parametrize("key", ["x", ""])
def test_rubbish_keys_are_a_bad_request(admin_client, key):
    assert admin_client.post(START, {"letter": key, "confirmed": "yes"}).status_code == 400


def test_the_page_shows_nothing_to_do_where_nothing_is_open(admin_client):
    letter = make_dead_letter(state=DeadLetter.State.REDRIVEN)

    response = page(admin_client, letter)

    assert "Nothing to redrive" in response.content.decode()


def test_foreseeing_writes_nothing(admin_client):
    page(admin_client, make_dead_letter())

    assert not OutboxEvent.objects.exists()
    assert not LogEntry.objects.exists()
    assert DeadLetter.objects.get().state == DeadLetter.State.OPEN


def test_every_bucket_has_its_words():
    for bucket in Bucket:
        assert bucket.words
        assert bucket.consequence
    assert set(answers.ORDER) == set(Bucket)


def test_registered_foresights_are_new_for_each_look():
    assert registry.make_preflights()[0] is not registry.make_preflights()[0]


def test_only_the_oldest_open_letters_are_told_and_the_rest_is_counted(monkeypatch):
    monkeypatch.setattr(preflight, "MAX_DEAD_LETTERS", 5)
    monkeypatch.setattr(preflight, "BATCH_SIZE", 2)
    make_dead_letter(queue="gone", state="redriven")
    letters = [make_dead_letter(queue="gone") for _ in range(7)]

    forecast = preflight.sort(DeadLetter.objects.all())

    assert set(forecast.buckets[Bucket.FAILS]) == {letter.pk for letter in letters[:5]}
    assert (forecast.count, forecast.beyond) == (5, 2)


def test_of_two_apps_that_tell_of_an_event_the_graver_counts(monkeypatch):
    class Told(list[Bucket]):
        """An app that tells this bucket of every event."""

        notes: list[str] = []

        def __call__(self, events):
            return {event.id: self[0] for event in events}

    event = placed()
    for buckets in ((Bucket.SENDS, Bucket.FAILS), (Bucket.FAILS, Bucket.SENDS)):
        apps = [Told([bucket]) for bucket in buckets]
        monkeypatch.setattr(registry, "make_preflights", lambda apps=apps: apps)

        assert preflight.of(event) == preflight.gravest([Bucket.SENDS, Bucket.FAILS])

    monkeypatch.setattr(registry, "make_preflights", lambda: [])
    assert preflight.of(event) == Bucket.UNTOLD
