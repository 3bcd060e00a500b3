"""SQS's older protocol, a form answered in XML, as far as a consumer needs it.

Older SDKs speak it, such as Debian's for Go.
"""

from __future__ import annotations

import json
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from benchmarks.lean_aws.state import Json

VERSION = b"Version=2012-11-05"
_ENTRY = "DeleteMessageBatchRequestEntry."


def request(body: bytes) -> tuple[str, Json]:
    """Return the action of a form, and its parameters as the JSON protocol has them."""
    form = dict(parse_qsl(body.decode()))
    entries: dict[str, Json] = {}
    for name, value in form.items():
        if name.startswith(_ENTRY):
            number, _, field = name.removeprefix(_ENTRY).partition(".")
            entries.setdefault(number, {})[field] = value
    return form["Action"], {**form, "Entries": list(entries.values())}


def received(messages: list[bytes]) -> bytes:
    """Answer a ReceiveMessage."""
    return _answer("ReceiveMessage", "".join(_message(json.loads(each)) for each in messages))


def answer(action: str, result: Json) -> bytes:
    """Answer any other action: entries that succeeded, or nothing."""
    entries = result.get("Successful", [])
    element = f"{action}ResultEntry"
    return _answer(
        action, "".join(f"<{element}><Id>{entry['Id']}</Id></{element}>" for entry in entries)
    )


def _message(fields: Json) -> str:
    names = ("MessageId", "ReceiptHandle", "MD5OfBody", "Body")
    values = "".join(f"<{name}>{escape(fields[name])}</{name}>" for name in names)
    return f"<Message>{values}</Message>"


def _answer(action: str, content: str) -> bytes:
    return (
        f"<{action}Response><{action}Result>{content}</{action}Result>"
        f"<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>"
    ).encode()
