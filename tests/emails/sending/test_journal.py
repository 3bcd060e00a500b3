import uuid

import pytest
from django.db import OperationalError, connection

from emails.errors import InDoubt
from emails.models import Notification
from emails.sending import journal, notifying, states
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


@pytest.mark.parametrize("text", ["0195", "not-a-uuid 1 ses-1", "a b c d", ""])
def test_damaged_file_is_told_and_set_aside(folder, caplog, text):
    folder.mkdir()
    (folder / "1-x.accepted").write_text(text)

    assert [journal.replay() for _ in range(2)] == [0, 0]
    assert caplog.text.count("unreadable journal") == 1
    assert [file.name for file in folder.iterdir()] == ["1-x.unreadable"]


def test_acceptance_of_an_unknown_notification_changes_nothing(folder):
    journal.write(uuid.uuid4(), 1, "ses-1")

    journal.replay()

    assert not Notification.objects.exists()


def test_database_that_fails_after_ses_accepted_leaves_a_line_on_disk(aws, folder):
    event = place()

    def go_away(execute, sql, params, many, context):
        if sql.startswith('UPDATE "emails_attempt"'):
            raise OperationalError("the database is gone")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(go_away), pytest.raises(OperationalError):
        notifying.notify(event, template="order_confirmation", recipient="ada@example.com")

    assert len(aws.accepted) == 1
    journal.replay()
    assert only().provider_message_id == aws.accepted[0].id
