"""Django's PostgreSQL backend, with connections that give up a server that hangs.

TCP notices a host that is gone (``tcp_user_timeout`` and keepalives, in settings), but not a server that is frozen, or
a proxy that holds the connection and forwards nothing: there the kernel still answers, and libpq waits for ever.
"""

from __future__ import annotations

from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg.errors import _WaitTimeout

from queues.postgresql import limits

# For one answer to SELECT 1, to see whether a connection still works.
USABLE_SECONDS = 2.0


class DatabaseWrapper(base.DatabaseWrapper):
    """Limits each statement, in the server and here, by ``queues.postgresql.limits``."""

    def get_new_connection(self, conn_params: Any) -> Any:
        """Connect; the connection raises OperationalError when the server is silent for too long."""
        connection = super().get_new_connection(conn_params)
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
    """A connection that is closed if an answer takes longer than ``limits.silence_seconds``."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        seconds = limits.silence_seconds() if timeout is None else timeout
        try:
            return super().wait(gen, interval, seconds)
        except _WaitTimeout as exc:
            if timeout is not None:
                raise
            # The answer may still come: nobody may read it as the answer to another statement.
            self.pgconn.finish()
            raise psycopg.OperationalError(
                f"the server has not answered for {seconds:.0f} s"
            ) from exc
