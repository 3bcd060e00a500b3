"""Limit a rate for all processes together: the SQL of a leaky bucket (GCRA) whose whole state is one integer of a row.

The column, ``tat_us``, is the theoretical arrival time: the time at which the next one would come if all came evenly
spaced. It is in microseconds since 1970, on the database's clock, and always an integer: at today's dates a double
resolves only a quarter of a microsecond.

To let one through: if ``is_open``, set the column to ``filled``. Both must stand in one statement, so that the
database locks the row. Source: ITU-T I.371, Generic Cell Rate Algorithm, virtual scheduling.
"""

from __future__ import annotations

from queues.models.sql import clock_us, greatest


def is_open(column: str = "tat_us") -> str:
    """Return the condition that the bucket takes one more now.

    Its one parameter is how far ahead of the clock the column may be, in microseconds: the burst, or the longest wait.
    """
    return f"{column} <= {clock_us()} + %s"


def filled(by: str, column: str = "tat_us") -> str:
    """Return the new value of the column; ``by`` is SQL of the microseconds that what goes through takes up.

    A bucket that was idle starts at the clock, so idle time is not saved up.
    """
    return f"{greatest()}({column}, {clock_us()}) + {by}"


def ahead(column: str = "tat_us") -> str:
    """Return SQL of how far the column is ahead of the clock, in microseconds; negative after idle time."""
    return f"{column} - {clock_us()}"
