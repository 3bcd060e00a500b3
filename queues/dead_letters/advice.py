"""What a cause of dead letters means, and what mends it: one table, which ``docs/how-to/dead-letters.md`` mirrors.

Causes of upper apps are theirs: see ``registry.advisers``.
"""

from __future__ import annotations

from queues import registry
from queues.answers import Advice, Cause


def advise(cause: Cause) -> Advice:
    """Somebody always has an answer; the last is to read the log."""
    if cause.code in _TABLE:
        return _TABLE[cause.code]
    answers = (adviser(cause) for adviser in registry.advisers)
    return next(filter(None, answers), UNEXPECTED)


_DATABASE = Advice(
    "The database did not answer",
    "Mend the database, then redrive.",
)
UNEXPECTED = Advice(
    "An unexpected error in a handler",
    "Its traceback is in the consumers' log, under “handler failed”. Mend the code, restart the consumers, then "
    "redrive.",
)
_TABLE = {
    "BadData": Advice(
        "The data does not fit its type of event",
        "Tell its producer which field is wrong. Edit and redrive a letter that is worth it; discard the others: a "
        "redrive sends the same body.",
    ),
    "BadEnvelope": Advice(
        "The message is no event",
        "Tell its producer, then discard it. It cannot be edited: nobody knows what it was to be.",
    ),
    "UnknownType": Advice(
        "Nobody handles this type or version of event",
        "Upgrade the consumers to the release that handles it, then redrive.",
    ),
    "Died": Advice(
        "Its consumer died each time",
        "Look at the supervisor's log of that time: the process was killed, ran out of memory, or this message "
        "brings it down. Mend that, then redrive one letter before the others.",
    ),
    "NoRecord": Advice(
        "No failure was recorded",
        "It was put into the dead-letter queue by hand, or its consumer died at its only receive. Look at the "
        "consumers' log of that time, then redrive.",
    ),
    "OperationalError": _DATABASE,
    "InterfaceError": _DATABASE,
    "QueueUnavailable": Advice(
        "SQS did not answer", "See what the reason names; mend it, then redrive."
    ),
    "QueueMissing": Advice("A queue is missing", "Run “manage.py provision”, then redrive."),
    "": Advice(
        "No cause is known", "Read a letter and the consumers' log of its time, then redrive it."
    ),
}
