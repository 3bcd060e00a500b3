"""Pieces of SQL that are not Django's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from queues.models import OutboxEvent
from queues.models.sql import due_in, unhurried


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
