"""Answer requests that may be sent twice, by their ``Idempotency-Key``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Annotated

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from ninja.params.functions import Header
from pydantic import BaseModel, Field

from orders.api import idempotency
from orders.api.auth import caller_of
from orders.api.idempotency import Answer, Declined
from orders.api.problems import CONTENT_TYPE, Problem
from orders.errors import KeyInUse, KeyReused, Refused, UnknownProduct

IdempotencyKey = Annotated[str | None, Field(pattern=r"^[!-~]{1,255}$")]
KEY: str | None = Header(
    None,
    alias="Idempotency-Key",
    description="A text of your own, such as a UUID; use a new one for each operation. For 24 hours we carry out the "
    "same request with the same key only once, and repeat its first answer.",
)


def once(
    request: HttpRequest, key: str | None, body: BaseModel, act: Callable[[], Answer]
) -> HttpResponse:
    """Carry out the request, only once if it has a key. A refusal by a business rule is stored like any answer."""

    def answer() -> Answer:
        try:
            return act()
        except (Refused, ValidationError) as exc:
            raise Declined(Answer(422, refused(exc).body())) from exc

    try:
        return _response(idempotency.once(_same(request, key, body), answer))
    except KeyReused as exc:
        raise Problem(422, "key_reused", str(exc)) from exc
    except KeyInUse as exc:
        raise Problem(409, "key_in_use", str(exc), headers={"Retry-After": "1"}) from exc


def refused(exc: Refused | ValidationError) -> Problem:
    """Turn a refusal by a business rule into a Problem; its code is the name of the error."""
    if isinstance(exc, ValidationError):
        return Problem(422, "invalid", " ".join(exc.messages))
    code = re.sub(r"(?<!^)(?=[A-Z])", "_", type(exc).__name__).lower()
    errors = []
    if isinstance(exc, UnknownProduct):
        errors = [{"pointer": f"#/lines/{exc.index}/sku", "detail": str(exc)}]
    return Problem(422, code, str(exc), errors=errors)


def _same(request: HttpRequest, key: str | None, body: BaseModel) -> idempotency.Request | None:
    """Identify the request; bodies with the same content are the same, however written. None without a key."""
    if not key:
        return None
    asked = f"{request.method} {request.path}\n{body.model_dump_json()}"
    hash = hashlib.sha256(asked.encode()).hexdigest()
    return idempotency.Request(client=caller_of(request).client, key=key, hash=hash)


def _response(answer: Answer) -> HttpResponse:
    kind = CONTENT_TYPE if answer.status >= 400 else "application/json"
    response = HttpResponse(answer.body, status=answer.status, content_type=kind)
    if answer.location:
        response["Location"] = answer.location
    if answer.is_replayed:
        response["Idempotent-Replayed"] = "true"
    return response
