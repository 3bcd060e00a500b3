"""Events: facts in the past tense, in a CloudEvents 1.0 JSON envelope.

A type of event is a pydantic model that names its type, its queue and its source::

    class OrderPlaced(EventData, type="order.placed.v1", queue="orders", source="/orders"):
        order_number: str

Defining the class registers the type, so every type that is imported is known.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from queues import characters
from queues.errors import BadData, BadEnvelope, EventTooLarge, Reject, UnknownType
from queues.events import tracing, unambiguous
from queues.events.stakes import Stake, StakeAt
from queues.uuid7 import uuid7

# Older SQS queues take at most 256 KiB at once. Our events stay far below that, so that ten fit into one batch.
MAX_BYTES = 64 * 1024

# What no database can store, where a text is not ours to refuse: Unicode's sign for what could not be read.
UNREADABLE = "\ufffd"
# Deeper parts are left out of what others wrote: PostgreSQL, SQLite and Python each have a limit, and no text is there.
MAX_DEPTH = 100
_LEFT_OUT = '"…"'
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")

_types: dict[str, type[EventData]] = {}


class EventData(BaseModel):
    """The base of every event's data. Subclasses give ``type``, ``queue`` (an alias) and ``source``.

    Defining a second class for the same type raises TypeError.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    event_type: ClassVar[str]
    event_queue: ClassVar[str]
    event_source: ClassVar[str]
    # Lets staff see what is at stake even where the data is wrong.
    stake_at: ClassVar[StakeAt | None] = None

    def __init_subclass__(
        cls, *, type: str = "", queue: str = "", source: str = "", **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        if not type:
            return
        cls.event_type, cls.event_queue, cls.event_source = type, queue, source
        there = _types.setdefault(type, cls)
        if (there.__module__, there.__qualname__) != (cls.__module__, cls.__qualname__):
            # The last class would win, and events of the first would go to the queue of the last.
            raise TypeError(f"{type} is already defined by {there.__module__}.{there.__qualname__}")
        _types[type] = cls

    def stake(self) -> Stake | None:
        """Return what is at stake while this event is not handled; None if no customer and no money is."""
        return self.stake_at.read(self.model_dump()) if self.stake_at else None


class Event(BaseModel):
    """A CloudEvents envelope.

    ``subject`` names what the event is about (``ORD-000123``). Events with the same ``partitionkey`` stay in order.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: uuid.UUID = Field(default_factory=uuid7)
    source: str = Field(max_length=200)
    type: str = Field(max_length=100)
    subject: str = Field(default="", max_length=200)
    time: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    datacontenttype: Literal["application/json"] = "application/json"
    partitionkey: str = Field(default="", max_length=128)
    traceparent: str | None = Field(default=None, max_length=60)
    data: dict[str, Any]

    @classmethod
    def of(cls, data: EventData, *, subject: str, partition_key: str) -> Event:
        """Make a new event with this data."""
        return cls(
            source=data.event_source,
            type=data.event_type,
            subject=subject,
            partitionkey=partition_key,
            traceparent=tracing.traceparent(),
            data=data.model_dump(mode="json"),
        )

    @classmethod
    def from_json(cls, body: str) -> Event:
        """Read a message body and check envelope and data; raises BadEnvelope, UnknownType or BadData.

        Fields of the data that the type's model does not know are dropped.
        """
        try:
            found = unambiguous.plain_object(body)
            event = cls.model_validate(
                json_object(body, read=unambiguous.loads) if found is None else found
            )
        except ValidationError as exc:
            raise BadEnvelope(f"not a CloudEvents 1.0 envelope: {summary(exc)}") from exc
        # The event is new and nobody else has it; ``model_copy`` takes as long as to read the whole envelope.
        event.__dict__["data"] = event.model().model_dump(mode="json")
        return event

    def to_json(self) -> str:
        """Return the message body, which SQS takes; raises EventTooLarge over 64 KiB."""
        body = characters.escaped(self.model_dump_json(exclude_none=True))
        size = len(body.encode())
        if size > MAX_BYTES:
            raise EventTooLarge(f"{self.type} {self.subject}: {size} bytes, at most {MAX_BYTES}")
        return body

    def model(self) -> EventData:
        """Return the data as its type's model; raises UnknownType or BadData."""
        try:
            return data_type(self.type).model_validate(self.data)
        except ValidationError as exc:
            raise BadData(f"data does not fit {self.type}: {summary(exc)}") from exc

    @property
    def queue(self) -> str:
        """The alias of the queue that carries this type of event."""
        return data_type(self.type).event_queue


@dataclass(frozen=True)
class EnvelopeFields:
    """The fields that could be read from a body, which need not be an envelope at all."""

    id: uuid.UUID | None = None
    type: str = ""
    subject: str = ""


def envelope_fields(body: str) -> EnvelopeFields:
    """Read id, type and subject from a body as far as they are there; never fails."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return EnvelopeFields()
    if not isinstance(value, dict):
        return EnvelopeFields()
    try:
        event_id = uuid.UUID(value.get("id"))
    except (ValueError, TypeError, AttributeError):
        event_id = None
    return EnvelopeFields(event_id, _text(value.get("type"), 100), _text(value.get("subject"), 200))


def stake(body: str) -> Stake | None:
    """Return what the event in a message body puts at stake, as far as that can be read; None if not. Never fails."""
    try:
        return Event.from_json(body).model().stake()
    except Reject:
        return _stake_as_far_as_read(body)


def names_money(event_type: str) -> bool:
    """Return True if events of this type say how much money they are about."""
    model = _types.get(event_type)
    return bool(model and model.stake_at and model.stake_at.amount_cents)


def _stake_as_far_as_read(body: str) -> Stake | None:
    try:
        value = cleaned_object(body)
    except BadEnvelope:
        return None
    model = _types.get(str(value.get("type")))
    return model.stake_at.read(value.get("data")) if model and model.stake_at else None


def data_type(event_type: str) -> type[EventData]:
    """Return the model of a type's data; raises UnknownType."""
    try:
        return _types[event_type]
    except KeyError:
        raise UnknownType(f"unknown event type {event_type!r}") from None


def data_types() -> dict[str, type[EventData]]:
    """Return every registered type with its model."""
    return dict(_types)


def json_object(body: str, *, read: Callable[..., Any] = json.loads) -> dict[str, Any]:
    """Read a JSON object that a database can keep; raises BadEnvelope.

    ``read`` is ``unambiguous.loads`` where a name twice in one object must be refused.
    """
    try:
        value = read(body, parse_constant=_refuse_constant, parse_float=_finite)
        storable = all(map(_is_storable, _strings(value)))
    except (ValueError, RecursionError) as exc:
        raise BadEnvelope(f"not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise BadEnvelope(f"a JSON {type(value).__name__}, not an object")
    if not storable:
        raise BadEnvelope("text with a NUL or a lone surrogate, which the database cannot store")
    return value


def cleaned_object(body: str) -> dict[str, Any]:
    """Read a JSON object that others wrote, so that what explains never hides what decides; raises BadEnvelope.

    NUL and lone surrogates become U+FFFD, numbers that no database can store become their text, and parts nested deeper
    than MAX_DEPTH become ``…``. PostgreSQL manual, "JSON types": ``jsonb`` has no NUL, no lone surrogate, no infinity.
    """
    try:
        value = json.loads(
            _shallow(body.lstrip("\ufeff")),
            strict=False,
            parse_constant=str,
            parse_float=_finite_or_text,
            parse_int=_short_or_text,
        )
    except (ValueError, RecursionError) as exc:
        raise BadEnvelope(f"not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise BadEnvelope(f"a JSON {type(value).__name__}, not an object")
    return {_storable(name): _storable(item) for name, item in value.items()}


def _shallow(body: str) -> str:
    """Replace each part that is nested deeper than MAX_DEPTH."""
    if body.count("[") + body.count("{") <= MAX_DEPTH:
        return body
    kept, depth, resume_at = [], 0, 0
    for token in _TOKENS.finditer(body):
        if token[0] in "[{":
            depth += 1
            if depth == MAX_DEPTH + 1:
                kept += [body[resume_at : token.start()], _LEFT_OUT]
        elif token[0] in "]}":
            depth -= 1
            if depth == MAX_DEPTH:
                resume_at = token.end()
    # Brackets that do not match are no JSON, whatever is left out.
    return "".join([*kept, body[resume_at:]]) if depth == 0 else body


def _finite_or_text(number: str) -> float | str:
    try:
        return _finite(number)
    except ValueError:
        return number


def _short_or_text(number: str) -> int | str:
    # Python reads at most 4,300 digits, and a clock or a counter has far fewer.
    return int(number) if len(number) <= 40 else number


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub(UNREADABLE, value)
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("a number that is too large")
    return value


def _strings(value: object) -> Iterator[str]:
    """Yield every key and every text in a JSON value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)


def _is_storable(text: str) -> bool:
    return "\0" not in text and (text.isascii() or text.encode("utf-8", "ignore").decode() == text)


def _text(value: object, length: int) -> str:
    if not isinstance(value, str):
        return ""
    return value.replace("\0", "").encode("utf-8", "ignore").decode()[:length]


def summary(exc: ValidationError) -> str:
    """Say which of the first five fields are wrong and why, without their values, so that a log may show it."""
    parts = problems(exc)
    return "; ".join(parts[:5]) + (f"; and {len(parts) - 5} more" if len(parts) > 5 else "")


def problems(exc: ValidationError) -> list[str]:
    """List every wrong field and why it is wrong, without the values."""
    errors = exc.errors(include_url=False, include_input=False, include_context=False)
    return [f"{'.'.join(map(str, error['loc'])) or 'value'}: {error['msg']}" for error in errors]
