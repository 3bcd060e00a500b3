"""Which function handles which type of event, and what upper apps hook into the queues."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from queues.answers import Outcome
from queues.errors import UnknownType
from queues.events.envelope import Event

if TYPE_CHECKING:
    from django.http import HttpRequest

    from queues.answers import Advice, Bucket, Cause, Preview, Section

Handler = Callable[[Event], None]
Reader = Callable[[str], Event | None]
Teller = Callable[[Collection[UUID]], Mapping[UUID, Outcome]]


class Preflight(Protocol):
    """What would come of events if they were handled now; made anew for each look at many letters.

    ``notes`` say what could not be found out.
    """

    notes: list[str]

    def __call__(self, events: Sequence[Event]) -> Mapping[UUID, Bucket]:
        """The bucket of each event that this app can tell of."""
        ...


Adviser = Callable[["Cause"], "Advice | None"]
Corrector = Callable[[Event], None]
Protector = Callable[[UUID], str]
Previewer = Callable[[Event], Sequence["Preview"]]
Detailer = Callable[["HttpRequest", UUID], Iterable["Section"]]
Measure = Callable[[datetime, datetime], Mapping[str, int]]

_handlers: dict[str, list[Handler]] = {}
_readers: dict[str, Reader] = {}
_gates: list[Callable[[str], str]] = []
_needs: list[Callable[[str], int | None]] = []
_tellers: list[Teller] = []
_sweeps: list[Callable[[], int]] = []
_watches: list[Callable[[], int]] = []
_measures: list[Measure] = []
_provisioners: list[Callable[[Callable[[str], None]], None]] = []
_advisers: list[Adviser] = []
_preflights: list[Callable[[], Preflight]] = []
_correctors: list[Corrector] = []
_protectors: list[Protector] = []
_previewers: list[Previewer] = []
_detailers: list[Detailer] = []


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


def advises(adviser: Adviser) -> Adviser:
    """Register a function that says what a cause of dead letters means and what mends it; None: not its cause."""
    _advisers.append(adviser)
    return adviser


def preflights(look_ahead: Callable[[], Preflight]) -> Callable[[], Preflight]:
    """Register what makes a Foresight; it must change nothing."""
    _preflights.append(look_ahead)
    return look_ahead


def corrects(corrector: Corrector) -> Corrector:
    """Register a function that learns, in the transaction of the edit, that an event's data was wrong and is this.

    It raises Uncorrectable where what came of the old data cannot be taken back.
    """
    _correctors.append(corrector)
    return corrector


def protects(protector: Protector) -> Protector:
    """Register a function that says why an event's data must stay as it is; empty: it may be corrected."""
    _protectors.append(protector)
    return protector


def previews(previewer: Previewer) -> Previewer:
    """Register a function that shows what an event will make, without making it."""
    _previewers.append(previewer)
    return previewer


def details(detailer: Detailer) -> Detailer:
    """Register a function that gives the tables of what else is known of an event, for its dead letter's page.

    It leaves out what the user may not see.
    """
    _detailers.append(detailer)
    return detailer


def advisers() -> list[Adviser]:
    """The registered functions, in order."""
    return list(_advisers)


def make_preflights() -> list[Preflight]:
    """One of each, new."""
    return [make() for make in _preflights]


def correctors() -> list[Corrector]:
    """The registered functions, in order."""
    return list(_correctors)


def why_protected(event_id: UUID) -> str:
    """The first reason not to correct this event; empty when there is none."""
    return next((reason for protector in _protectors if (reason := protector(event_id))), "")


def previewers() -> list[Previewer]:
    """The registered functions, in order."""
    return list(_previewers)


def detailers() -> list[Detailer]:
    """The registered functions, in order."""
    return list(_detailers)


def handlers_of(event_type: str) -> list[Handler]:
    """The functions that handle this type; none where nobody does."""
    return list(_handlers.get(event_type, ()))


def takes_envelopes(alias: str) -> bool:
    """Whether the messages of this queue are events of ours."""
    return alias not in _readers


def sweep_steps() -> list[Callable[[], int]]:
    """The registered steps, in order."""
    return list(_sweeps)


def watches(step: Callable[[], int]) -> Callable[[], int]:
    """Register a step that looks, counts or tells: no email depends on it. Consumers run it every 15 seconds.

    Any number of consumers may run it at once: ``queues.upkeep.duties`` lets one of them do it for all.
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
