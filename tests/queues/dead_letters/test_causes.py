from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from emails.sending import breakers
from queues.answers import Cause
from queues.audit.staff_log import PART
from queues.dead_letters import causes
from queues.dead_letters.advice import advise
from queues.models import DeadLetter, OutboxEvent
from queues.redrives import jobs
from tests.support.dead_letters import UNVERIFIED, make_dead_letter, placed, staff

pytestmark = pytest.mark.django_db

GROUPS = reverse("admin:queues_deadletter_groups")
LETTERS = reverse("admin:queues_deadletter_changelist")
HOSTILE = "<script>alert(1)</script>"


def group_page(letter):
    return reverse("admin:queues_deadletter_group", args=[letter.fingerprint])


def act_on_group(client, letter, name, *, parked="no", **fields):
    return client.post(
        f"{LETTERS}?fingerprint={letter.fingerprint}&state__exact=open&parked={parked}",
        {"action": name, "_selected_action": str(letter.pk), "select_across": "1"} | fields,
    )


def tomorrow():
    return (timezone.localtime() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")


def test_letters_of_one_cause_are_one_group_whatever_their_addresses():
    for address in ("ada@example.com", "bob@example.net"):
        make_dead_letter(placed(email=address), code="MessageRejected", reason=UNVERIFIED + address)
    make_dead_letter(code="UnknownType", reason="no handler")

    groups = causes.waiting()

    assert {(group.code, group.count) for group in groups} == {
        ("MessageRejected", 2),
        ("UnknownType", 1),
    }


def test_a_group_counts_customers_once_and_adds_money_by_currency():
    for email in ("ada@example.com", "ADA@example.com", "bob@example.com"):
        make_dead_letter(placed(email=email))
    make_dead_letter(placed(currency="GBP"))
    make_dead_letter(body="not JSON")

    [group] = causes.waiting()

    total, currency = placed().data["total_cents"], placed().data["currency"]
    assert (group.customers, group.silent) == (2, 1)
    assert group.money == [(3 * total, currency), (total, "GBP")]


def test_currencies_that_the_console_has_no_sign_for_are_added_up_too():
    for cents, currency in ((700, "CHF"), (500, "CHF"), (300, "USD"), (100, "SEK")):
        make_dead_letter(customer="ada", amount_cents=cents, currency=currency)

    [group] = causes.waiting()

    assert group.money == [(1200, "CHF"), (300, "USD"), (100, "SEK")]


@pytest.mark.parametrize(
    ("stakes", "told"),
    [
        ([("ada", 1250)], ["1 email", "1 customer", "$12.50"]),
        ([("ada", 1784500)], ["1 email", "1 customer", "$17,845"]),
        ([("ada", None)], ["1 email", "1 customer"]),
        ([("", None)] * 2, ["2 messages", "customers and money unknown"]),
        (
            [("ada", 1250), ("", None)],
            ["2 emails", "1 customer", "$12.50", "1 without a known customer"],
        ),
    ],
    ids=["known", "thousands", "no money", "no event", "some of an earlier release"],
)
def test_what_letters_do_not_say_is_not_called_nothing(stakes, told):
    for customer, cents in stakes:
        make_dead_letter(customer=customer, amount_cents=cents, currency="USD" if cents else "")

    [group] = causes.waiting()

    assert group.stakes == told


def test_the_customer_column_does_not_name_the_customer():
    letter = make_dead_letter(placed(email="ada@example.com"))

    assert letter.customer
    assert "ada" not in letter.customer


def test_amounts_that_add_up_to_more_than_a_database_counts_break_nothing():
    for _ in range(3):
        make_dead_letter(amount_cents=2**62, currency="USD")

    [group] = causes.waiting()

    assert group.money[0][0] > 2**63


def test_a_group_says_whether_it_grows():
    old, new = make_dead_letter(code="A"), make_dead_letter(code="B")
    ago = timezone.now() - timedelta(hours=1)
    DeadLetter.objects.filter(pk=old.pk).update(collected_at=ago)
    slow = [make_dead_letter(code="C") for _ in range(3)]
    DeadLetter.objects.filter(pk__in=[letter.pk for letter in slow[:2]]).update(
        collected_at=timezone.now() - timedelta(minutes=20)
    )

    trends = {group.code: group.trend for group in causes.waiting()}

    assert trends == {"A": "quiet", "B": "growing", "C": "slowing"}
    assert new.fingerprint != old.fingerprint


def test_a_burst_that_is_over_no_longer_grows():
    letter = make_dead_letter()
    DeadLetter.objects.filter(pk=letter.pk).update(
        collected_at=timezone.now() - timedelta(minutes=11)
    )

    [group] = causes.waiting()

    assert group.trend == "slowing"


@pytest.mark.parametrize(
    ("code", "reasons"),
    [
        ("UnknownType", [f"no handler for event type 'order.shipped.v{n}'" for n in (1, 2)]),
        ("BadData", ["customer.email: not an address", "lines: Field required"]),
        ("KeyError", ["'discount'", "'gift'"]),
        ("RenderError", ["welcome/body.html.hbs: the data has no x", "gone/subject.hbs: no y"]),
    ],
)
def test_titles_tell_equal_causes_apart(code, reasons):
    for reason in reasons:
        make_dead_letter(code=code, reason=reason)

    titles = {group.title for group in causes.waiting()}

    assert len(titles) == 2


def test_a_title_names_no_person():
    make_dead_letter(code="KeyError", reason="'ada@example.com' of ada@example.com")

    [group] = causes.waiting()

    assert "ada" not in group.title


@pytest.mark.parametrize(
    ("code", "reason", "act"),
    [
        ("MessageRejected", UNVERIFIED + "ada@example.com", "Verify this address"),
        ("BadEnvelope", "not JSON", "Discard"),
        ("UnknownType", "no handler for event type 'order.shipped.v1'", "Park"),
        ("UnknownType", "no handler for event type 'order.placed.v1'", "Redrive"),
        ("BadData", "lines: Field required", "Edit and redrive"),
        ("OperationalError", "locked", "Redrive"),
    ],
)
def test_the_act_that_helps_is_the_only_primary_one(admin_client, code, reason, act):
    letter = make_dead_letter(code=code, reason=reason)

    for address in (GROUPS, group_page(letter)):
        page = admin_client.get(address).content.decode()
        buttons = re.findall(
            r'class="([^"]+)"\s*>\s*<span class="mater[^>]+>\w+</span>\s*([\w ]+)', page
        )
        primary = [label.strip() for classes, label in buttons if "bg-primary-600" in classes]
        assert list(filter(None, primary)) == [act]


@pytest.mark.parametrize("is_open", [True, False])
def test_a_redrive_helps_once_the_breaker_is_closed(is_open):
    breakers.trip("quota", code="Throttling", reason="Daily message quota exceeded.")
    if not is_open:
        breakers.reset("quota")

    advice = advise(Cause("Throttling", "Daily message quota exceeded."))

    assert advice.act == ("fix" if is_open else "redrive")


def test_a_closed_letter_is_in_no_group():
    make_dead_letter(state=DeadLetter.State.REDRIVEN)

    assert causes.waiting() == []


def test_a_parked_letter_leaves_its_group_until_its_time_is_over():
    letter = make_dead_letter(
        parked_until=timezone.now() + timedelta(hours=1), note="after the release"
    )

    before = causes.waiting(), [group.note for group in causes.parked()]
    DeadLetter.objects.update(parked_until=timezone.now() - timedelta(seconds=1))

    assert before == ([], ["after the release"])
    assert [group.fingerprint for group in causes.waiting()] == [letter.fingerprint]
    assert causes.parked() == []


def test_a_group_says_how_many_of_it_are_in_a_redrive_already(admin_user):
    letters = [make_dead_letter() for _ in range(3)]
    jobs.start(
        DeadLetter.objects.filter(pk=letters[0].pk), by=admin_user, reason="", key="k", canary=True
    )

    [group] = causes.waiting()

    assert (group.count, group.underway) == (3, 1)


def test_the_page_says_what_happened_and_leads_to_what_mends_it(admin_client):
    make_dead_letter(code="MessageRejected", reason=UNVERIFIED + "ada@example.com")

    page = admin_client.get(GROUPS).content.decode()

    assert "SES sandbox: the recipient is not verified" in page
    assert reverse("admin:emails_identity_changelist") + "?name=ada%40example.com" in page


def test_the_address_to_verify_is_filled_in_only_where_there_is_one(admin_client):
    for address in ("ada@example.com", "bob@example.net"):
        make_dead_letter(placed(email=address), code="MessageRejected", reason=UNVERIFIED + address)

    page = admin_client.get(GROUPS).content.decode()

    assert "Open Identities" in page
    assert "?name=" not in page


def test_the_way_that_mends_is_shown_to_those_only_who_may_go_it(client):
    make_dead_letter(code="MessageRejected", reason=UNVERIFIED + "ada@example.com")
    client.force_login(staff("view_deadletter"))

    page = client.get(GROUPS).content.decode()

    assert "Verify this address" not in page
    assert reverse("admin:queues_redrive_start") not in page


def test_without_letters_all_is_well(admin_client):
    assert "All is well." in admin_client.get(GROUPS).content.decode()


def test_from_the_groups_to_the_redrives_page_it_is_one_click(admin_client):
    letter = make_dead_letter()
    make_dead_letter(code="Other")
    page = admin_client.get(GROUPS).content.decode()

    [address] = re.findall(rf'href="([^"]+fingerprint={letter.fingerprint})"', page)
    response = admin_client.get(address.replace("&amp;", "&"))

    assert response.context["forecast"].count == 1


@pytest.mark.parametrize("size", [1, 30])
@pytest.mark.parametrize("with_group", [False, True])
def test_pages_cost_the_same_however_many_letters_there_are(admin_client, size, with_group):
    for number in range(size):
        letter = make_dead_letter(code=f"Code{number % 5}")
        make_dead_letter(code=f"Code{number % 5}", parked_until=timezone.now() + timedelta(hours=1))
    address = group_page(letter) if with_group else GROUPS
    admin_client.get(address)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        admin_client.get(address)

    assert len(queries) <= 18


def test_a_cause_with_markup_breaks_no_page(admin_client):
    letter = make_dead_letter(code="Odd", reason=HOSTILE, subject=HOSTILE, note=HOSTILE)
    make_dead_letter(
        code="Odd", reason=HOSTILE, note=HOSTILE, parked_until=timezone.now() + timedelta(1)
    )

    for address in (GROUPS, group_page(letter)):
        response = admin_client.get(address)

        assert response.status_code == 200
        assert HOSTILE not in response.content.decode()


def test_a_letter_without_a_fingerprint_has_its_group_too(admin_client):
    make_dead_letter(fingerprint="", code="", reason="")

    [group] = causes.waiting()

    assert admin_client.get(group.address).context["group"].count == 1
    listed = admin_client.get(LETTERS, {"fingerprint": group.key})
    assert listed.context["cl"].result_count == 1


def test_a_drained_group_still_has_its_page(admin_client):
    letter = make_dead_letter(state=DeadLetter.State.REDRIVEN)

    page = admin_client.get(group_page(letter)).content.decode()

    assert "No dead letters of this cause are waiting." in page


def test_a_group_that_never_was_is_not_found(admin_client):
    assert admin_client.get(reverse("admin:queues_deadletter_group", args=["x"])).status_code == 404


def test_a_group_is_searched_by_the_list(admin_client):
    wanted = make_dead_letter(placed(email="grace@example.org"))
    make_dead_letter(placed(email="ada@example.com"))
    make_dead_letter(placed(email="grace@example.org"), code="Other")

    response = admin_client.get(
        LETTERS, {"fingerprint": wanted.fingerprint, "q": "grace@example.org"}
    )

    assert list(response.context["cl"].result_list) == [wanted]


def test_a_group_is_parked_with_a_note_and_unparked(admin_client):
    letters = [make_dead_letter() for _ in range(3)]
    other = make_dead_letter(code="Other")
    fields = {"confirmed": "yes", "until": tomorrow(), "reason": "after the release"}

    asked = act_on_group(admin_client, letters[0], "park")
    parked = act_on_group(admin_client, letters[0], "park", **fields)
    groups = [group.code for group in causes.waiting()]
    act_on_group(admin_client, letters[0], "unpark", parked="yes")

    assert "Park: 3 dead letters" in asked.content.decode()
    assert parked.url == GROUPS
    assert groups == [other.code]
    assert {group.count for group in causes.waiting()} == {1, 3}
    histories = LogEntry.objects.filter(action_flag=PART)
    assert histories.filter(change_message__endswith=": after the release").count() == 3
    assert histories.filter(change_message="No longer parked.").count() == 3


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize(
    "until",
    ["", "2020-01-01T00:00", "soon", "0001-01-01T00:00", "9999-12-31T23:59", "2999-01-01T00:00"],
)
def test_parking_wants_a_time_to_come_within_ten_years(admin_client, settings, until, zone):
    settings.TIME_ZONE = zone
    letter = make_dead_letter()
    fields = {"confirmed": "yes", "until": until, "reason": "why"}

    assert act_on_group(admin_client, letter, "park", **fields).status_code == 200

    letter.refresh_from_db()
    assert letter.parked_until is None


@pytest.mark.parametrize(("typed", "left"), [("", 11), ("10", 11), ("11", 0)])
def test_discarding_more_than_ten_takes_their_number(admin_client, typed, left):
    letters = [make_dead_letter() for _ in range(11)]

    act_on_group(admin_client, letters[0], "discard", confirmed="yes", reason="a test", typed=typed)

    assert DeadLetter.objects.open().count() == left


@pytest.mark.parametrize("confirmed", [{}, {"confirmed": "yes", "reason": "a test"}])
def test_whoever_discards_second_is_told_that_nothing_was_left(admin_client, confirmed):
    letter = make_dead_letter()
    act_on_group(admin_client, letter, "discard", confirmed="yes", reason="a test")

    act_on_group(admin_client, letter, "discard", **confirmed)

    assert "somebody else was faster" in admin_client.get(GROUPS).content.decode()
    assert LogEntry.objects.filter(change_message="Discarded: a test").count() == 1


def test_discarding_ten_takes_no_number(admin_client):
    letters = [make_dead_letter() for _ in range(10)]

    asked = act_on_group(admin_client, letters[0], "discard")
    act_on_group(admin_client, letters[0], "discard", confirmed="yes", reason="a test")

    assert "How many?" not in asked.content.decode()
    assert not DeadLetter.objects.open().exists()


def test_a_discarded_letter_is_opened_again_with_its_event(admin_client):
    letter = make_dead_letter()
    row = OutboxEvent.objects.create(
        event_id=letter.event_id,
        queue="orders",
        body=letter.body,
        available_at=timezone.now(),
        state=OutboxEvent.State.DEAD,
    )
    fields = {"_selected_action": str(letter.pk), "confirmed": "yes", "reason": "a slip"}
    admin_client.post(LETTERS, {"action": "discard"} | fields)
    row.refresh_from_db()
    discarded = row.state

    for _ in range(2):
        admin_client.post(LETTERS, {"action": "reopen"} | fields)

    row.refresh_from_db()
    letter.refresh_from_db()
    assert discarded == OutboxEvent.State.DISCARDED
    assert (letter.state, row.state, row.handled_at) == ("open", "dead", None)
    assert LogEntry.objects.filter(change_message="Open again: a slip").count() == 1


ACTS = [
    ("park", "park_deadletter", "open"),
    ("unpark", "park_deadletter", "open"),
    ("discard", "discard_deadletter", "open"),
    ("reopen", "discard_deadletter", "discarded"),
]


@pytest.mark.parametrize("held", ["redrive_deadletter", "park_deadletter", "discard_deadletter"])
@pytest.mark.parametrize(("name", "needed", "state"), ACTS)
def test_each_act_takes_its_own_permission(client, name, needed, state, held):
    letter = make_dead_letter(state=state, parked_until=timezone.now() + timedelta(days=1))
    client.force_login(staff("view_deadletter", held))

    response = client.post(
        LETTERS,
        {"action": name, "_selected_action": str(letter.pk), "confirmed": "yes"}
        | {"reason": "why", "until": tomorrow()},
    )

    assert response.status_code == (302 if held == needed else 403)
    assert LogEntry.objects.count() == (held == needed)


@pytest.mark.parametrize("name", ["queues_deadletter_groups", "queues_redrive_start"])
def test_pages_take_the_right_to_see_dead_letters(client, name):
    client.force_login(staff("redrive_deadletter"))

    assert client.get(reverse(f"admin:{name}")).status_code == 403


def test_looking_changes_nothing(admin_client):
    letter = make_dead_letter()

    for address in (GROUPS, group_page(letter), LETTERS):
        admin_client.get(address)

    assert not LogEntry.objects.exists()
    assert DeadLetter.objects.get().state == DeadLetter.State.OPEN
    assert admin_client.post(GROUPS).status_code == 405


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_the_groups_are_found_by_the_index_on_open_letters():
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET enable_seqscan = off")
        explaining = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
        with CaptureQueriesContext(connection) as queries:
            causes.waiting()
        cursor.execute(f"{explaining} {queries[0]['sql']}")
        plan = " ".join(str(row[-1]) for row in cursor.fetchall())
        if connection.vendor == "postgresql":
            cursor.execute("RESET enable_seqscan")

    assert "dead_letter_open" in plan
