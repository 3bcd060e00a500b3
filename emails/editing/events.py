"""Choose the event with which a draft is previewed: the sample, or a real one by its order, transaction or event id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings

from emails.checking.shapes import Shape
from emails.errors import RenderError
from emails.models import Notification
from emails.rendering import templates
from queues import masking
from queues.errors import Reject
from queues.events import schemas
from queues.events.envelope import Event
from queues.models import DeadLetter, OutboxEvent

SAMPLE = "the sample"


@dataclass(frozen=True)
class Chosen:
    """The data of an event; ``problem`` says why the wanted one is not shown."""

    title: str
    type: str = ""
    subject: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    is_masked: bool = False
    problem: str = ""


def choose(template: str, wanted: str, *, is_masked: bool) -> Chosen:
    """Return the event that somebody asked for by ``wanted``, or the sample if that is empty.

    ``is_masked`` hides what may name a person in a real event.
    """
    try:
        sample = templates.sample(template)
    except RenderError as exc:
        return Chosen(SAMPLE, problem=str(exc))
    if not (wanted := wanted.strip()):
        return Chosen(SAMPLE, sample.type, sample.subject, sample.data)
    found = _found(sample.type, wanted)
    if found is None:
        problem = f"There is no event {sample.type} of {wanted}. This is the sample."
        return Chosen(SAMPLE, sample.type, sample.subject, sample.data, problem=problem)
    subject, data = found
    if is_masked:
        data = masked(data, Shape(schemas.data_schema(sample.type) or {}))
        subject = masking.addresses(subject)
    return Chosen(f"{sample.type} {subject}", sample.type, subject, data, is_masked=is_masked)


def masked(value: Any, shape: Shape | None = None) -> Any:
    """Mask the texts and numbers of an event's data, so that a template renders it as it renders the real data.

    What branches are taken by stays: whether a value is there, how long a list is, words that the schema lists, and
    times.
    """
    if isinstance(value, dict):
        return {key: masked(item, _inside(shape, key)) for key, item in value.items()}
    if isinstance(value, list):
        items = shape.items() if shape else None
        return [masked(item, items) for item in value]
    if isinstance(value, str):
        return _masked_text(value, shape)
    return value if value is None or isinstance(value, bool) else type(value)(bool(value))


def _inside(shape: Shape | None, name: str) -> Shape | None:
    step = shape.step(name) if shape else None
    return step.shape if step else None


# A currency, a language: no person is named so, and amounts and texts depend on it.
_A_NAME = "Ada Lovelace"
_is_code = re.compile(r"[A-Z]{3}|[a-z]{2,3}(-[A-Za-z0-9]{2,8})*").fullmatch


def _masked_text(value: str, shape: Shape | None) -> str:
    if not value or shape is None:
        return value and masking.MASK
    if shape.is_time:
        return value
    if shape.is_link:
        return f"{settings.BASE_URL}/{masking.MASK}"
    return value if any(_is_word(value, each) for each in shape.alternatives) else masking.MASK


def _is_word(value: str, schema: Mapping[str, Any]) -> bool:
    """Return True if the schema lists this word, or is one of codes."""
    if value in schema.get("enum", ()) or value == schema.get("const"):
        return True
    pattern = str(schema.get("pattern", ""))
    return bool(pattern and _is_code(value)) and not re.search(pattern, _A_NAME)


def _found(event_type: str, wanted: str) -> tuple[str, Mapping[str, Any]] | None:
    """Return subject and data of the newest event; the outbox knows those of our own, emails those of others."""
    by = _by(wanted)
    if by is None:
        return None
    for rows in (
        OutboxEvent.objects.filter(type=event_type, **by).order_by("-id"),
        DeadLetter.objects.filter(type=event_type, **by).order_by("-id"),
    ):
        for row in rows[:1]:
            try:
                event = Event.from_json(row.body)
            except Reject:
                continue
            return event.subject, event.data
    email = Notification.objects.filter(event_type=event_type, **by).order_by("-id").first()
    return (email.subject, email.context) if email else None


def _by(wanted: str) -> dict[str, Any] | None:
    try:
        return {"event_id": UUID(wanted)}
    except ValueError:
        return {"subject": wanted} if "\0" not in wanted and len(wanted) <= 200 else None
