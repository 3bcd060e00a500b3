"""Database connections of threads that live as long as their process."""

from __future__ import annotations

from django.db import connection


def mend() -> None:
    """Give this thread's connection up if it failed; the next query opens another.

    Django's own way, at the end of a request, would open one for each message.
    """
    if connection.errors_occurred:
        connection.close_if_unusable_or_obsolete()
