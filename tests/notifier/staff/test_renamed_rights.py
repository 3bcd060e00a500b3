"""Models that were renamed: their tables stay, and groups keep their rights."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection

from emails.models import IdentityStatus
from notifier.models import RoleGrant
from queues.models import DoctorRun
from tests.support.rows import staff

pytestmark = pytest.mark.django_db(transaction=True)


def _rights(group):
    return {f"{each.content_type.app_label}.{each.codename}" for each in group.permissions.all()}


@pytest.fixture
def before():
    """The database as the release before the renaming left it, migrated forward at the end."""
    call_command("migrate", "emails", "0011", verbosity=0)
    call_command("migrate", "queues", "0011", verbosity=0)
    ContentType.objects.clear_cache()
    yield
    call_command("migrate", verbosity=0)
    ContentType.objects.clear_cache()


def test_groups_keep_the_right_to_view_doctor_runs(before):
    readers = Group.objects.create(name="readers")
    readers.permissions.add(Permission.objects.get(codename="view_checkup"))
    user = staff()
    user.groups.add(readers)

    call_command("migrate", verbosity=0)

    assert _rights(readers) == {"queues.view_doctorrun"}
    assert user.has_perm("queues.view_doctorrun")
    assert not Permission.objects.filter(codename="view_checkup").exists()
    assert "queues.view_doctorrun" in _rights(Group.objects.get(name="support"))


def test_right_that_an_administrator_took_away_stays_away(before):
    support = Group.objects.get(name="support")
    support.permissions.remove(Permission.objects.get(codename="view_checkup"))

    call_command("migrate", verbosity=0)

    assert "queues.view_doctorrun" not in _rights(support)
    assert not RoleGrant.objects.filter(permission="queues.view_checkup").exists()


def test_rows_and_tables_stay(before):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO emails_identitysighting (name, status, since, is_witnessed, seen_at) "
            "VALUES ('example.org', 'SUCCESS', '2026-01-01 00:00:00', %s, '2026-01-01 00:00:00')",
            [False],
        )

    call_command("migrate", verbosity=0)

    assert IdentityStatus.objects.get().name == "example.org"
    assert not DoctorRun.objects.exists()
    kinds = set(ContentType.objects.values_list("app_label", "model"))
    assert {("queues", "doctorrun"), ("emails", "identitystatus")} <= kinds
    assert not {("queues", "checkup"), ("emails", "identitysighting")} & kinds
