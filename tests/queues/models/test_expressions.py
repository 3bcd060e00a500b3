"""Pieces of SQL that are not Django's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from queues.models import OutboxEvent
from queues.models.sql import due_in, in_one_message, unhurried


def _setting():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('synchronous_commit')")
        return cursor.fetchone()[0]


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_unhurried_statement_holds_and_leaves_the_next_ones_alone():
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 WHERE {unhurried()}")
        assert cursor.fetchall() == [(1,)]

    if connection.vendor == "postgresql":
        assert _setting() == "on"


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_transaction_with_an_unhurried_statement_waits_for_the_disk():
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 WHERE {unhurried()}")
        assert cursor.fetchall() == [(1,)]
        if connection.vendor == "postgresql":
            assert _setting() == "on"


@pytest.mark.django_db
def test_what_is_due_in_no_time_is_due_at_the_same_moment():
    row = OutboxEvent.objects.create(queue="orders", body="{}", available_at=Now())

    OutboxEvent.objects.filter(pk=row.pk).update(
        available_at=due_in(timedelta()), published_at=Now()
    )

    assert OutboxEvent.objects.filter(available_at__lte=F("published_at")).exists()


def _set_tries(tries, *rows):
    with connection.cursor() as cursor:
        for row in rows:
            cursor.execute(
                "UPDATE queues_outboxevent SET tries = %s WHERE id = %s", [tries, row.pk]
            )


@pytest.fixture
def two():
    return [OutboxEvent.objects.create(queue="orders", body="{}", available_at=Now()) for _ in "ab"]


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_message_is_one_transaction(two):
    with CaptureQueriesContext(connection) as queries, in_one_message():
        _set_tries(7, *two)

    assert set(OutboxEvent.objects.values_list("tries", flat=True)) == {7}
    if connection.vendor == "postgresql":
        assert queries[-1]["sql"].count("UPDATE") == 2


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_nothing_of_a_message_is_saved_whose_last_statement_fails(two):
    with pytest.raises(IntegrityError), in_one_message():
        _set_tries(7, two[0])
        _set_tries(-1, two[1])

    assert set(OutboxEvent.objects.values_list("tries", flat=True)) == {0}


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_message_whose_block_fails_is_not_sent(two):
    with pytest.raises(ZeroDivisionError), in_one_message():
        _set_tries(7, *two)
        _ = 1 / 0

    assert set(OutboxEvent.objects.values_list("tries", flat=True)) == {0}


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_message_is_parted_where_parameters_go_apart(two, monkeypatch):
    options = connection.settings_dict["OPTIONS"]
    monkeypatch.setitem(
        connection.settings_dict, "OPTIONS", options | {"server_side_binding": True}
    )

    with CaptureQueriesContext(connection) as queries, in_one_message():
        _set_tries(7, *two)

    assert set(OutboxEvent.objects.values_list("tries", flat=True)) == {7}
    assert [query["sql"] for query in queries][-1] == "COMMIT"
