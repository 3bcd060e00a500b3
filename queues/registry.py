"""Which function handles which type of event, and what upper apps hook into the queues."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from uuid import UUID

from queues.errors import UnknownType
from queues.events import Event
from queues.outcomes import Outcome

Handler = Callable[[Event], None]
Reader = Callable[[str], Event | None]
Teller = Callable[[Collection[UUID]], Mapping[UUID, Outcome]]

_handlers: dict[str, list[Handler]] = {}
_readers: dict[str, Reader] = {}
_gates: list[Callable[[str], str]] = []
_needs: list[Callable[[str], int | None]] = []
_tellers: list[Teller] = []
_sweeps: list[Callable[[], int]] = []
_provisioners: list[Callable[[Callable[[str], None]], None]] = []


def handles(event_type: str) -> Callable[[Handler], Handler]:
    """Register a function for a type of event; several may handle one type, in the order of registering.

    It must be safe to run twice, at once or later. It raises Retry or Reject; any other error is retried.
    """

    def register(handler: Handler) -> Handler:
        _handlers.setdefault(event_type, []).append(handler)
        return handler

    return register


def reads(alias: str) -> Callable[[Reader], Reader]:
    """Register a function for the raw bodies of a queue whose messages are no envelopes of ours.

    It raises Retry or Reject as handlers do, and returns the event where there is one.
    """

    def register(reader: Reader) -> Reader:
        _readers[alias] = reader
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


def tells_outcomes(teller: Teller) -> Teller:
    """Register a function that says what became of handled events, as far as it knows them; in few queries."""
    _tellers.append(teller)
    return teller


def outcomes(event_ids: Collection[UUID]) -> dict[UUID, Outcome]:
    """What became of these; an event that is missing led to nothing that anybody knows of."""
    found: dict[UUID, Outcome] = {}
    for teller in _tellers if event_ids else []:
        found |= teller(event_ids)
    return found


def sweeps(step: Callable[[], int]) -> Callable[[], int]:
    """Register a step that every consumer runs each half minute; it returns how many rows it moved.

    Any number of consumers may run it at once: each change must be a conditional UPDATE.
    """
    _sweeps.append(step)
    return step


def sweep_steps() -> list[Callable[[], int]]:
    """The registered steps, in order."""
    return list(_sweeps)


def provisioners() -> list[Callable[[Callable[[str], None]], None]]:
    """The registered steps, in order."""
    return list(_provisioners)


def reader_for(alias: str) -> Reader:
    """The function that takes a raw body from this queue."""
    return _readers.get(alias, dispatch)


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
