"""What an open page of the admin is told every few seconds."""

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from notifier.overview import navigation
from tests.support.rows import (
    make_dead_letter,
    make_notification,
    make_outbox_event,
    make_redrive,
    staff,
)

LIVE = reverse("live")
# Those of the login included.
MOST_QUERIES = 9

pytestmark = pytest.mark.django_db


def version(client, label, *rows):
    keys = [str(row.pk) for row in rows]
    return client.get(LIVE, {"list": label, "row": keys}).json()["version"]


def test_it_tells_how_many_dead_letters_wait_and_when_that_was(admin_client):
    make_dead_letter()
    make_dead_letter(state="discarded")

    found = admin_client.get(LIVE).json()

    assert (found["waiting"], found["shown"]) == (1, "1")
    assert found["now"].endswith(" UTC")


def test_counting_stops_where_nobody_cares_any_more(admin_client, monkeypatch):
    monkeypatch.setattr(navigation, "MOST_COUNTED", 2)
    for _ in range(3):
        make_dead_letter()

    found = admin_client.get(LIVE).json()

    assert (found["waiting"], found["shown"]) == (2, "2+")


@pytest.mark.parametrize(
    ("label", "make", "change"),
    [
        ("queues.deadletter", make_dead_letter, {"state": "redriven"}),
        ("queues.outboxevent", make_outbox_event, {"state": "handled"}),
        ("queues.redrive", make_redrive, {"state": "halted"}),
        ("emails.notification", make_notification, {"state": "sent"}),
    ],
)
def test_a_list_has_a_new_version_when_a_shown_row_changes_or_a_new_one_comes(
    admin_client, label, make, change
):
    row = make()
    first = version(admin_client, label, row)
    assert version(admin_client, label, row) == first

    type(row).objects.filter(pk=row.pk).update(**change)
    second = version(admin_client, label, row)
    make()

    assert len({first, second, version(admin_client, label, row)}) == 3


def test_whoever_may_not_see_a_list_learns_nothing_of_it(client):
    make_dead_letter()
    client.force_login(staff("view_notification"))

    assert "waiting" not in client.get(LIVE).json()
    assert client.get(LIVE, {"list": "queues.deadletter"}).status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        {"list": "auth.user"},
        {"list": "no.such"},
        {"list": "queues.deadletter", "row": "no key"},
        {"list": "emails.notification", "row": "9" * 40},
    ],
)
def test_what_no_page_asks_is_refused(admin_client, query):
    assert admin_client.get(LIVE, query).status_code == 400


def test_asking_does_not_keep_a_session_alive_nor_hide_its_end(client):
    client.force_login(staff("view_deadletter"))
    expires = Session.objects.get().expire_date

    client.get(LIVE)

    assert Session.objects.get().expire_date == expires
    Session.objects.all().delete()
    assert client.get(LIVE).status_code == 302


def test_asking_costs_the_same_with_many_rows_as_with_few(admin_client):
    rows = [make_dead_letter() for _ in range(3)]
    admin_client.get(LIVE)

    def cost():
        with CaptureQueriesContext(connection) as asked:
            version(admin_client, "queues.deadletter", *rows)
        return len(asked)

    few = cost()
    rows += [make_dead_letter() for _ in range(40)]

    assert cost() == few <= MOST_QUERIES
