import errno
import os
import time
import uuid

import pytest
from django.db import InterfaceError, OperationalError, connection

from emails.doctor import checks
from emails.errors import InDoubt
from emails.models import Notification
from emails.sending import journal, notifying, states
from queues.doctor.findings import Verdict
from tests.support.owed import claimed, only, owed, place

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.JOURNAL_DIR = str(tmp_path / "journal")
    return tmp_path / "journal"


def test_what_was_kept_on_disk_is_told_to_the_database_once(folder):
    held = claimed(owed(place()))
    journal.write(held.notification.pk, held.attempt, "ses-1")

    assert [journal.replay() for _ in range(2)] == [1, 0]
    assert (only().state, only().provider_message_id) == (Notification.State.SENT, "ses-1")
    assert list(folder.iterdir()) == []


def test_doubt_ends_when_the_journal_is_replayed(folder):
    held = claimed(owed(place()))
    states.doubt(held, InDoubt("lost"))
    journal.write(held.notification.pk, held.attempt, "ses-1")

    journal.replay()

    assert only().state == Notification.State.SENT


@pytest.mark.parametrize("text", ["0195", "not-a-uuid 1 ses-1", "a b c d"])
def test_damaged_file_is_told_and_set_aside(folder, caplog, text):
    folder.mkdir()
    (folder / "1-x.accepted").write_text(text)

    assert [journal.replay() for _ in range(2)] == [0, 0]
    assert caplog.text.count("unreadable journal") == 1
    assert [file.name for file in folder.iterdir()] == ["1-x.unreadable"]


def test_damaged_file_is_shown_by_the_doctor_until_a_person_deletes_it(folder):
    folder.mkdir()
    assert [finding.key for finding in checks.sending_now()] == ["ses.journal"]

    (folder / "1-x.accepted").write_text("0195")
    journal.replay()

    [finding] = checks.sending_now()
    assert (finding.key, finding.verdict) == ("ses.journal_unreadable", Verdict.WARNING)
    assert "1-x.unreadable" in finding.what


@pytest.mark.parametrize("name", ["1-x.accepted", "1-x.unreadable"])
def test_empty_file_that_a_full_disk_left_is_deleted(folder, name):
    folder.mkdir()
    (folder / name).touch()

    assert journal.replay() == 0

    assert list(folder.iterdir()) == []


def acceptance_of(notification_id):
    return states.Acceptance(notification_id, 1, "ses-1")


def test_full_disk_leaves_no_file_and_the_error_of_the_database_stays(folder, monkeypatch, caplog):
    def is_full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", is_full)

    with pytest.raises(OperationalError), journal.unsaved([acceptance_of(uuid.uuid4())]):
        raise OperationalError("the database is gone")

    assert "not kept on disk" in caplog.text
    assert list(folder.iterdir()) == []


def test_file_of_a_process_that_still_writes_is_left_alone_until_it_must_have_died(folder):
    held = claimed(owed(place()))
    folder.mkdir()
    part = folder / "1-x.part"
    part.write_text(f"{held.notification.pk} {held.attempt} ses-1\n")
    assert journal.replay() == 0

    os.utime(part, (0, time.time() - journal.PART_SECONDS - 1))

    assert journal.replay() == 1
    assert only().provider_message_id == "ses-1"
    assert list(folder.iterdir()) == []


def test_process_that_is_ended_while_the_database_hangs_leaves_the_acceptance_on_disk(folder):
    held = claimed(owed(place()))

    with journal.unsaved([acceptance_of(held.notification.pk)]):
        journal.write_unsaved()
    journal.write_unsaved()

    assert len(list(folder.iterdir())) == 1
    assert journal.replay() == 1
    assert only().state == Notification.State.SENT


def test_acceptance_of_an_unknown_notification_changes_nothing(folder):
    journal.write(uuid.uuid4(), 1, "ses-1")

    journal.replay()

    assert not Notification.objects.exists()


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_database_that_fails_after_ses_accepted_leaves_a_line_on_disk(aws, folder, error):
    event = place()

    def go_away(execute, sql, params, many, context):
        if sql.startswith('UPDATE "emails_attempt"'):
            raise error("the database is gone")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(go_away), pytest.raises(error):
        notifying.notify(event, template="order_confirmation", recipient="ada@example.com")

    assert len(aws.accepted) == 1
    journal.replay()
    assert only().provider_message_id == aws.accepted[0].id
