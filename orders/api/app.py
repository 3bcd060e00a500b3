"""Assemble the API: its routes, its errors, and its documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.openapi.docs import DocsBase
from ninja.openapi.schema import OpenAPISchema
from ninja.renderers import BaseRenderer
from pydantic_core import to_json

from orders.api import order_routes, transaction_routes
from orders.api.auth import Token
from orders.api.parsing import JsonParser
from orders.api.problems import CONTENT_TYPE, Problem

_DESCRIPTION = """
Orders and bank transactions for programs. Send a token of Amazon Cognito with each request:
`Authorization: Bearer <token>`. Money is in whole cents. Errors are problem details (RFC 9457); their `code` is for
programs and does not change. You can safely repeat a POST with an `Idempotency-Key`.
"""


class Renderer(BaseRenderer):
    """Render answers so that times are as exact when read later as in the first answer."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        """Render with pydantic, like the answers that are stored under an idempotency key."""
        return to_json(data)


class Docs(DocsBase):
    """Serve Swagger UI from our own static files."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        """Render our own template: Ninja's needs its app installed, which consumers would load too."""
        return render(
            request, "orders/api_docs.html", {"api": api, "schema": api.get_openapi_schema()}
        )


class Api(NinjaAPI):
    """Describe errors as problem details in the OpenAPI document."""

    def get_openapi_schema(self, **kwargs: Any) -> OpenAPISchema:
        """Return Ninja's OpenAPI document with the right media type for errors."""
        schema = super().get_openapi_schema(**kwargs)
        for operations in schema["paths"].values():
            for operation in operations.values():
                for status, response in operation["responses"].items():
                    if status >= 400:
                        response["content"] = {
                            CONTENT_TYPE: response["content"]["application/json"]
                        }
        return schema


api = Api(
    title="Notifier",
    version="1",
    description=_DESCRIPTION,
    urls_namespace="api",
    auth=Token(),
    parser=JsonParser(),
    renderer=Renderer(),
    docs=Docs(),
)
api.add_router("", order_routes.router)
api.add_router("", transaction_routes.router)


@api.exception_handler(Problem)
def _problem(request: HttpRequest, exc: Problem) -> HttpResponse:
    return exc.response()


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, exc: HttpError) -> HttpResponse:
    """Answer Ninja's own error, which it raises only when the parser refuses the body."""
    if isinstance(exc.__cause__, Problem):
        return exc.__cause__.response()
    return Problem(exc.status_code, "bad_request", str(exc)).response()


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, exc: ValidationError) -> HttpResponse:
    """Answer 400 for an unknown field, 422 for an invalid value."""
    errors = [_field_error(error) for error in exc.errors]
    if any(error["type"] == "extra_forbidden" for error in exc.errors):
        return Problem(400, "unknown_field", "There is no such field.", errors=errors).response()
    return Problem(422, "invalid", "Some fields are not valid.", errors=errors).response()


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, exc: Http404) -> HttpResponse:
    return Problem(404, "not_found", "Not found, or not yours to see.").response()


@api.exception_handler(Exception)
def _unexpected(request: HttpRequest, exc: Exception) -> NoReturn:
    """Raise our own bugs again, so that Django logs them; the middleware answers 503 if the database is down."""
    raise exc


def _field_error(error: Mapping[str, Any]) -> dict[str, str]:
    source, *path = error["loc"]
    if source == "body":
        # The first part is the name of our own argument.
        return {"pointer": "#" + "".join(f"/{part}" for part in path[1:]), "detail": error["msg"]}
    return {"parameter": ".".join(map(str, path)), "detail": error["msg"]}
