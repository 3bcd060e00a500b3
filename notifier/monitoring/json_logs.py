"""Write log lines as JSON; imported only with ``LOG_FORMAT=json``.

Our lines name their values: ``received event=%s queue=%s``. Each name becomes a JSON field, so a step of an event can
be found without parsing text.
"""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from functools import cache
from typing import Any

from structlog.processors import ExceptionRenderer, JSONRenderer, TimeStamper
from structlog.stdlib import ProcessorFormatter, add_log_level, add_logger_name

from notifier.web import request_context
from queues import masking
from queues.events import tracing

# One value in a template, with the name before it if it has one.
_VALUE = re.compile(r"(?:\b([a-z_]+)=)?%(?:\.\d+)?[a-z]")
_NAMED = re.compile(r"\s*\b[a-z_]+=%(?:\.\d+)?[a-z]+")
_NAMES = {
    "event": "event_id",
    "id": "id",
    "message": "message_id",
    "notification": "notification_id",
    "ses": "ses_message_id",
}
# Fields that every line has.
_TAKEN = {"level", "logger", "timestamp", "text", "step", "exception", "request_id", "trace_id"}

Line = MutableMapping[str, Any]


def formatter() -> logging.Formatter:
    """Return the formatter that LOGGING in settings names."""
    return ProcessorFormatter(
        foreign_pre_chain=[
            _fields,
            add_log_level,
            add_logger_name,
            TimeStamper(fmt="iso", utc=True, key="timestamp"),
            ExceptionRenderer(),
        ],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            _masked,
            JSONRenderer(ensure_ascii=False, default=str),
        ],
        pass_foreign_args=True,
    )


def _fields(logger: Any, method: str, line: Line) -> Line:
    line["text"] = line.pop("event")
    values, template = line.pop("positional_args", ()), str(line["_record"].msg)
    line["step"] = _step(template)
    if isinstance(values, tuple):
        for name, value in zip(_names(template), values, strict=False):
            if name:
                line[name] = value if isinstance(value, int | float) else str(value)
    if request_id := request_context.request_id():
        line["request_id"] = request_id
    if trace_id := tracing.current_trace_id():
        line["trace_id"] = trace_id
    return line


@cache
def _names(template: str) -> list[str]:
    """Return the field name of each value in a template; empty for a value without a name."""
    found = (_NAMES.get(name, name) for name in _VALUE.findall(template.replace("%%", "")))
    return ["" if name in _TAKEN else name for name in found]


@cache
def _step(template: str) -> str:
    """Return the words of a template without its values: ``received``, ``not handled``."""
    return _NAMED.sub("", template).partition("%")[0].strip(" :(,")


def _masked(logger: Any, method: str, line: Line) -> Line:
    """Mask the addresses in the values, not in the finished JSON: an escape there could become part of an address."""
    for name, value in line.items():
        if isinstance(value, str):
            line[name] = masking.addresses(value)
    return line
