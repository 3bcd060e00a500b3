"""Which function handles which type of event, and what upper apps hook into the queues."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from queues.errors import UnknownType
from queues.events import Event

Handler = Callable[[Event], None]
Reader = Callable[[str], Event | None]
Measure = Callable[[datetime, datetime], Mapping[str, int]]

_handlers: dict[str, list[Handler]] = {}
_readers: dict[str, Reader] = {}
_at_once: dict[str, int] = {}
_gates: list[Callable[[str], str]] = []
_needs: list[Callable[[str], int | None]] = []
_sweeps: list[Callable[[], int]] = []
_watches: list[Callable[[], int]] = []
_measures: list[Measure] = []
_provisioners: list[Callable[[Callable[[str], None]], None]] = []


def handles(event_type: str) -> Callable[[Handler], Handler]:
    """Register a function for a type of event; several may handle one type, in the order of registering.

    It must be safe to run twice, at once or later. It raises Retry or Reject; any other error is retried.
    """

    def register(handler: Handler) -> Handler:
        _handlers.setdefault(event_type, []).append(handler)
        return handler

    return register


def reads(alias: str, *, at_once: int) -> Callable[[Reader], Reader]:
    """Register a function for the raw bodies of a queue whose messages are no envelopes of ours.

    It raises Retry or Reject as handlers do, and returns the event where there is one. No consumer runs it more than
    ``at_once`` times at once, however many threads it has for other queues.
    """

    def register(reader: Reader) -> Reader:
        _readers[alias], _at_once[alias] = reader, at_once
        return reader

    return register


def provisions(
    provisioner: Callable[[Callable[[str], None]], None],
) -> Callable[[Callable[[str], None]], None]:
    """Register a step of ``manage.py provision``; it is given a function that prints a line."""
    _provisioners.append(provisioner)
    return provisioner


def gates(gate: Callable[[str], str]) -> Callable[[str], str]:
    """Register a function that is asked before each receive: why not now? Empty is: go on."""
    _gates.append(gate)
    return gate


def why_closed(alias: str) -> str:
    """The first reason not to receive from this queue; empty when there is none."""
    return next((reason for gate in _gates if (reason := gate(alias))), "")


def needs(need: Callable[[str], int | None]) -> Callable[[str], int | None]:
    """Register a function that says how many messages of a queue must be handled at once now; None: no idea.

    It is asked about once a second by each consumer whose number of threads is not set.
    """
    _needs.append(need)
    return need


def needed(alias: str) -> int | None:
    """The largest number that anybody needs; None when nobody has an idea."""
    found = [count for need in _needs if (count := need(alias)) is not None]
    return max(found, default=None)


def sweeps(step: Callable[[], int]) -> Callable[[], int]:
    """Register a step that every consumer runs each half minute; it returns how many rows it moved.

    Any number of consumers may run it at once: each change must be a conditional UPDATE.
    """
    _sweeps.append(step)
    return step


def sweep_steps() -> list[Callable[[], int]]:
    """The registered steps, in order."""
    return list(_sweeps)


def watches(step: Callable[[], int]) -> Callable[[], int]:
    """Register a step that looks, counts or tells: no email depends on it. Consumers run it every 15 seconds.

    Any number of consumers may run it at once: ``queues.duties`` lets one of them do it for all.
    """
    _watches.append(step)
    return step


def watch_steps() -> list[Callable[[], int]]:
    """The registered steps, in order."""
    return list(_watches)


def measures(measure: Measure) -> Measure:
    """Register a function that counts what happened from one time to before another: counts by name, which add up.

    It is asked about each minute once, and must look at that minute's rows alone.
    """
    _measures.append(measure)
    return measure


def measures_of_a_span() -> list[Measure]:
    """The registered functions, in order."""
    return list(_measures)


def provisioners() -> list[Callable[[Callable[[str], None]], None]]:
    """The registered steps, in order."""
    return list(_provisioners)


def reader_for(alias: str) -> Reader:
    """The function that takes a raw body from this queue."""
    return _readers.get(alias, dispatch)


def bounded(alias: str, concurrency: int) -> int:
    """So many messages of this queue are handled at once where ``concurrency`` is wanted."""
    return min(concurrency, _at_once.get(alias, concurrency))


def dispatch(body: str) -> Event:
    """Hand an envelope to every handler of its type; raises what they raise, or a Reject."""
    event = Event.from_json(body)
    try:
        handlers = _handlers[event.type]
    except KeyError:
        raise UnknownType(f"no handler for event type {event.type!r}") from None
    for handler in handlers:
        handler(event)
    return event
