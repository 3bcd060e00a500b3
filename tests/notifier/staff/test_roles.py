"""Try every act and every page of the admin with each role that migrations make."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from emails.models import Notification, Suppression
from emails.reputation import imports
from emails.sending import guard, trials
from emails.ses import brands
from notifier.models import LoginFailure, RoleGrant
from notifier.staff import roles
from queues.answers import Bucket
from queues.aws import sqs
from queues.consumer import pausing
from queues.doctor import runs
from queues.models import DeadLetter, OutboxEvent, Redrive
from queues.pages.facts import FactAdmin
from tests.conftest import SENDER
from tests.support.builders import (
    make_account,
    make_customer,
    make_order,
    make_product,
    make_transaction,
)
from tests.support.living import make_silent
from tests.support.rows import (
    make_case,
    make_dead_letter,
    make_login_failure,
    make_notification,
    make_outbox_event,
    make_redrive,
    make_suppression,
    staff,
)

pytestmark = pytest.mark.django_db

EVERYBODY = {"support", "operator", "auditor"}
KNOWING = {"support", "operator"}
OPERATOR = {"operator"}

# Each act of the admin on its rows, and who may do it.
ACTS = {
    "park": OPERATOR,
    "unpark": OPERATOR,
    "discard": OPERATOR,
    "reopen": OPERATOR,
    "stop": KNOWING,
    "publish_again": OPERATOR,
    "mark_sent": OPERATOR,
    "send_again": OPERATOR,
    "cancel": OPERATOR,
    "lift": KNOWING,
    "unlock": OPERATOR,
}
MAKE: dict[Any, Any] = {
    DeadLetter: make_dead_letter,
    Redrive: make_redrive,
    OutboxEvent: make_outbox_event,
    Notification: make_notification,
    Suppression: make_suppression,
    LoginFailure: make_login_failure,
}
TOMORROW = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
# What a row must be besides its state, and what is posted besides a reason.
IS: dict[str, dict[str, Any]] = {"unpark": {"parked_until": timezone.now() + timedelta(days=1)}}
SAYS = {"park": {"until": TOMORROW}}
# The acts with pages of their own, with what is posted.
POSTS: dict[str, tuple[set[str], Any]] = {
    "admin:queues_deadletter_collect": (KNOWING, {}),
    "admin:queues_redrive_start": (
        KNOWING,
        {"key": "6f1c1f0e-3f0a-4d0e-9a58-0d1d6b1f7a11"}
        | {f"take_{bucket}": "on" for bucket in Bucket},
    ),
    "admin:queues_deadletter_group_note": (OPERATOR, {"act": "assign"}),
    "queue-pause": (OPERATOR, {"reason": "a test"}),
    "queue-resume": (OPERATOR, {}),
    "consumer-forget": (OPERATOR, {}),
    "doctor-check": (OPERATOR, {}),
    "doctor-roundtrip": (OPERATOR, {"alias": "orders"}),
    "admin:emails_identity_verify": (OPERATOR, {"name": "new@example.com"}),
    "admin:emails_identity_delete": (OPERATOR, {"name": SENDER, "typed": SENDER}),
    "admin:emails_identity_sender": (OPERATOR, {"address": SENDER}),
    "admin:emails_identity_sender_reset": (OPERATOR, {}),
    "admin:emails_identity_test": (OPERATOR, {"recipient": SENDER}),
    "admin:emails_suppression_add": (KNOWING, {"address": "x@example.com", "reason": "a test"}),
    "admin:emails_suppression_import": (
        OPERATOR,
        lambda: {"file": SimpleUploadedFile("a.csv", b"x@example.com"), "reason": "a test"},
    ),
    "admin:emails_suppression_export": (OPERATOR, {}),
    "admin:emails_notification_export": (OPERATOR, {}),
    "admin:queues_deadletter_export": (OPERATOR, {}),
    "admin:admin_logentry_export": ({"auditor"}, {}),
    "admin:emails_guard_stop": (OPERATOR, {"reason": "a test"}),
    "admin:emails_guard_resume": (OPERATOR, {"reason": "a test"}),
}
# What gives a file and not a page.
FILES = {name for name in POSTS if name.endswith("_export")}
# What leads to a page that asks, so that there is nothing to log yet.
ASKING = {"admin:emails_suppression_import"}
ARGUMENTS: dict[str, Any] = {
    "admin:queues_deadletter_group_note": lambda: ["none"],
    "queue-pause": lambda: ["orders"],
    "queue-resume": lambda: ["orders"],
    "consumer-forget": lambda: [make_silent().pk],
    "admin:emails_identity_sender": lambda: ["bank"],
    "admin:emails_identity_sender_reset": lambda: ["shop"],
}
REMEMBERED = ("sessions.Session", "emails.SesAnswer", "emails.IdentityStatus")
WHO = ["support", "operator", "auditor", "nobody", "stranger"]


def acts() -> list[tuple[str, FactAdmin]]:
    """Every act that any admin of facts offers, whoever wrote it; those with a page are among the pages."""
    # Loads the addresses, and with them the admin.
    reverse("admin:index")
    return [
        (name, pages)
        for pages in admin.site._registry.values()
        if isinstance(pages, FactAdmin)
        for name, act in pages.acts.items()
        if not act.page
    ]


def pages() -> Iterator[tuple[str, set[str]]]:
    """Every page to look at, with one row of each kind, and who may."""
    event = make_outbox_event(state="dead")
    letter = make_dead_letter(event_id=event.event_id)
    notification = make_notification(event_id=event.event_id)
    yield reverse("admin:index"), EVERYBODY | {"nobody"}
    yield reverse("timeline", args=[event.event_id]), EVERYBODY
    yield f"{reverse('search')}?q=nothing", EVERYBODY
    yield reverse("reconciliation"), EVERYBODY
    yield reverse("reconciliation-some", args=["dead", "minute"]), EVERYBODY
    yield reverse("overview-live"), EVERYBODY | {"nobody"}
    yield reverse("live"), EVERYBODY | {"nobody"}
    yield reverse("doctor-runs"), EVERYBODY
    for page in ("doctor-run", "doctor-run-progress"):
        yield reverse(page, args=[runs.ask("doctor", {}, by="ada").pk]), EVERYBODY
    yield reverse("admin:queues_deadletter_groups"), EVERYBODY
    yield reverse("admin:queues_deadletter_group", args=["none"]), EVERYBODY
    yield reverse("admin:queues_deadletter_edit", args=[letter.pk]), OPERATOR
    yield reverse("admin:queues_redrive_start"), KNOWING
    yield reverse("queue-pause", args=["orders"]), OPERATOR
    yield reverse("admin:emails_emailtemplate_change", args=["order_confirmation"]), EVERYBODY
    rehearsed = [make_case().rehearsal.name]
    for page in ("rehearsal", "rehearsal_progress"):
        yield reverse(f"admin:emails_emailtemplate_{page}", args=rehearsed), EVERYBODY
    cases = "admin:emails_emailtemplate_rehearsal_cases"
    yield reverse(cases, args=[*rehearsed, "changed"]), EVERYBODY
    yield reverse("admin:emails_guard_changelist"), EVERYBODY
    yield reverse("admin:emails_guard_stop"), OPERATOR
    yield reverse("admin:emails_guard_resume"), OPERATOR
    yield reverse("admin:emails_suppression_add"), KNOWING
    yield reverse("admin:emails_suppression_import"), OPERATOR
    owner = User.objects.values_list("pk", flat=True).first() or 0
    upload = imports.keep(b"x@example.com", name="a.csv", reason="a test", user_id=owner)
    yield reverse("admin:emails_suppression_import_preview", args=[upload.pk]), OPERATOR
    yield reverse("admin:emails_identity_changelist"), KNOWING
    yield reverse("admin:emails_identity_change", args=[SENDER]), KNOWING
    yield reverse("admin:emails_identity_brand", args=["bank"]), OPERATOR
    trial = trials.request("ada@example.com", by="ada")
    yield reverse("admin:emails_identity_trial", args=[trial]), OPERATOR
    yield reverse("admin:emails_identity_trial_progress", args=[trial]), OPERATOR
    for fact in (event, letter, notification, make_redrive(), make_product(), make_suppression()):
        yield from _pages_of(fact, EVERYBODY)
    for personal in (make_order(), make_transaction(), make_customer(), make_account()):
        yield from _pages_of(personal, KNOWING)
    yield from _pages_of(make_login_failure(), {"operator", "auditor"})
    grace = User.objects.create_user("grace")
    entry = LogEntry.objects.create(user=grace, action_flag=2)
    for row in (grace, Group.objects.get(name="support"), entry):
        yield from _pages_of(row, {"auditor"})


def _pages_of(row: Any, who: set[str]) -> Iterator[tuple[str, set[str]]]:
    name = f"admin:{row._meta.label_lower.replace('.', '_')}"
    yield reverse(f"{name}_changelist"), who
    yield reverse(f"{name}_change", args=[row.pk]), who
    yield reverse(f"{name}_history", args=[row.pk]), who


def log_in(client: Any, who: str) -> None:
    """``nobody`` is staff without a role; a ``stranger`` is not logged in."""
    if who != "stranger":
        client.force_login(staff(role="" if who == "nobody" else who))


def tables() -> dict[str, list[Any]]:
    """Return all rows of the database, but sessions and SES's remembered answers."""
    names = [
        model._meta.db_table
        for model in apps.get_models()
        if model._meta.managed and model._meta.label not in REMEMBERED
    ]
    found = {}
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f'SELECT * FROM "{name}"')  # noqa: S608  # our own names
            found[name] = sorted(map(repr, cursor.fetchall()))
    return found


def refused(response: Any) -> bool:
    to_login = response.status_code == 302 and response.url.startswith("/admin/login/")
    return bool(to_login or response.status_code == 403)


def test_every_act_says_here_who_may_do_it():
    assert {name for name, _ in acts()} == ACTS.keys()


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("name", ACTS)
def test_an_act_is_done_by_its_roles_alone_and_by_a_post(client, who, name):
    [model_admin] = [pages for act, pages in acts() if act == name]
    act = model_admin.acts[name]
    row = MAKE[model_admin.model](state=next(iter(act.states)), **IS.get(name, {}))
    address = reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_changelist")
    log_in(client, who)
    fields = {"action": name, "_selected_action": [str(row.pk)], "confirmed": "yes"}
    fields |= SAYS.get(name, {})
    was = repr(vars(row))
    before = tables()

    client.get(address, fields)
    assert tables() == before

    posted = client.post(address, fields | {"reason": "because"})

    row.refresh_from_db()
    if who in ACTS[name]:
        assert posted.status_code == 302
        assert repr(vars(row)) != was
        assert not act.able(type(row).objects.all()).exists() or name == "park"
        [entry] = LogEntry.objects.all()
        assert (entry.object_id, entry.user.groups.get().name) == (str(row.pk), who)
    else:
        assert refused(posted)
        assert tables() == before


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("name", POSTS)
def test_a_page_that_acts_does_so_for_its_roles_alone_and_by_a_post(client, aws, who, name):
    allowed, fields = POSTS[name]
    sqs.dead_letter_queue("orders").send_batch([sqs.Outgoing(key="1", body="not JSON")])
    make_dead_letter()
    if name == "queue-resume":
        pausing.pause("orders", by="ada", reason="a test")
    if name == "admin:emails_guard_resume":
        guard.stop(reason="a test")
    if name == "admin:emails_identity_sender_reset":
        brands.save("shop", address="new@example.com", by="ada")
    address = reverse(name, args=ARGUMENTS.get(name, list)())
    log_in(client, who)
    before = tables()

    got = client.get(address)
    # Some ask first.
    assert got.status_code in (302, 403, 405) or who in allowed
    assert tables() == before

    posted = client.post(address, fields() if callable(fields) else fields)

    if who in allowed:
        assert posted.status_code == (200 if name in FILES else 302)
        assert LogEntry.objects.count() == (name not in ASKING)
    else:
        assert refused(posted)
        assert tables() == before


@pytest.mark.parametrize("who", WHO)
def test_a_page_is_for_its_roles_alone_and_changes_nothing(client, aws, who):
    log_in(client, who)

    for address, allowed in list(pages()):
        before = tables()

        response = client.get(address, follow=who in allowed)

        assert tables() == before, address
        if who in allowed:
            assert response.status_code == 200, address
        else:
            assert refused(response), address


@pytest.mark.parametrize("who", sorted(EVERYBODY))
def test_nobody_edits_the_log_or_raises_rights_by_a_role(client, aws, who):
    log_in(client, who)
    entry = LogEntry.objects.create(user=User.objects.get(), action_flag=2)
    before = tables()

    for name, key in (
        ("admin_logentry", entry.pk),
        ("auth_user", entry.user_id),
        ("auth_group", Group.objects.get(name=who).pk),
    ):
        for page in ("change", "delete"):
            address = reverse(f"admin:{name}_{page}", args=[key])
            assert client.post(address, {"post": "yes", "name": "x"}).status_code == 403
    assert tables() == before


def test_migrations_make_the_roles():
    assert set(Group.objects.values_list("name", flat=True)) == EVERYBODY


@pytest.mark.parametrize("role", sorted(EVERYBODY))
def test_a_role_has_its_rights_as_far_as_they_exist(role):
    wanted = roles.ROLES[role]
    every = Permission.objects.values_list("content_type__app_label", "codename")
    existing = {f"{app}.{codename}" for app, codename in every}

    assert staff(role=role).get_all_permissions() == wanted & existing


def test_only_who_may_look_at_customers_may_see_personal_data():
    assert {
        role for role, rights in roles.ROLES.items() if "notifier.view_pii" in rights
    } == KNOWING


def test_what_an_administrator_took_away_is_not_given_back():
    support = Group.objects.get(name="support")
    support.permissions.remove(Permission.objects.get(codename="redrive_deadletter"))
    added = Permission.objects.get(codename="add_order")
    support.permissions.add(added)

    call_command("migrate", verbosity=0)

    codenames = set(support.permissions.values_list("codename", flat=True))
    assert "redrive_deadletter" not in codenames
    assert "add_order" in codenames


def test_a_role_that_was_deleted_stays_deleted():
    Group.objects.get(name="auditor").delete()

    call_command("migrate", verbosity=0)

    assert not Group.objects.filter(name="auditor").exists()


def test_a_right_that_comes_with_a_later_release_is_given_once():
    """An upgrade finds that the permission does not exist and nobody was given it."""
    Permission.objects.filter(codename="discard_deadletter").delete()
    RoleGrant.objects.filter(permission="queues.discard_deadletter").delete()

    call_command("migrate", verbosity=0)

    assert staff(role="operator").has_perm("queues.discard_deadletter")
    assert not staff(role="support").has_perm("queues.discard_deadletter")


def test_migrating_again_changes_nothing():
    before = tables()

    call_command("migrate", verbosity=0)

    assert tables() == before


@pytest.mark.django_db(transaction=True)
def test_before_this_apps_tables_exist_there_is_nothing_to_give():
    call_command("migrate", "notifier", "zero", verbosity=0)
    call_command("migrate", "notifier", verbosity=0)

    assert set(Group.objects.values_list("name", flat=True)) == EVERYBODY


def test_the_demo_has_a_login_for_each_role_in_the_sandbox_only(settings, client):
    settings.DEBUG, settings.SANDBOX = True, False
    call_command("load_demo", verbosity=0)
    assert not User.objects.filter(username__in=EVERYBODY).exists()

    settings.SANDBOX = True
    call_command("load_demo", verbosity=0)

    for role in EVERYBODY:
        assert client.login(username=role, password="admin")
        assert User.objects.get(username=role).groups.get().name == role
