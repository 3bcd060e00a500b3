"""Where an email stands: its own state, and what became of its message."""

from __future__ import annotations

from typing import Any, cast

import pytest
from django.contrib import admin
from django.test import RequestFactory

from emails.models import Notification
from emails.pages.notifications import NotificationAdmin
from emails.reports import standings
from emails.reports.standings import Standing
from queues.dead_letters import decisions
from queues.models import DeadLetter, OutboxEvent
from queues.outbox import relay
from tests.support.rows import make_dead_letter, make_notification, make_outbox_event

pytestmark = pytest.mark.django_db

State = Notification.State
Letter = DeadLetter.State


def email(*, letters=(), outbox="", **fields):
    """An email, the dead letters of its event, and the state of its outbox row."""
    row = make_notification(**fields)
    for state in letters:
        make_dead_letter(event_id=row.event_id, state=state)
    if outbox:
        make_outbox_event(event_id=row.event_id, state=outbox)
    return row


# An email in each situation, and where it stands.
SITUATIONS: list[tuple[Standing, dict[str, Any]]] = [
    (Standing.PENDING, {"state": State.PENDING}),
    (Standing.RETRYING, {"state": State.PENDING, "attempts": 1}),
    (Standing.DEAD_LETTER, {"state": State.PENDING, "letters": [Letter.OPEN]}),
    (Standing.DEAD_LETTER, {"state": State.FAILED, "letters": [Letter.OPEN]}),
    (Standing.DEAD_LETTER, {"state": State.PENDING, "letters": [Letter.REDRIVEN, Letter.OPEN]}),
    (Standing.DEAD_LETTER, {"state": State.PENDING, "letters": [Letter.OPEN], "outbox": "published"}),
    (Standing.REDRIVING, {"state": State.PENDING, "letters": [Letter.REDRIVEN], "outbox": "pending"}),
    (Standing.REDRIVING, {"state": State.FAILED, "letters": [Letter.REDRIVEN], "outbox": "published"}),
    (Standing.STOPPED, {"state": State.PENDING, "letters": [Letter.DISCARDED]}),
    (Standing.STOPPED, {"state": State.PENDING, "letters": [Letter.DISCARDED], "outbox": "discarded"}),
    (Standing.STOPPED, {"state": State.PENDING, "letters": [Letter.REDRIVEN], "outbox": "refused"}),
    (Standing.FAILED, {"state": State.FAILED}),
    (Standing.FAILED, {"state": State.FAILED, "letters": [Letter.DISCARDED]}),
    *((Standing(state), {"state": state}) for state in State if state not in Notification.UNSENT),
    # Evidence that SES has an email stands above what its message became.
    *(
        (Standing(state), {"state": state, "letters": [Letter.OPEN]})
        for state in State
        if state not in Notification.UNSENT
    ),
]  # fmt: skip


@pytest.mark.parametrize(("standing", "situation"), SITUATIONS)
def test_an_email_stands_where_its_state_and_its_message_say(standing, situation):
    assert standings.of_one(email(**situation)) == standing


def test_each_filter_finds_what_bears_its_label():
    emails = [email(**situation) for _, situation in SITUATIONS]
    labelled = standings.of(emails)

    for standing in Standing:
        rows = standings.select(Notification.objects.all(), standing)
        found = set(rows.values_list("pk", flat=True))
        assert found == {pk for pk, where in labelled.items() if where == standing}, standing
        assert found, standing


def test_every_standing_has_words_and_a_colour():
    assert set(NotificationAdmin.meanings) == set(standings.COLOURS) == set(Standing)


def test_a_redrive_and_a_discard_move_the_email_on():
    row = email(state=State.PENDING, attempts=3, letters=[Letter.OPEN], outbox="dead")
    letters = DeadLetter.objects.filter(event_id=row.event_id)
    assert standings.of_one(row) == Standing.DEAD_LETTER

    decisions.discard(letters)
    assert standings.of_one(row) == Standing.STOPPED
    relay.publish_again(OutboxEvent.objects.filter(event_id=row.event_id))
    assert standings.of_one(row) == Standing.REDRIVING

    OutboxEvent.objects.update(state="discarded")
    decisions.reopen(letters)
    assert standings.of_one(row) == Standing.DEAD_LETTER
    decisions.redrive(letters)
    assert standings.of_one(row) == Standing.REDRIVING


def test_many_emails_take_two_queries(django_assert_num_queries):
    emails = [email(**situation) for _, situation in SITUATIONS]

    with django_assert_num_queries(2):
        standings.of(emails)


@pytest.mark.parametrize("standing", Standing)
def test_the_list_is_filtered_and_labelled_by_where_emails_stand(admin_user, standing):
    for _, situation in SITUATIONS:
        email(**situation)
    request = RequestFactory().get("/admin/", {"state__exact": standing.value})
    request.user = admin_user
    pages = cast(NotificationAdmin, admin.site.get_model_admin(Notification))

    rows = pages.get_changelist_instance(request).result_list

    assert {pages.state_label(row) for row in rows} == {(standing, standing.label)}
