"""Parse request bodies: only JSON objects, not nested too deeply, without text that no database can store."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser

from orders.api.problems import Problem
from queues.errors import BadEnvelope
from queues.events import unambiguous
from queues.events.envelope import json_object

MAX_DEPTH = 20


class JsonParser(Parser):
    """Parse the body or raise Problem, which Ninja then wraps as the cause of its own error."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        """Return the JSON object in the body."""
        if request.content_type != "application/json":
            raise Problem(415, "unsupported_media_type", "Send JSON, as application/json.")
        try:
            body = json_object(request.body.decode(), read=unambiguous.loads)
        except UnicodeDecodeError:
            raise Problem(400, "malformed", "The body is not UTF-8.") from None
        except BadEnvelope as exc:
            raise Problem(400, "malformed", f"The body is not a JSON object: {exc}.") from exc
        if is_deeper(body, MAX_DEPTH):
            raise Problem(400, "malformed", f"The body is nested deeper than {MAX_DEPTH} levels.")
        return body


def is_deeper(value: object, levels: int) -> bool:
    """Return True if the JSON has more than this many levels of objects and lists."""
    level = [value]
    for _ in range(levels + 1):
        level = [
            item
            for part in level
            if isinstance(part, dict | list)
            for item in (part.values() if isinstance(part, dict) else part)
        ]
    return bool(level)
