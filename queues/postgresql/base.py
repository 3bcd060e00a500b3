"""Django's PostgreSQL backend, with connections that give up a server that hangs.

TCP notices a host that is gone (``tcp_user_timeout`` and keepalives, in settings), but not a server that is frozen, or
a proxy that holds the connection and forwards nothing: there the kernel still answers, and libpq waits for ever.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import psycopg
import psycopg.errors
from django.db.backends.postgresql import base
from psycopg.errors import _WaitTimeout

from queues.postgresql import limits

# For one answer to SELECT 1, to see whether a connection still works.
USABLE_SECONDS = 2.0
# After so long without an answer a page asks whether the server hangs; an answer to that is good for a moment.
ASK_SECONDS = 2.0
REMEMBER_SECONDS = 2.0


class DatabaseWrapper(base.DatabaseWrapper):
    """Limits each statement, in the server and here, by ``queues.postgresql.limits``."""

    def get_new_connection(self, conn_params: Any) -> Any:
        """Connect; the connection raises OperationalError when the server is silent for too long."""
        if limits.asks() and _question.has_just_failed():
            raise psycopg.OperationalError("the server did not answer a moment ago")
        try:
            connection = super().get_new_connection(conn_params)
        except psycopg.errors.ConnectionTimeout:
            _question.hangs()
            raise
        # Django gives no other way to choose the class.
        connection.__class__ = _Connection
        return connection

    def init_connection_state(self) -> None:
        """Tell the server the limits of this process; by SQL, because poolers refuse them at the start."""
        super().init_connection_state()
        here = limits.in_force()
        if here.statement_seconds:
            with self.cursor() as cursor:
                cursor.execute(
                    "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)",
                    [f"{here.statement_seconds * 1000:.0f}", f"{here.lock_seconds * 1000:.0f}"],
                )

    def is_usable(self) -> bool:
        """Ask the server, for a moment only: requests begin and end with this."""
        with limits.within(USABLE_SECONDS):
            return bool(super().is_usable())


class _Connection(psycopg.Connection[Any]):
    """A connection that is closed if an answer takes longer than ``limits.silence_seconds``.

    While a page waits, another connection asks now and then whether the server hangs: a slow statement may go on, but
    a server that hangs must not hold all threads of the web process.
    """

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        seconds = limits.silence_seconds()
        while True:
            part = ASK_SECONDS if seconds and limits.asks() and seconds > ASK_SECONDS else seconds
            try:
                return super().wait(gen, interval, part)
            except _WaitTimeout as exc:
                seconds = (seconds or 0.0) - (part or 0.0)
                if seconds > 0 and _question.is_answered(self):
                    continue
                # The answer may still come: nobody may read it as the answer to another statement.
                self.pgconn.finish()
                raise psycopg.OperationalError("the server has not answered for too long") from exc


class _Question:
    """Ask a server whether it answers anybody; threads that ask at once share the answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hung_at = self._answered_at = -math.inf

    def hangs(self) -> None:
        """Remember that the server did not answer just now."""
        self._hung_at = time.monotonic()

    def has_just_failed(self) -> bool:
        """Return True for a moment after the server did not answer: nobody need wait for it again."""
        return time.monotonic() - self._hung_at < REMEMBER_SECONDS

    def is_answered(self, connection: _Connection) -> bool:
        """Ask over a connection of its own."""
        with self._lock:
            if self.has_just_failed():
                return False
            if time.monotonic() - self._answered_at < REMEMBER_SECONDS:
                return True
            try:
                _ask(connection)
            except psycopg.Error:
                self.hangs()
                return False
            self._answered_at = time.monotonic()
            return True


def _ask(connection: _Connection) -> None:
    here: dict[str, Any] = {
        **connection.info.get_parameters(),
        "password": connection.info.password,
        "connect_timeout": int(USABLE_SECONDS),
    }
    with limits.within(USABLE_SECONDS), _Connection.connect(**here) as other:
        other.execute("SELECT 1")


_question = _Question()
