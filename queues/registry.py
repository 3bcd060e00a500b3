"""Let upper apps hook into the queues: handlers of events, and functions that the queues call or ask.

The queues import no other app. An upper app registers a function here with a decorator, and the queues call it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from uuid import UUID

from queues.answers import Advice, Bucket, Cause, Outcome, Preview, Section
from queues.errors import UnknownType
from queues.events.envelope import Event

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

F = TypeVar("F", bound=Callable[..., object])


class Hook(Generic[F]):
    """Functions that upper apps register, in order; the hook itself is the decorator."""

    def __init__(self) -> None:
        self._functions: list[F] = []

    def __call__(self, function: F) -> F:
        self._functions.append(function)
        return function

    def __iter__(self) -> Iterator[F]:
        return iter(self._functions)


Handler = Callable[[Event], None]
Reader = Callable[[str], Event | None]


class Together(Protocol):
    """Handle many events at once, in place of the only handler of their type.

    The functions that it returns raise what handlers raise.
    """

    @property
    def is_possible(self) -> bool:
        """True if events can be handled together now; else each is handled alone."""
        ...

    def plan(self, event: Event) -> Any:
        """Say what the event leads to, and change nothing."""
        ...

    def carry_out(self, plans: Sequence[Any]) -> Mapping[UUID, Callable[[], None]]:
        """Do what these plans say, and mark their events handled; returns functions that finish the others, by event.

        Never raises: an event whose fate is open gets a function that acts as its handler.
        """
        ...


class Preflight(Protocol):
    """Say what would happen to events if they were handled now; made anew for each look at many dead letters.

    ``notes`` say what could not be found out.
    """

    notes: list[str]

    def __call__(self, events: Sequence[Event]) -> Mapping[UUID, Bucket]:
        """Return the bucket of each event that this app can tell of."""
        ...


# --- What consumers ask and run

# Asked with the alias of a queue before each receive: why not now? An empty answer means: go on.
gates: Hook[Callable[[str], str]] = Hook()

# Asked with the alias of a queue: how many of its messages must be handled at once now? None means: no idea.
# Each consumer whose number of threads is not set asks about once a second.
needs: Hook[Callable[[str], int | None]] = Hook()

# Steps that every consumer runs each half minute; each returns how many rows it moved.
# Any number of consumers may run a step at once: each change must be a conditional UPDATE.
sweeps: Hook[Callable[[], int]] = Hook()

# Steps that look, count or tell: no email depends on them. Consumers run them every 15 seconds.
# Any number of consumers may run a step at once: ``queues.upkeep.duties`` lets one of them do it for all.
watches: Hook[Callable[[], int]] = Hook()

# Steps of what staff ask for in the admin; each returns 0 when there is nothing to do. One process of each consumer
# repeats them every 2 seconds, and at once while there is work. They share a thread: a step takes about a second.
jobs: Hook[Callable[[], int]] = Hook()

# Functions that count what happened from one time (included) to another (not included): counts by name, which
# add up. Each is asked once about each minute, and must look at the rows of that minute only.
measures: Hook[Callable[[datetime, datetime], Mapping[str, int]]] = Hook()

# Steps of ``manage.py provision``; each is given a function that prints a line.
provisioners: Hook[Callable[[Callable[[str], None]], None]] = Hook()

# --- What dead letters and redrives ask

# Say what became of handled events, as far as they know these events; each uses few queries.
outcome_tellers: Hook[Callable[[Collection[UUID]], Mapping[UUID, Outcome]]] = Hook()

# Say what a cause of dead letters means and what fixes it. None means: the cause belongs to somebody else.
advisers: Hook[Callable[[Cause], Advice | None]] = Hook()

# Say which of these recipients' domains are fixed, so that their dead letters wait for a redrive only. From what is
# known already: a page asks.
domain_checkers: Hook[Callable[[Collection[str]], Collection[str]]] = Hook()

# Make a new Preflight, which must change nothing.
preflights: Hook[Callable[[], Preflight]] = Hook()

# Learn that an event's data was wrong and is now as in this event; called in the transaction of the edit.
# They raise Uncorrectable where the result of the old data cannot be taken back.
correctors: Hook[Callable[[Event], None]] = Hook()

# Say why the data of an event must stay as it is. An empty answer means: it may be corrected.
protectors: Hook[Callable[[UUID], str]] = Hook()

# Show what an event will make, without making it.
previewers: Hook[Callable[[Event], Sequence[Preview]]] = Hook()

# Give tables of what else is known of an event, for the page of its dead letter.
# They leave out what the user may not see.
detailers: Hook[Callable[[HttpRequest, UUID], Iterable[Section]]] = Hook()

# --- What pages ask before acts with a wide reach

# Return a page that asks the user for a proof of who they are; None if they gave one a short while ago.
proofs: Hook[Callable[[HttpRequest], HttpResponse | None]] = Hook()

# Folders where ``load`` does not look: a consumer must stay small, and must not import the admin. The admin imports
# what registers in ``pages``.
NOT_OF_CONSUMERS = {
    "__pycache__",
    "doctor",
    "management",
    "migrations",
    "pages",
    "static",
    "templatetags",
}

_handlers: dict[str, list[Handler]] = {}
_together: dict[str, Together] = {}
_readers: dict[str, Reader] = {}


def handles(event_type: str) -> Callable[[Handler], Handler]:
    """Register a function for a type of event; several may handle one type, in the order of registering.

    It must be safe to run twice, at once or later. It raises Retry or Reject; any other error is retried.
    """

    def register(handler: Handler) -> Handler:
        _handlers.setdefault(event_type, []).append(handler)
        return handler

    return register


def handles_together(event_type: str, together: Together) -> None:
    """Let many events of this type be handled at once, as long as the type has one handler only."""
    _together[event_type] = together


def together(event_type: str) -> Together | None:
    """Return what handles many events of this type at once; None if each must be handled alone."""
    found = _together.get(event_type) if len(_handlers.get(event_type, ())) == 1 else None
    return found if found and found.is_possible else None


def reads(alias: str) -> Callable[[Reader], Reader]:
    """Register a function for the raw bodies of a queue whose messages are not our envelopes.

    It raises Retry or Reject as handlers do, and returns the event where there is one.
    """

    def register(reader: Reader) -> Reader:
        _readers[alias] = reader
        return reader

    return register


def why_closed(alias: str) -> str:
    """Return the first reason not to receive from this queue; empty when there is none."""
    return next((reason for gate in gates if (reason := gate(alias))), "")


def needed(alias: str) -> int | None:
    """Return the largest number that any of the ``needs`` names; None when none of them has an idea."""
    found = [count for need in needs if (count := need(alias)) is not None]
    return max(found, default=None)


def outcomes(event_ids: Collection[UUID]) -> dict[UUID, Outcome]:
    """Return what became of these events; an event that is missing led to nothing that any app knows of."""
    found: dict[UUID, Outcome] = {}
    for tell in outcome_tellers if event_ids else ():
        found |= tell(event_ids)
    return found


def make_preflights() -> list[Preflight]:
    """Return one new Preflight from each function that makes one."""
    return [make() for make in preflights]


def why_protected(event_id: UUID) -> str:
    """Return the first reason not to correct this event; empty when there is none."""
    return next((reason for protector in protectors if (reason := protector(event_id))), "")


def ask_for_proof(request: HttpRequest) -> HttpResponse | None:
    """Return the page that asks for a proof before an act with a wide reach; None: the act may go on.

    The page brings the fields of a POST along: when the proof is right, the same view is called again with them.
    """
    return next((page for proof in proofs if (page := proof(request))), None)


def handlers_of(event_type: str) -> list[Handler]:
    """Return the functions that handle this type; none where nobody does."""
    return list(_handlers.get(event_type, ()))


def takes_envelopes(alias: str) -> bool:
    """Say whether the messages of this queue are our own events."""
    return alias not in _readers


def reader_for(alias: str) -> Reader:
    """Return the function that takes a raw body from this queue."""
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


def load(app: str) -> None:
    """Import the modules of an app that register something; called in its ``ready()``.

    Their source text tells which they are, so nothing else is imported. Raises RuntimeError when there are none:
    without its source files an app would register nothing, and nobody would notice.
    """
    found = registrars(Path(import_module(app).__path__[0]))
    if not found:
        raise RuntimeError(
            f"no module of {app} registers anything: are its source files installed?"
        )
    for module in found:
        import_module(f"{app}.{module}")


def registrars(folder: Path) -> list[str]:
    """Return the modules of an app, by their names within its folder, that use a decorator of registration.

    Those are the hooks, ``handles`` and ``reads`` of this module, ``register`` of Django's checks and of
    ``orders.email_status``, ``sends`` of ``emails.sending.together``, and ``bars`` of ``emails.versions.drafts``.
    """
    hooks = [name for name, value in globals().items() if isinstance(value, Hook)]
    names = "|".join([*hooks, "handles", "reads", "register", "sends", "bars"])
    used = re.compile(
        rf"^@(?:registry\.|email_status\.)?(?:{names})\b(?!\.)".encode(), re.MULTILINE
    )
    found = [path for path in _sources(folder) if used.search(path.read_bytes())]
    return sorted(".".join(path.relative_to(folder).with_suffix("").parts) for path in found)


def _sources(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in NOT_OF_CONSUMERS]
        yield from (
            Path(parent, name) for name in files if name.endswith(".py") and name != "admin.py"
        )
