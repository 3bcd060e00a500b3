"""Read the templates that an SES account stores, through SES API version 2.

Sources: SES API v2 reference, ListEmailTemplates and GetEmailTemplate. SES takes each of these calls once a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from emails.errors import NotTransferred
from emails.ses import error_codes, fields, ses_api
from queues.aws.clients import FAILURES, described
from queues.aws.failures.meanings import Meaning

SECONDS_BETWEEN_CALLS = 1.1
_PARTS = {"Subject": "subject.hbs", "Html": "body.html.hbs", "Text": "body.txt.hbs"}


def names(*, sleep: Callable[[float], object] = time.sleep) -> list[str]:
    """Return the names of all templates that SES stores, ten with each call; raises NotTransferred."""
    found: list[str] = []
    options: dict[str, Any] = {"PageSize": 10}
    while True:
        with _asked("ListEmailTemplates"):
            answer: Any = ses_api.api_v2().list_email_templates(**options)
            rows = fields.items(answer, "TemplatesMetadata")
            found += [fields.text(row, "TemplateName") for row in rows]
            token = fields.text(answer, "NextToken", "")
        sleep(SECONDS_BETWEEN_CALLS)
        if not token or token == options.get("NextToken"):
            return found
        options["NextToken"] = token


def get(name: str) -> dict[str, str]:
    """Return the files of a template that SES stores, by the names that ours have; raises NotTransferred."""
    with _asked("GetEmailTemplate"):
        answer: Any = ses_api.api_v2().get_email_template(TemplateName=name)
        content = answer["TemplateContent"]
        texts = {file: fields.text(content, part, "") for part, file in _PARTS.items()}
    return {
        file: text.replace("\r\n", "\n").replace("\r", "\n") for file, text in texts.items() if text
    }


@contextmanager
def _asked(operation: str) -> Iterator[None]:
    """Turn whatever a question, or reading its answer, raises into NotTransferred."""
    try:
        yield
    except FAILURES as exc:
        code, text = described(exc)
        raise NotTransferred(_words(operation, code, text)) from exc


def _words(operation: str, code: str, text: str) -> str:
    match error_codes.meaning(code):
        case Meaning.THROTTLED:
            return f"SES takes {operation} about once a second. Wait a moment and try again."
        case Meaning.DENIED:
            return f"The IAM permission ses:{operation} is missing."
        case Meaning.MISSING if operation == "GetEmailTemplate":
            return f"SES stores no template of this name: {text}"
        case Meaning.LACKING:
            return f"This endpoint does not answer {operation}."
    return f"{operation}: {text} ({code})"
