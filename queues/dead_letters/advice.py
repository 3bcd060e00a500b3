"""Tell staff what a cause of dead letters means, how to fix it, and which act helps.

``docs/how-to/dead-letters.md`` mirrors this table.

Upper apps explain their own causes: see ``registry.advisers``.
"""

from __future__ import annotations

import re
from dataclasses import replace

from django.utils.text import Truncator

from queues import registry
from queues.answers import Advice, Cause

# What differs from message to message and would make a title longer, not clearer.
_UNTOLD = re.compile(r"\S+@\S+|[0-9a-f]{8}-[0-9a-f-]{27}")
_TYPE = re.compile(r"'([\w.-]+)'")
MOST_CHARACTERS = 70


def advise(cause: Cause) -> Advice:
    """Return the advice for a cause: ours, an upper app's, or at last the advice to read the log."""
    if cause.code == "UnknownType":
        return _unknown_type(cause)
    if cause.code in _TABLE:
        return _TABLE[cause.code]
    answers = (adviser(cause) for adviser in registry.advisers)
    return next(filter(None, answers), UNEXPECTED)


def title(cause: Cause) -> str:
    """Return one line that tells this cause from others; it names no person, so everybody may read it."""
    advice = advise(cause)
    if advice.is_specific:
        return advice.words
    said = " ".join(_UNTOLD.sub("…", cause.reason).split())
    if advice is UNEXPECTED or not said:
        said = f"{cause.code}: {said}".rstrip(": ")
    return f"{advice.words}: {Truncator(said).chars(MOST_CHARACTERS)}" if said else advice.words


def _unknown_type(cause: Cause) -> Advice:
    """Advise by whether this release handles the type: then it was upgraded meanwhile, and a redrive helps."""
    found = _TYPE.search(cause.reason)
    if not found:
        return _NO_HANDLER
    name = found[1]
    if registry.handlers_of(name):
        return Advice(
            f"Nobody handled {name}",
            "This release handles it. When all consumers run this release, redrive.",
            is_specific=True,
        )
    return replace(_NO_HANDLER, words=f"Nobody handles {name}", is_specific=True)


_DATABASE = Advice(
    "The database did not answer",
    "Fix the database, then redrive.",
)
_NO_HANDLER = Advice(
    "No handler for this type or version of event",
    "Park them until the consumers run a release that handles it, then redrive. A redrive before that fails again.",
    act="park",
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
        act="edit",
    ),
    "BadEnvelope": Advice(
        "The message is not an event",
        "Tell the producer, then discard it. It cannot be edited: nobody knows which event it should have been.",
        act="discard",
    ),
    "Died": Advice(
        "The consumer died each time",
        "Read the supervisor's log of that time: the process was killed, ran out of memory, or this message "
        "crashes it. Fix that, then redrive one dead letter before the others.",
        is_specific=True,
    ),
    "NoRecord": Advice(
        "No failure was recorded",
        "Somebody put it into the dead-letter queue by hand, or its consumer died at its only receive. Read the "
        "consumers' log of that time, then redrive.",
        is_specific=True,
    ),
    "OperationalError": _DATABASE,
    "InterfaceError": _DATABASE,
    "QueueUnavailable": Advice("SQS did not answer", "Fix what the reason names, then redrive."),
    "QueueMissing": Advice("A queue is missing", "Run “manage.py provision”, then redrive."),
    "": Advice(
        "No cause is known",
        "Read a dead letter and the consumers' log of its time, then redrive it.",
        is_specific=True,
    ),
}
