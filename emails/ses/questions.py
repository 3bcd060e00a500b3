"""Ask SES a question for a page or for staff, and explain in words if SES does not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from emails.errors import IdentityError, NoSuchIdentity
from emails.ses import error_codes
from queues.aws.clients import FAILURES, UNREADABLE, described
from queues.aws.failures.error_codes import is_denied, is_lacking
from queues.aws.failures.meanings import Meaning

Answer = TypeVar("Answer")


def ask(operation: str, call: Callable[..., Answer], **parameters: Any) -> Answer:
    """Call SES and return its answer; raises NoSuchIdentity if SES lacks the thing, else IdentityError.

    ``operation`` is the operation's name in the API, which is also the name of its IAM permission.
    """
    with reading(operation):
        return call(**parameters)


@contextmanager
def reading(operation: str) -> Iterator[None]:
    """Turn whatever a question, or reading fields of its answer, raises into NoSuchIdentity or IdentityError.

    It decorates functions, too. Whoever reads a field outside of it shows staff a traceback for an odd answer.
    """
    try:
        yield
    except FAILURES as exc:
        code, text = described(exc)
        if error_codes.meaning(code) is Meaning.MISSING:
            raise NoSuchIdentity(f"{operation}: {text} ({code})") from exc
        raise IdentityError(_words(operation, code, text)) from exc


def _words(operation: str, code: str, text: str) -> str:
    if is_denied(code):
        return (
            f"Not available here: the IAM permission ses:{operation} is missing. SES says: {text}"
        )
    if error_codes.meaning(code) is Meaning.THROTTLED:
        return f"SES takes {operation} about once a second. Wait a moment, then try again."
    # 500: SES names its errors, so one without a name is not SES's.
    if is_lacking(code) or code in (UNREADABLE, "500"):
        return f"Not available here: this endpoint does not answer {operation}."
    return f"{operation}: {text} ({code})"
