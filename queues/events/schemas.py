"""Describe the events for producers and readers outside this code: JSON Schemas and an AsyncAPI document.

They are made from the models that consumers check messages with, so they show what consumers reject.
"""

from __future__ import annotations

import json
from inspect import cleandoc
from typing import Any

from django.conf import settings

from queues.events.envelope import MAX_BYTES, Event, EventData, data_types

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ASYNCAPI = "asyncapi.json"


def documents() -> dict[str, str]:
    """Return file names and texts: one JSON Schema for each type of event, and the AsyncAPI document."""
    types = dict(sorted(data_types().items()))
    schemas = {schema_name(name): _schema(model) for name, model in types.items()}
    return {name: _text(value) for name, value in schemas.items()} | {
        ASYNCAPI: _text(_asyncapi(types))
    }


def schema_name(event_type: str) -> str:
    """Return the file name of a type's schema: ``order.placed.v1.schema.json``."""
    return f"{event_type}.schema.json"


def data_schema(event_type: str) -> dict[str, Any] | None:
    """Return the schema of a type's data as handlers get it, with its defaults filled in; None for an unknown type."""
    model = data_types().get(event_type)
    return model.model_json_schema(mode="serialization") if model else None


def _schema(model: type[EventData]) -> dict[str, Any]:
    """Describe the whole envelope with this type's data; consumers ignore fields that it does not name."""
    envelope = Event.model_json_schema()
    data = model.model_json_schema()
    definitions = data.pop("$defs", {})
    properties = envelope["properties"]
    properties["type"] = {"const": model.event_type}
    properties["data"] = data
    # Producers must give both. Our own code has defaults for them.
    for name in ("id", "time"):
        properties[name].pop("default", None)
    return {
        "$schema": DIALECT,
        "title": model.event_type,
        "description": cleandoc(model.__doc__ or ""),
        "type": "object",
        "properties": properties,
        "required": ["specversion", "id", "source", "type", "time", "data"],
        "$defs": definitions,
    }


def _asyncapi(types: dict[str, type[EventData]]) -> dict[str, Any]:
    aliases = sorted({model.event_queue for model in types.values()})
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Notifier",
            "version": "1",
            "description": "Facts that become emails. Each message is one CloudEvents 1.0 envelope as JSON, "
            f"at most {MAX_BYTES} bytes.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": {alias: _channel(alias, types) for alias in aliases},
        "operations": {f"consume-{alias}": _operation(alias, types) for alias in aliases},
        "components": {"messages": {name: _message(name) for name in types}},
    }


def _channel(alias: str, types: dict[str, type[EventData]]) -> dict[str, Any]:
    is_fifo = settings.QUEUES[alias].endswith(".fifo")
    order = (
        "A FIFO queue: MessageGroupId is the partitionkey, whose messages stay in order; MessageDeduplicationId is the "
        "event's id."
        if is_fifo
        else "A standard queue: messages may come twice and in any order."
    )
    names = [name for name, model in types.items() if model.event_queue == alias]
    return {
        "address": settings.QUEUES[alias],
        "title": f"The queue {alias}",
        "description": f"{order} QUEUE_{alias.upper()} may give it another name.",
        "messages": {_key(name): {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"sqs": {"queue": {"name": settings.QUEUES[alias], "fifoQueue": is_fifo}}},
    }


def _operation(alias: str, types: dict[str, type[EventData]]) -> dict[str, Any]:
    names = [name for name, model in types.items() if model.event_queue == alias]
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{alias}"},
        "summary": "Consumers check each message and send its emails; an invalid message becomes a dead letter.",
        "messages": [{"$ref": f"#/channels/{alias}/messages/{_key(name)}"} for name in names],
    }


def _message(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "contentType": "application/cloudevents+json",
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./{schema_name(name)}"},
        },
    }


def _key(name: str) -> str:
    """Return a name for this type that needs no escaping in a reference."""
    return name.replace(".", "-")


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
