"""Pieces of SQL that are not Django's."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from queues.expressions import unhurried


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
