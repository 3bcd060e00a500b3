"""Remember which message of another producer is being handled: no outbox row knows its id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_message_id: ContextVar[str] = ContextVar("foreign_message_id", default="")


@contextmanager
def handling(message_id: str) -> Iterator[None]:
    """Let handlers inside the block know this SQS message id; empty for a message that our relay sent."""
    token = _message_id.set(message_id)
    try:
        yield
    finally:
        _message_id.reset(token)


def message_id() -> str:
    """Return the SQS message id of the foreign message that is being handled; empty if there is none."""
    return _message_id.get()
