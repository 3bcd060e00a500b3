"""Staff pause and resume queues and forget consumers from the overview."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from queues.consumer import pausing
from queues.models.live import LiveConsumer, PausedQueue
from tests.support.living import make_consumer, make_silent
from tests.support.rows import staff

LIVE = reverse("overview-live")
HOSTILE = "<script>alert(1)</script>"


def page(client: Any, address: str = LIVE) -> str:
    return str(client.get(address).content.decode())


def pause(client: Any, alias: str = "orders", reason: str = "the template is wrong") -> Any:
    return client.post(reverse("queue-pause", args=[alias]), {"reason": reason}, follow=True)


def resume(client: Any, alias: str = "orders") -> Any:
    return client.post(reverse("queue-resume", args=[alias]), follow=True)


@pytest.mark.django_db
def test_pausing_asks_for_a_reason_and_says_who_why_and_since(admin_client, admin_user):
    make_consumer()
    address = reverse("queue-pause", args=["orders"])
    assert "Pause queue orders" in page(admin_client, address)
    assert "This field is required." in pause(admin_client, reason="").content.decode()
    assert not PausedQueue.objects.exists()

    response = pause(admin_client, reason=HOSTILE)

    found = response.content.decode()
    assert "Queue orders is paused." in found
    assert "Paused by admin since" in found
    assert HOSTILE not in found
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (admin_user, "orders")
    assert entry.change_message == f"Paused: {HOSTILE}"


@pytest.mark.django_db
def test_pausing_twice_pauses_once(admin_client):
    pause(admin_client)

    response = pause(admin_client, reason="another")

    assert "was paused already" in response.content.decode()
    assert LogEntry.objects.count() == 1


@pytest.mark.django_db
def test_resuming_takes_one_click_and_twice_resumes_once(admin_client):
    pause(admin_client)

    assert "Queue orders is resumed." in resume(admin_client).content.decode()
    assert "was not paused" in resume(admin_client).content.decode()

    assert not PausedQueue.objects.exists()
    messages = LogEntry.objects.order_by("id").values_list("change_message", flat=True)
    assert list(messages) == ["Paused: the template is wrong", "Resumed."]


@pytest.mark.django_db
def test_queue_that_settings_do_not_name_is_not_paused_and_may_be_resumed(admin_client):
    pausing.pause("old", by="grace", reason="r")

    assert pause(admin_client, "nonsense").status_code == 404
    assert resume(admin_client, "old").status_code == 200

    assert not PausedQueue.objects.exists()


@pytest.mark.django_db
def test_silent_consumer_is_forgotten_and_a_living_one_is_not(admin_client):
    gone, here = make_silent(), make_consumer()

    for row in (gone, here):
        admin_client.post(reverse("consumer-forget", args=[row.pk]))

    assert list(LiveConsumer.objects.all()) == [here]
    assert LogEntry.objects.get().object_repr == "consumer web-1:17"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "key", "permission"),
    [
        ("queue-pause", "orders", "pause_queue"),
        ("queue-resume", "orders", "pause_queue"),
        ("consumer-forget", 1, "forget_consumer"),
    ],
)
def test_acts_need_their_permission_and_a_post(client, name, key, permission):
    address = reverse(name, args=[key])
    client.force_login(staff("view_outboxevent"))
    assert client.post(address, {"reason": "r"}).status_code == 403
    assert not PausedQueue.objects.exists()

    client.force_login(staff(permission))

    assert client.get(address).status_code == (200 if name == "queue-pause" else 405)
    assert client.post(address, {"reason": "r"}).status_code == 302


@pytest.mark.django_db
def test_only_who_may_act_is_offered_it(client):
    make_silent()
    client.force_login(staff("view_consumer"))
    assert "Pause…" not in page(client)
    assert "Forget" not in page(client)

    client.force_login(staff("view_consumer", "pause_queue", "forget_consumer"))

    assert page(client).count("Pause…") == len(django_settings.QUEUES)
    assert "Forget" in page(client)
