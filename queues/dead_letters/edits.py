"""Correct the data of an open dead letter; its envelope, and so its event id, stays.

``original_body`` keeps the first body. Apps that acted on the old data learn of the new data in the same transaction,
and may refuse the edit: see ``registry.correctors``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from pydantic import ValidationError

from queues import registry
from queues.dead_letters.collecting import stake_fields
from queues.errors import BadEnvelope, Reject, Uncorrectable
from queues.events import envelope
from queues.events.envelope import Event
from queues.models import DeadLetter

# The log names this many changed fields; more of them make it another event.
MAX_NAMED_FIELDS = 20


@dataclass(frozen=True)
class Draft:
    """A dead letter with new data that fits its event type; ``fields`` names the changed fields."""

    letter: DeadLetter
    body: str
    event: Event
    fields: Sequence[str]

    @property
    def summary(self) -> str:
        """The changed fields without their values, so that the log may keep it."""
        named = [field[:100] for field in self.fields[:MAX_NAMED_FIELDS]]
        more = len(self.fields) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")


def objection(letter: DeadLetter) -> str:
    """Tell staff why this dead letter cannot be edited; returns an empty text if it can."""
    if letter.state != DeadLetter.State.OPEN:
        return f"This dead letter is {letter.get_state_display().lower()}; only open ones can be edited."
    if not registry.takes_envelopes(letter.queue):
        return "The messages of this queue are not events, so their data cannot be edited."
    try:
        event = _envelope(letter)
        envelope.data_type(event.type)
    except Reject as exc:
        return f"Only the data can be edited, but more than the data is wrong: {exc}"
    return registry.why_protected(event.id)


def envelope_fields(letter: DeadLetter) -> dict[str, Any]:
    """Return the body without its data. Call it only if there is no objection."""
    return {
        name: value for name, value in envelope.json_object(letter.body).items() if name != "data"
    }


def data(letter: DeadLetter) -> str:
    """Return the data as text to edit. Call it only if there is no objection."""
    value = envelope.json_object(letter.body).get("data")
    return json.dumps(value, indent=2, ensure_ascii=False)


def problems(letter: DeadLetter, new: dict[str, Any]) -> list[str]:
    """List what is wrong with the new data, field by field; empty if it fits. Call it only if there is no objection."""
    try:
        envelope.data_type(_envelope(letter).type).model_validate(new)
    except ValidationError as exc:
        return envelope.problems(exc)
    try:
        body = _with_data(letter, new)
        Event.from_json(body)
    except Reject as exc:
        return [str(exc)]
    if len(body.encode()) > envelope.MAX_BYTES:
        return [
            f"The message would have {len(body.encode())} bytes; the limit is {envelope.MAX_BYTES}."
        ]
    if not list(_changed(envelope.json_object(letter.body).get("data"), new)):
        return ["You changed nothing. To send it as it is, redrive it."]
    return []


def draft(letter: DeadLetter, new: dict[str, Any]) -> Draft:
    """Return the dead letter with the new data. Call it only if there are no problems."""
    body = _with_data(letter, new)
    fields = list(_changed(envelope.json_object(letter.body).get("data"), new))
    return Draft(letter, body, Event.from_json(body), fields)


@transaction.atomic
def save(draft: Draft) -> None:
    """Save the draft; raises Uncorrectable if the dead letter has changed meanwhile or an app refuses the edit."""
    letter = draft.letter
    same = DeadLetter.objects.filter(pk=letter.pk, state=DeadLetter.State.OPEN, body=letter.body)
    changes = stake_fields(draft.event.model().stake())
    if not same.update(
        body=draft.body, original_body=letter.original_body or letter.body, **changes
    ):
        raise Uncorrectable("Somebody else has edited, redriven or discarded this dead letter.")
    for correct in registry.correctors:
        correct(draft.event)


def _envelope(letter: DeadLetter) -> Event:
    """Return the event without its data; raises BadEnvelope."""
    value = envelope.json_object(letter.body) | {"data": {}}
    try:
        return Event.model_validate(value)
    except ValidationError as exc:
        raise BadEnvelope(envelope.summary(exc)) from exc


def _with_data(letter: DeadLetter, new: dict[str, Any]) -> str:
    value = envelope.json_object(letter.body) | {"data": new}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _changed(old: object, new: object, name: str = "") -> Iterator[str]:
    """Yield the path of each field that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            yield from _changed(old.get(key, ...), new.get(key, ...), f"{name}.{key}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _changed(before, after, f"{name}.{index}".lstrip("."))
    elif type(old) is not type(new) or old != new:
        yield name or "data"
