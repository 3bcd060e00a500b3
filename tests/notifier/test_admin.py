from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.urls import reverse
from django.utils import timezone

from emails.models import Notification
from queues.models import DeadLetter, OutboxEvent
from queues.models.live import LiveConsumer
from tests.support.rows import staff

pytestmark = pytest.mark.django_db

INDEX = reverse("admin:index")


@pytest.fixture(autouse=True)
def consumer(db, settings):
    """A consumer that lives: the lack of one alone would need a person."""
    now = timezone.now()
    LiveConsumer.objects.create(
        kind="consumer", host="h", pid=1, queues=list(settings.QUEUES), started_at=now, beat_at=now
    )


def make_trouble() -> None:
    """One row of each kind that needs a person."""
    now = timezone.now()
    DeadLetter.objects.create(queue="orders", sqs_message_id="m", body="{}")
    for state in ("in_doubt", "failed"):
        Notification.objects.create(
            event_id=uuid.uuid4(),
            template="order_confirmation",
            recipient="ada@example.com",
            context={},
            next_at=now,
            state=state,
        )
    for state in ("pending", "refused"):
        OutboxEvent.objects.create(queue="orders", body="{}", available_at=now, state=state)
    OutboxEvent.objects.update(recorded_at=now - timedelta(minutes=2))


def titles(response: Any) -> list[str]:
    return [problem.concern.title for problem in response.context["problems"]]


def test_nobody_sets_the_times_of_a_user(admin_client, admin_user, settings):
    settings.TIME_ZONE = "America/New_York"
    page = reverse("admin:auth_user_change", args=[admin_user.pk])
    times = {"date_joined_0": "9999-12-31", "date_joined_1": "23:59:59"}

    saved = admin_client.post(page, {"username": "root", "is_staff": "on", **times})

    joined = User.objects.get(pk=admin_user.pk).date_joined
    assert (saved.status_code, joined) == (302, admin_user.date_joined)


def test_without_trouble_all_is_well(admin_client):
    response = admin_client.get(INDEX)

    assert "All is well." in response.content.decode()


def test_each_trouble_is_counted_and_its_link_lists_it(admin_client):
    make_trouble()

    response = admin_client.get(INDEX)

    assert "All is well." not in response.content.decode()
    assert titles(response) == [
        "Open dead letters",
        "Emails failed",
        "Refused events",
        "Emails in doubt",
        "Late events",
    ]
    for concern in (problem.concern for problem in response.context["problems"]):
        page = admin_client.get(concern.address).context
        listed = page["cl"].result_count if "cl" in page else page["groups"][0].count
        assert listed == concern.count == 1


def test_an_event_that_was_just_recorded_is_no_trouble(admin_client):
    OutboxEvent.objects.create(queue="orders", body="{}", available_at=timezone.now())

    assert titles(admin_client.get(INDEX)) == []


def test_the_overview_shows_nothing_that_the_reader_may_not_see(client):
    make_trouble()
    client.force_login(staff("view_deadletter"))

    response = client.get(INDEX)

    page = response.content.decode()
    assert titles(response) == ["Open dead letters"]
    assert "ada@example.com" not in page
    assert reverse("admin:emails_notification_changelist") not in page
    assert reverse("admin:auth_user_changelist") not in page


def test_the_sidebar_counts_open_dead_letters(admin_client):
    make_trouble()

    groups = admin_client.get(INDEX).context["sidebar_navigation"]

    [letters] = [item for group in groups for item in group["items"] if "badge" in item]
    assert (letters["title"], letters["badge"]) == ("Dead letters", "1")


@pytest.mark.parametrize("is_on", [True, False])
def test_the_local_mailbox_is_linked_only_where_there_is_one(admin_client, settings, is_on):
    settings.SANDBOX = is_on

    assert ("Local mailbox" in admin_client.get(INDEX).content.decode()) == is_on


def test_every_page_of_the_sidebar_opens(admin_client, aws, settings):
    settings.SANDBOX = False
    groups = admin_client.get(INDEX).context["sidebar_navigation"]

    for link in {item["link"] for group in groups for item in group["items"]}:
        assert admin_client.get(link, follow=True).status_code == 200, link


def test_logging_in_leads_to_the_overview(client):
    User.objects.create_superuser("grace", password="a long password")

    response = client.post(
        reverse("admin:login"), {"username": "grace", "password": "a long password"}
    )

    assert response.url == INDEX


def test_nobody_deletes_a_user_and_what_the_log_says_of_them(admin_client):
    user = staff()

    response = admin_client.post(reverse("admin:auth_user_delete", args=[user.pk]), {"post": "yes"})

    assert response.status_code == 403
    assert User.objects.filter(pk=user.pk).exists()


def test_only_a_superuser_touches_a_superuser(client, admin_user):
    client.force_login(staff("view_user", "change_user"))
    for page in ("auth_user_change", "auth_user_password_change"):
        address = reverse(f"admin:{page}", args=[admin_user.pk])

        assert client.post(address, {"password1": "x", "password2": "x"}).status_code == 403


def test_staff_cannot_raise_their_own_rights(client):
    user = staff("view_user", "change_user")
    client.force_login(user)
    fields = {
        "username": user.username,
        "first_name": "Grace",
        "date_joined_0": "2026-11-22",
        "date_joined_1": "10:00:00",
        "is_active": "on",
        "is_staff": "on",
        "is_superuser": "on",
        "user_permissions": [Permission.objects.get(codename="delete_user").pk],
    }

    client.post(reverse("admin:auth_user_change", args=[user.pk]), fields)

    user.refresh_from_db()
    assert user.first_name == "Grace"
    assert not user.is_superuser
    assert user.user_permissions.count() == 2


def test_a_superuser_sets_a_password(admin_client):
    user = staff()

    admin_client.post(
        reverse("admin:auth_user_password_change", args=[user.pk]),
        {"password1": "correct horse", "password2": "correct horse", "usable_password": "true"},
    )

    user.refresh_from_db()
    assert user.check_password("correct horse")


@pytest.mark.parametrize("is_active", [True, False])
def test_staff_do_not_touch_a_colleague_with_more_rights(client, is_active):
    colleague = staff("redrive_deadletter")
    User.objects.filter(pk=colleague.pk).update(is_active=is_active)
    client.force_login(staff("view_user", "change_user"))
    for page in ("auth_user_change", "auth_user_password_change"):
        address = reverse(f"admin:{page}", args=[colleague.pk])

        assert client.post(address, {"password1": "x", "password2": "x"}).status_code == 403


def test_staff_cannot_raise_the_rights_of_their_group(client):
    user = staff("view_group", "change_group", "add_group", "delete_group")
    group = Group.objects.create(name="clerks")
    user.groups.add(group)
    client.force_login(user)
    right = Permission.objects.get(codename="delete_user")
    fields = {"name": "clerks", "permissions": [right.pk]}

    changed = client.post(reverse("admin:auth_group_change", args=[group.pk]), fields)
    added = client.post(reverse("admin:auth_group_add"), fields)

    assert changed.status_code == added.status_code == 403
    assert not group.permissions.exists()
