from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from queues.dead_letters import causes, triage
from queues.models import CauseNote, DeadLetter
from queues.redrives import jobs
from tests.support.dead_letters import make_dead_letter, staff

pytestmark = pytest.mark.django_db

GROUPS = reverse("admin:queues_deadletter_groups")
LETTERS = reverse("admin:queues_deadletter_changelist")
DISCARD = {"action": "discard", "confirmed": "yes", "reason": "a test"}


def note_page(letter: DeadLetter) -> str:
    return reverse("admin:queues_deadletter_group_note", args=[letter.fingerprint])


def page(client: Any, letter: DeadLetter) -> str:
    address = reverse("admin:queues_deadletter_group", args=[letter.fingerprint])
    return unescape(client.get(address).content.decode())


def act_on_cause(client: Any, letter: DeadLetter, **fields: Any) -> Any:
    return client.post(
        f"{LETTERS}?fingerprint={letter.fingerprint}&state__exact=open&parked=no",
        {"_selected_action": str(letter.pk), "select_across": "1"} | fields,
    )


def press_undo(client: Any, response: Any) -> None:
    """Press the button in the message that an act has left."""
    html = [str(told) for told in get_messages(response.wsgi_request) if "Undo" in str(told)][-1]
    [address] = re.findall(r'action="([^"]+)"', html)
    fields: dict[str, list[str]] = {}
    for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', html):
        fields.setdefault(name, []).append(value)
    assert client.post(unescape(address), fields).status_code == 302


def test_an_owner_and_a_note_stand_on_the_cause_and_in_the_log(client):
    letter = make_dead_letter()
    ann = staff("view_deadletter", "park_deadletter", "view_pii")
    client.force_login(ann)

    client.post(note_page(letter), {"act": "assign"})
    client.post(note_page(letter), {"act": "write", "text": "the template is deployed at ten"})

    for shown in (page(client, letter), unescape(client.get(GROUPS).content.decode())):
        assert f"{ann.username} is on it." in shown
        assert "the template is deployed at ten" in shown
    assert [each.words for each in triage.tried(letter.fingerprint)] == [
        "Note: the template is deployed at ten",
        f"{ann.username} is on it.",
    ]
    client.post(note_page(letter), {"act": "release"})
    assert CauseNote.objects.get().owner is None


def test_a_note_takes_a_post_and_the_right_to_park(client):
    letter = make_dead_letter()
    client.force_login(staff("view_deadletter", "park_deadletter"))
    assert client.get(note_page(letter)).status_code == 405

    client.force_login(staff("view_deadletter", "discard_deadletter"))
    assert client.post(note_page(letter), {"act": "assign"}).status_code == 403
    assert not CauseNote.objects.exists()


def test_a_cause_says_what_was_tried_before_by_whom_and_with_what_outcome(admin_client, admin_user):
    letters = [make_dead_letter() for _ in range(3)]
    others = make_dead_letter(code="Other")
    redrive = jobs.start(
        DeadLetter.objects.filter(pk__in=[letters[0].pk, others.pk]),
        by=admin_user, reason="", key="k", canary=False,
    )  # fmt: skip
    redrive.items.filter(letter=letters[0]).update(outcome="returned")
    jobs.stop(redrive)
    act_on_cause(admin_client, letters[1], **DISCARD)

    shown = page(admin_client, letters[1])

    assert "Stopped: 0 of 2 succeeded, 1 failed again." in shown
    assert "Discarded: a test (3 dead letters)" in shown
    assert [each.by for each in triage.tried(letters[0].fingerprint)] == ["admin", "admin"]
    assert reverse("admin:queues_redrive_change", args=[redrive.pk]) in shown


def test_without_the_right_to_see_addresses_notes_are_masked(client, admin_user):
    letter = make_dead_letter()
    triage.write(letter.fingerprint, text="ask ada@example.com", by=admin_user)
    client.force_login(staff("view_deadletter", "park_deadletter"))

    assert "ada@example.com" not in page(client, letter)
    assert "a***@e***.com" in page(client, letter)


def test_undo_opens_again_what_was_discarded_and_nothing_else(admin_client):
    before, *letters = (make_dead_letter() for _ in range(12))
    admin_client.post(LETTERS, DISCARD | {"_selected_action": str(before.pk)})

    response = act_on_cause(admin_client, letters[0], **DISCARD, typed="11")
    assert not DeadLetter.objects.open().exists()
    press_undo(admin_client, response)

    assert set(DeadLetter.objects.open()) == set(letters)
    undone = LogEntry.objects.filter(change_message="Open again: Undone")
    assert undone.filter(object_id__in=[str(each.pk) for each in letters]).count() == len(letters)


def test_undo_of_ticked_dead_letters_opens_these(admin_client):
    letters = [make_dead_letter(code=f"Code{number}") for number in range(3)]
    keys = [str(letter.pk) for letter in letters[:2]]

    press_undo(admin_client, admin_client.post(LETTERS, DISCARD | {"_selected_action": keys}))

    assert DeadLetter.objects.open().count() == 3


def test_undo_of_parking_brings_the_cause_back(admin_client):
    letters = [make_dead_letter() for _ in range(2)]
    until = (timezone.localtime() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")

    response = act_on_cause(
        admin_client, letters[0], action="park", confirmed="yes", until=until, reason="later"
    )
    assert causes.waiting() == []
    press_undo(admin_client, response)

    assert [group.count for group in causes.waiting()] == [2]
