"""The API itself: its routes, its errors, and its documentation."""

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
Orders and bank transactions for programs. Each request carries a token of Amazon Cognito:
`Authorization: Bearer <token>`. Money is in whole cents. Errors are problem details (RFC 9457); their `code` is for
programs and does not change. A POST with an `Idempotency-Key` may be repeated safely.
"""


class Renderer(BaseRenderer):
    """Times as exact in what is read as they are in what was answered first."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        """By pydantic, as the answers that are kept under a key."""
        return to_json(data)


class Docs(DocsBase):
    """Swagger UI from our own static files."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        """Without Ninja's app, which consumers would load too."""
        return render(request, "orders/api_docs.html", {"api": api})


class Api(NinjaAPI):
    """Says in its OpenAPI document that errors are problem details."""

    def get_openapi_schema(self, **kwargs: Any) -> OpenAPISchema:
        """As Ninja makes it, with the media type of errors set right."""
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
    """Of Ninja's own there is one: a body that its parser refused."""
    if isinstance(exc.__cause__, Problem):
        return exc.__cause__.response()
    return Problem(exc.status_code, "bad_request", str(exc)).response()


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, exc: ValidationError) -> HttpResponse:
    """400 for what there is no field for, 422 for what a field cannot be."""
    errors = [_field_error(error) for error in exc.errors]
    if any(error["type"] == "extra_forbidden" for error in exc.errors):
        return Problem(400, "unknown_field", "There is no such field.", errors=errors).response()
    return Problem(422, "invalid", "Some fields are not right.", errors=errors).response()


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, exc: Http404) -> HttpResponse:
    return Problem(404, "not_found", "There is nothing here for you.").response()


@api.exception_handler(Exception)
def _unexpected(request: HttpRequest, exc: Exception) -> NoReturn:
    """Ours to mend: Django logs it, and the database's being away has an answer of its own."""
    raise exc


def _field_error(error: Mapping[str, Any]) -> dict[str, str]:
    source, *path = error["loc"]
    if source == "body":
        # The first is the name of our own argument.
        return {"pointer": "#" + "".join(f"/{part}" for part in path[1:]), "detail": error["msg"]}
    return {"parameter": ".".join(map(str, path)), "detail": error["msg"]}
