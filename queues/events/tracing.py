"""Carry a trace from the request, through the event, to the work that follows from it.

A trace is written in the form of W3C Trace Context: ``00-<trace id>-<span id>-01``. Spans are made only if an upper app
has given a Tracer (``use``). Without one a span costs a function call, and nothing of OpenTelemetry is loaded.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar, copy_context
from typing import Any, Literal, Protocol, TypeVar

Result = TypeVar("Result")
Kind = Literal["server", "producer", "consumer", "client"]

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_NOTHING: AbstractContextManager[Any] = nullcontext()


class Tracer(Protocol):
    """The interface of a tracing library: all that ``emails`` and ``queues`` know of it."""

    def span(
        self, name: str, *, kind: Kind, parent: str, attributes: dict[str, str]
    ) -> AbstractContextManager[Any]:
        """Open a span, current inside the block; its parent is ``parent``, or the current span if that is empty."""
        ...

    def traceparent(self) -> str:
        """Return the traceparent of the current span; empty if there is none."""
        ...


_tracer: Tracer | None = None
_continued: ContextVar[str] = ContextVar("traceparent", default="")


def use(tracer: Tracer | None) -> None:
    """Make spans with this tracer from now on; None turns them off."""
    global _tracer
    _tracer = tracer


def span(name: str, *, kind: Kind, parent: str = "", **attributes: str) -> Any:
    """Return a context manager that makes a span around a piece of work."""
    if _tracer is None:
        return _NOTHING
    return _tracer.span(name, kind=kind, parent=valid(parent), attributes=attributes)


def publishing(queue: str, traceparents: Sequence[str]) -> AbstractContextManager[Any]:
    """Return a context manager for a call that sends messages of several traces; it makes a span in each."""
    if _tracer is None:
        return _NOTHING
    stack = ExitStack()
    for parent in traceparents:
        stack.enter_context(span(f"publish {queue}", kind="producer", parent=parent))
    return stack


class OpenSpan:
    """A span that one thread has begun beside others, and ends when its own piece of work is done."""

    def __init__(self, manager: AbstractContextManager[Any]) -> None:
        # In a context of its own, it is the parent of no other that is open.
        self._context = copy_context()
        self._manager = manager
        self._context.run(manager.__enter__)

    def run(self, call: Callable[[], Result]) -> Result:
        """Call this with the span as the current one."""
        return self._context.run(call)

    def end(self, error: Exception | None = None) -> None:
        """End the span, with what the work raised."""
        kind = type(error) if error else None
        self._context.run(self._manager.__exit__, kind, error, None)


class _NoSpan(OpenSpan):
    def __init__(self) -> None:
        pass

    def run(self, call: Callable[[], Result]) -> Result:
        return call()

    def end(self, error: Exception | None = None) -> None:
        pass


_NO_SPAN = _NoSpan()


def begin(name: str, *, kind: Kind, parent: str = "", **attributes: str) -> OpenSpan:
    """Begin a span around a piece of work while others are open; the caller ends it."""
    if _tracer is None:
        return _NO_SPAN
    return OpenSpan(span(name, kind=kind, parent=parent, **attributes))


@contextmanager
def continued(traceparent: str) -> Iterator[None]:
    """Let events recorded inside the block belong to this trace, if it is a valid one."""
    token = _continued.set(valid(traceparent))
    try:
        yield
    finally:
        _continued.reset(token)


def traceparent() -> str:
    """Return the traceparent for a new event: in the trace of the current span or request, or in a new trace."""
    if current := of_current_span():
        return current
    found = _TRACEPARENT.fullmatch(_continued.get())
    return f"00-{found[1] if found else secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def of_current_span() -> str:
    """Return the traceparent of the current span; empty where there is none, or where no spans are made."""
    return _tracer.traceparent() if _tracer is not None else ""


def valid(traceparent: str) -> str:
    """Return the traceparent if it is well-formed, else an empty text: it may come from strangers."""
    return traceparent if _TRACEPARENT.fullmatch(traceparent) else ""


def current_trace_id() -> str:
    """Return the trace id of the current span or request; empty outside both."""
    return (of_current_span() or _continued.get())[3:35]
