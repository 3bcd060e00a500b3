"""Interrupt a process of the world wherever it meets somebody else: it dies, freezes, or is refused.

Places are the product's own failpoints, each statement of SQL (``sql``), and each call to SQS, SNS and SES, before and
after it is done (``before SendEmail``).
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection

from queues import failpoints

FAILPOINTS = (
    "before_commit",
    "after_outbox_claim",
    "after_publish",
    "after_receive",
    "after_claim",
    "after_ses",
    "after_accept",
    "after_handled",
    "after_collect",
)
BORDERS = tuple(
    f"{when} {operation}"
    for operation in (
        "SendEmail",
        "SendMessageBatch",
        "PublishBatch",
        "ReceiveMessage",
        "DeleteMessageBatch",
    )
    for when in ("before", "after")
)
PLACES = (*FAILPOINTS, *BORDERS, "sql")
KINDS = ("crash", "freeze", "refuse", "refuse once")
_STATEMENTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "BEGIN", "WITH")


class Crash(BaseException):
    """The process ends here: nothing of its own runs any more. Not an Exception, so nothing catches it."""


class Interruptions:
    """One at a time: the ``nth`` time that a process passes a place. It stands in for ``os`` in failpoints."""

    def __init__(self, meanwhile: Callable[[float], None]) -> None:
        self.happened = 0
        self._meanwhile = meanwhile
        self._place = ""
        self._kind = ""
        self._left = 0
        self._seconds = 0.0

    def arm(self, place: str, *, nth: int, kind: str, seconds: float = 0.0) -> None:
        """``crash``; ``freeze``: others act for so many ``seconds``; ``refuse``: SQL fails."""
        self._place, self._left, self._kind, self._seconds = place, nth, kind, seconds
        if place in FAILPOINTS:
            failpoints._counts.clear()
            settings.FAILPOINTS = f"{place}:{nth}"

    def disarm(self) -> None:
        """Forget what is left to do: it belongs to a process that has ended."""
        self._place = settings.FAILPOINTS = ""

    def around(self, place: str) -> None:
        """A process passes here."""
        if place != self._place:
            return
        self._left -= 1
        if self._left <= 0:
            self._happen()

    def around_sql(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """Interrupt a statement of SQL, as ``connection.execute_wrapper``."""
        if self._place == "sql" and sql.startswith(_STATEMENTS):
            self.around("sql")
        return execute(sql, params, many, context)

    # What failpoints use of os.

    def getpid(self) -> int:
        return 0

    def kill(self, pid: int, number: signal.Signals) -> None:
        self._happen()

    def _happen(self) -> None:
        self.happened += 1
        kind, place = self._kind, self._place
        if kind.startswith("refuse") and place == "sql":
            # Otherwise it stays armed: the database is away for the rest of this process's step.
            if kind == "refuse once":
                self.disarm()
            raise OperationalError("the database does not answer")
        if kind == "freeze":
            # Who holds the database's lock cannot be overtaken by others.
            if not connection.in_atomic_block:
                self.disarm()
                self._meanwhile(self._seconds)
            return
        self.disarm()
        raise Crash(place)
