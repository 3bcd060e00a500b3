"""Which trace the work of this thread belongs to, carried from a request by the event to whatever comes of it.

Written down as W3C Trace Context has it: ``00-<trace id>-<span id>-01``. Spans are made only where an upper app has
given a Tracer (``use``); without one a span costs a function call, and nothing of OpenTelemetry is loaded.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Literal, Protocol

Kind = Literal["server", "producer", "consumer", "client"]

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_NOTHING: AbstractContextManager[Any] = nullcontext()


class Tracer(Protocol):
    """What makes spans; ``emails`` and ``queues`` know no more of it."""

    def span(
        self, name: str, *, kind: Kind, parent: str, attributes: dict[str, str]
    ) -> AbstractContextManager[Any]:
        """A span that is the current one inside; under ``parent``, or where that is empty under the current one."""
        ...

    def traceparent(self) -> str:
        """Of the current span; empty where there is none."""
        ...


_tracer: Tracer | None = None
_continued: ContextVar[str] = ContextVar("traceparent", default="")


def use(tracer: Tracer | None) -> None:
    """Make spans with this from now on; None: no more."""
    global _tracer
    _tracer = tracer


def span(name: str, *, kind: Kind, parent: str = "", **attributes: str) -> Any:
    """A context manager around a piece of work."""
    if _tracer is None:
        return _NOTHING
    return _tracer.span(name, kind=kind, parent=valid(parent), attributes=attributes)


def publishing(queue: str, traceparents: Sequence[str]) -> AbstractContextManager[Any]:
    """Around one call that sends messages of several traces: a span in each."""
    if _tracer is None:
        return _NOTHING
    stack = ExitStack()
    for parent in traceparents:
        stack.enter_context(span(f"publish {queue}", kind="producer", parent=parent))
    return stack


@contextmanager
def continued(traceparent: str) -> Iterator[None]:
    """What is recorded inside belongs to this trace, if it is one."""
    token = _continued.set(valid(traceparent))
    try:
        yield
    finally:
        _continued.reset(token)


def traceparent() -> str:
    """For an event that is made now: in the trace of the current span or request, or in a new one."""
    if _tracer is not None and (current := _tracer.traceparent()):
        return current
    found = _TRACEPARENT.fullmatch(_continued.get())
    return f"00-{found[1] if found else secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def valid(traceparent: str) -> str:
    """Itself, or empty: it comes from strangers."""
    return traceparent if _TRACEPARENT.fullmatch(traceparent) else ""


def current_trace_id() -> str:
    """Of the current span or request; empty outside of both."""
    current = (_tracer.traceparent() if _tracer is not None else "") or _continued.get()
    return current[3:35]
