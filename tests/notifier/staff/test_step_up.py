"""Acts with a wide reach ask again who it is, a quarter of an hour after the last proof, and then go on."""

import re
import uuid

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.urls import reverse
from django_otp.plugins.otp_totp.models import TOTPDevice

from emails.models import Suppression
from notifier.staff import factors, recovery_codes
from queues.models import Redrive
from tests.notifier.staff.second_factor import (
    PASSWORD,
    age_proof,
    code_of,
    let_time_pass,
    log_in,
    make_app,
)
from tests.support.rows import make_dead_letter, make_suppression

pytestmark = pytest.mark.django_db

QUESTION = "Confirm that it is you"
LIFT = "/admin/emails/suppression/"


def text(response):
    return response.content.decode()


@pytest.fixture
def ada():
    return User.objects.create_superuser("ada", password=PASSWORD)


@pytest.fixture
def stale(client, ada):
    """Logged in by password alone, some time ago."""
    log_in(client)
    age_proof(client, minutes=16)
    return client


def asks(response):
    return response.status_code == 200 and not response.streaming and QUESTION in text(response)


def confirmed(client, response, address, **proof):
    """Send the form of the question as it stands, with a proof."""
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', text(response))
    fields: dict[str, list[str]] = {}
    for name, value in hidden:
        fields.setdefault(name, []).append(value)
    return client.post(address, fields | {f"again-{name}": value for name, value in proof.items()})


def lift(row, **fields):
    return {"action": "lift", "_selected_action": [row.pk], **fields}


def test_act_goes_on_with_what_was_typed_when_the_password_is_right(stale):
    row = make_suppression()
    question = stale.post(LIFT, lift(row, confirmed="yes", reason="She asked for it"))
    assert asks(question)
    assert Suppression.objects.get().state == "active"

    confirmed(stale, question, LIFT, password=PASSWORD)

    assert Suppression.objects.get().state == "lifted"
    assert "She asked for it" in LogEntry.objects.latest("pk").change_message


def test_wrong_password_asks_again_and_loses_nothing(stale):
    row = make_suppression()
    question = stale.post(LIFT, lift(row, confirmed="yes", reason="She asked for it"))

    again = confirmed(stale, question, LIFT, password="wrong")

    assert asks(again)
    assert "This is not your password." in text(again)
    assert "She asked for it" in text(again)
    assert Suppression.objects.get().state == "active"


def test_guesses_are_limited_as_at_the_log_in(stale):
    question = stale.post(LIFT, lift(make_suppression()))
    for _ in range(5):
        confirmed(stale, question, LIFT, password="wrong")

    locked = confirmed(stale, question, LIFT, password=PASSWORD)

    assert locked.status_code == 429
    assert locked["Retry-After"]


def test_person_with_a_device_is_asked_for_it_and_not_for_the_password(client, ada):
    app = make_app(ada)
    log_in(client)
    client.post("/admin/login/second-step/", {"code": code_of(app)})
    age_proof(client, minutes=16)
    row = make_suppression()
    question = client.post(LIFT, lift(row, confirmed="yes", reason="She asked"))
    assert "again-code" in text(question)
    assert "again-password" not in text(question)

    confirmed(client, question, LIFT, password=PASSWORD)
    assert Suppression.objects.get().state == "active"
    let_time_pass(app)
    confirmed(client, question, LIFT, code=code_of(app))

    assert Suppression.objects.get().state == "lifted"


def test_nobody_is_asked_twice_within_a_quarter_of_an_hour(stale):
    question = stale.post(LIFT, lift(make_suppression()))
    confirmed(stale, question, LIFT, password=PASSWORD)

    assert not asks(stale.post("/admin/emails/suppression/export/"))
    age_proof(stale, minutes=14)
    assert not asks(stale.post("/admin/emails/suppression/export/"))
    age_proof(stale, minutes=16)
    assert asks(stale.post("/admin/emails/suppression/export/"))


@pytest.mark.parametrize("name", ["emails/notification", "queues/deadletter", "admin/logentry"])
def test_the_export_of_a_list_asks_first(stale, name):
    assert asks(stale.post(f"/admin/{name}/export/?q=x"))
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(("count", "is_asked"), [(100, False), (101, True)])
def test_redrive_of_more_than_a_hundred_dead_letters_asks(stale, aws, count, is_asked):
    for _ in range(count):
        make_dead_letter()
    address = reverse("admin:queues_redrive_start")
    page = stale.get(address)
    buckets = re.findall(r'name="(take_\w+)"', text(page))

    response = stale.post(address, {"key": str(uuid.uuid4()), **dict.fromkeys(buckets, "on")})

    assert asks(response) == is_asked
    assert Redrive.objects.exists() != is_asked
    if is_asked:
        confirmed(stale, response, address, password=PASSWORD)
        assert Redrive.objects.get().items.count() == count


def test_change_of_a_user_asks_and_keeps_what_was_typed_but_no_password(stale, ada):
    grace = User.objects.create_user("grace", is_staff=True)
    address = reverse("admin:auth_user_change", args=[grace.pk])
    group = Group.objects.get(name="operator")
    assert not asks(stale.get(address))

    question = stale.post(
        address,
        {"username": "grace", "is_staff": "on", "groups": [group.pk], "password2": "secret"},
    )
    assert asks(question)
    assert "secret" not in text(question)
    confirmed(stale, question, address, password=PASSWORD)

    assert list(grace.groups.all()) == [group]


@pytest.mark.parametrize(
    ("page", "method"),
    [
        ("/admin/auth/user/add/", "get"),
        ("/admin/auth/user/{pk}/password/", "get"),
        ("/admin/auth/user/{pk}/password/", "post"),
        ("/admin/auth/user/{pk}/change/", "post"),
        ("/admin/auth/group/{group}/change/", "post"),
        ("/admin/auth/group/{group}/delete/", "post"),
        ("/admin/auth/group/add/", "post"),
        ("/admin/auth/group/", "post"),
    ],
)
def test_users_groups_and_rights_change_after_a_proof_only(stale, ada, page, method):
    address = page.format(pk=ada.pk, group=Group.objects.get(name="auditor").pk)

    assert asks(getattr(stale, method)(address))


def test_question_before_a_page_leads_to_it(stale):
    question = stale.get("/admin/auth/user/add/")
    [address] = re.findall(r'<form method="post" action="([^"]+)" class="fact', text(question))

    response = stale.post(address, {"again-password": PASSWORD})

    assert response["Location"] == "/admin/auth/user/add/"
    assert not asks(stale.get(response["Location"]))


# --- Reset


def reset(client, user, **fields):
    page = reverse("admin:auth_user_change", args=[user.pk])
    [action] = set(re.findall(r'href="(/admin/auth/user/[^"]*reset[^"]*)"', text(client.get(page))))
    return client.post(action, fields)


@pytest.fixture
def grace():
    user = User.objects.create_user("grace", password=PASSWORD, is_staff=True)
    recovery_codes.renew(user)
    return user


def test_administrator_resets_the_second_factor_of_somebody_and_the_log_says_so(client, ada, grace):
    make_app(grace)
    client.force_login(ada)
    assert reset(client, grace, reason="").status_code == 200
    assert factors.has_device(grace)

    reset(client, grace, reason="Lost her phone; called from her desk")

    assert not factors.has_device(grace)
    assert not hasattr(User.objects.get(pk=grace.pk), "recovery_codes")
    entry = LogEntry.objects.latest("pk")
    assert (entry.user, entry.object_id) == (ada, str(grace.pk))
    assert "Lost her phone" in entry.change_message


def test_session_ends_with_a_reset_even_if_no_second_factor_is_obligatory(client, ada, grace):
    app = make_app(grace)
    log_in(client, "grace")
    client.post("/admin/login/second-step/", {"code": code_of(app)})
    assert client.get("/admin/").status_code == 200

    factors.remove_all(grace)

    assert client.get("/admin/").status_code == 302
    assert client.get("/admin/login/second-step/")["Location"] == "/admin/login/"


def test_nobody_resets_their_own_or_that_of_a_mightier_person(client, ada, grace):
    make_app(ada)
    client.force_login(User.objects.create_superuser("root"))
    root = User.objects.get(username="root")
    reset(client, root, reason="mine")
    assert not LogEntry.objects.exists()

    grace.user_permissions.add(
        *Permission.objects.filter(codename__in=["change_user", "view_user"])
    )
    client.force_login(grace)
    address = reverse("admin:auth_user_reset_second_factor", args=[ada.pk])
    response = client.post(address, {"reason": "mine"})

    assert response.status_code in (403, 404)
    assert factors.has_device(ada)


def test_command_resets_where_no_administrator_is_left(ada, capsys, caplog):
    make_app(ada)

    call_command("reset_second_factor", "ada")

    assert "Removed 1 device of ada." in capsys.readouterr().out
    assert f"second factor reset user={ada.pk}" in caplog.text
    assert "reset_second_factor" in LogEntry.objects.get().change_message
    assert not TOTPDevice.objects.exists()


def test_command_refuses_a_name_that_nobody_has():
    with pytest.raises(CommandError, match="There is no user 'nobody'"):
        call_command("reset_second_factor", "nobody")
