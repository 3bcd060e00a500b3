"""Tell staff what a cause of dead letters means and how to fix it.

``docs/how-to/dead-letters.md`` mirrors this table.

Upper apps explain their own causes: see ``registry.advisers``.
"""

from __future__ import annotations

from queues import registry
from queues.answers import Advice, Cause


def advise(cause: Cause) -> Advice:
    """Return the advice for a cause: ours, an upper app's, or at last the advice to read the log."""
    if cause.code in _TABLE:
        return _TABLE[cause.code]
    answers = (adviser(cause) for adviser in registry.advisers)
    return next(filter(None, answers), UNEXPECTED)


_DATABASE = Advice(
    "The database did not answer",
    "Fix the database, then redrive.",
)
UNEXPECTED = Advice(
    "An unexpected error in a handler",
    "Find the traceback in the consumers' log, under “handler failed”. Fix the code, restart the consumers, then "
    "redrive.",
)
_TABLE = {
    "BadData": Advice(
        "The data does not fit its event type",
        "Tell the producer which field is wrong. Edit and redrive the dead letters that are worth it, and discard "
        "the others: a redrive alone sends the same body.",
    ),
    "BadEnvelope": Advice(
        "The message is not an event",
        "Tell the producer, then discard it. It cannot be edited: nobody knows which event it should have been.",
    ),
    "UnknownType": Advice(
        "No handler for this type or version of event",
        "Upgrade the consumers to a release that handles it, then redrive.",
    ),
    "Died": Advice(
        "The consumer died each time",
        "Read the supervisor's log of that time: the process was killed, ran out of memory, or this message "
        "crashes it. Fix that, then redrive one dead letter before the others.",
    ),
    "NoRecord": Advice(
        "No failure was recorded",
        "Somebody put it into the dead-letter queue by hand, or its consumer died at its only receive. Read the "
        "consumers' log of that time, then redrive.",
    ),
    "OperationalError": _DATABASE,
    "InterfaceError": _DATABASE,
    "QueueUnavailable": Advice("SQS did not answer", "Fix what the reason names, then redrive."),
    "QueueMissing": Advice("A queue is missing", "Run “manage.py provision”, then redrive."),
    "": Advice(
        "No cause is known",
        "Read a dead letter and the consumers' log of its time, then redrive it.",
    ),
}
