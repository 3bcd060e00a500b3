"""Correct the data of an open dead letter; its envelope, and so its event id, stays.

What came first is kept in ``original_body``. Whoever made something of the old data learns of the new in the same
transaction, and may refuse: see ``registry.correctors``.
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

# More changes than this are another event.
MAX_NAMED_FIELDS = 20


@dataclass(frozen=True)
class Draft:
    """A letter with new data that fits. ``fields`` are the names of those that changed."""

    letter: DeadLetter
    body: str
    event: Event
    fields: Sequence[str]

    @property
    def summary(self) -> str:
        """Which fields changed, without their values: the log may keep it."""
        named = [field[:100] for field in self.fields[:MAX_NAMED_FIELDS]]
        more = len(self.fields) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")


def objection(letter: DeadLetter) -> str:
    """Why this letter cannot be edited, for the person who wants to; empty if it can."""
    if letter.state != DeadLetter.State.OPEN:
        return (
            f"This letter is {letter.get_state_display().lower()}: only an open one can be edited."
        )
    if not registry.takes_envelopes(letter.queue):
        return "Messages of this queue are no events of ours."
    try:
        event = _envelope(letter)
        envelope.data_type(event.type)
    except Reject as exc:
        return f"Only the data can be edited, and more than that is wrong: {exc}"
    return registry.why_protected(event.id)


def envelope_fields(letter: DeadLetter) -> dict[str, Any]:
    """All of the body but its data. There must be no objection."""
    return {
        name: value for name, value in envelope.json_object(letter.body).items() if name != "data"
    }


def data(letter: DeadLetter) -> str:
    """The data, to be edited. There must be no objection."""
    value = envelope.json_object(letter.body).get("data")
    return json.dumps(value, indent=2, ensure_ascii=False)


def problems(letter: DeadLetter, new: dict[str, Any]) -> list[str]:
    """What is wrong with this data, field by field; empty where it fits. There must be no objection."""
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
        return [f"The message would have {len(body.encode())} bytes, at most {envelope.MAX_BYTES}."]
    if not list(_changed(envelope.json_object(letter.body).get("data"), new)):
        return ["Nothing is changed. To send it as it is, redrive it."]
    return []


def draft(letter: DeadLetter, new: dict[str, Any]) -> Draft:
    """The letter with this data. There must be no problems."""
    body = _with_data(letter, new)
    fields = list(_changed(envelope.json_object(letter.body).get("data"), new))
    return Draft(letter, body, Event.from_json(body), fields)


@transaction.atomic
def save(draft: Draft) -> None:
    """Raise Uncorrectable if the letter has changed meanwhile, or what came of it cannot be taken back."""
    letter = draft.letter
    same = DeadLetter.objects.filter(pk=letter.pk, state=DeadLetter.State.OPEN, body=letter.body)
    changes = stake_fields(draft.event.model().stake())
    if not same.update(
        body=draft.body, original_body=letter.original_body or letter.body, **changes
    ):
        raise Uncorrectable("Somebody else edited, redrove or discarded this letter meanwhile.")
    for correct in registry.correctors:
        correct(draft.event)


def _envelope(letter: DeadLetter) -> Event:
    """The event with no data; raises BadEnvelope."""
    value = envelope.json_object(letter.body) | {"data": {}}
    try:
        return Event.model_validate(value)
    except ValidationError as exc:
        raise BadEnvelope(envelope.summary(exc)) from exc


def _with_data(letter: DeadLetter, new: dict[str, Any]) -> str:
    value = envelope.json_object(letter.body) | {"data": new}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _changed(old: object, new: object, name: str = "") -> Iterator[str]:
    """The paths of what differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            yield from _changed(old.get(key, ...), new.get(key, ...), f"{name}.{key}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _changed(before, after, f"{name}.{index}".lstrip("."))
    elif type(old) is not type(new) or old != new:
        yield name or "data"
