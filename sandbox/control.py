"""The control API under ``/_sandbox/``: the mailbox, pending verifications and the sandbox's rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from sandbox.connection import MARK
from sandbox.identities import Identity
from sandbox.post_office import PostOffice

PREFIX = "/_sandbox/"


class ControlApi:
    """A WSGI application. Errors are JSON too: ``{"error": "…"}`` with 400, 404 or 405."""

    def __init__(self, post_office: PostOffice) -> None:
        self._post_office = post_office
        self._routes: dict[tuple[str, str], Callable[[Request], Any]] = {
            ("GET", "health"): lambda request: {"status": "ok"},
            ("GET", "mail"): self._mails,
            ("DELETE", "mail"): self._empty,
            ("GET", "verifications"): self._verifications,
            ("POST", "verify"): self._verify,
            ("GET", "verify"): self._open_link,
            ("GET", "rules"): self._rules,
            ("POST", "rules"): self._set_rules,
        }

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        try:
            result = self._answer(request)
        except HTTPException as exc:
            result = _json({"error": exc.description}, status=exc.code or 500)
        response = result if isinstance(result, Response) else _json(result)
        response.headers[MARK] = "yes"
        return response(environ, start_response)

    def _answer(self, request: Request) -> Any:
        path = request.path.removeprefix(PREFIX).strip("/")
        handler = self._routes.get((request.method, path))
        if handler:
            return handler(request)
        if path.startswith("mail/") and request.method == "GET":
            return self._mail(path.removeprefix("mail/"))
        if any(path == known for _, known in self._routes):
            raise MethodNotAllowed
        raise NotFound

    def _mails(self, request: Request) -> Any:
        return [mail.summary() for mail in self._post_office.mailbox.newest_first()]

    def _mail(self, mail_id: str) -> Any:
        mail = self._post_office.mailbox.get(mail_id)
        if mail is None:
            raise NotFound(f"No mail {mail_id}")
        return mail.detail()

    def _empty(self, request: Request) -> Any:
        self._post_office.mailbox.clear()
        return {}

    def _verifications(self, request: Request) -> Any:
        return [
            {
                "identity": identity.name,
                "domain": identity.is_domain,
                "link": self._post_office.link(identity),
                "records": _records(identity),
            }
            for identity in self._post_office.identities.pending()
        ]

    def _verify(self, request: Request) -> Any:
        name = str(_body(request).get("identity", ""))
        identity = self._post_office.identities.get(name)
        if identity is None:
            raise NotFound(f"No identity {name}")
        identity.publish()
        return {"identity": identity.name, "verified": True}

    def _open_link(self, request: Request) -> Response:
        identity = self._post_office.identities.with_token(request.args.get("token", ""))
        if identity is not None:
            identity.verified = True
        return _page(identity)

    def _rules(self, request: Request) -> Any:
        return {"sandbox_rules": self._post_office.sandbox_rules}

    def _set_rules(self, request: Request) -> Any:
        self._post_office.sandbox_rules = bool(_body(request).get("sandbox_rules"))
        return self._rules(request)


def _records(identity: Identity) -> list[dict[str, str]]:
    if not identity.is_domain:
        return []
    found = identity.records(region=settings.AWS_REGION)
    published = identity.published(region=settings.AWS_REGION)
    return [
        {"type": kind, "name": name, "value": value.rstrip(".")}
        for (kind, name), values in found.items()
        for value in values
        if (kind, name) not in published
    ]


def _body(request: Request) -> dict[str, Any]:
    value = request.get_json(force=True)
    return value if isinstance(value, dict) else {}


def _json(value: Any, *, status: int = 200) -> Response:
    return Response(json.dumps(value), status=status, content_type="application/json")


def _page(identity: Identity | None) -> Response:
    html = render_to_string("sandbox/verified.html", {"identity": identity})
    status = 404 if identity is None else 200
    return Response(html, status=status, content_type="text/html; charset=utf-8")
