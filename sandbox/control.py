"""The control API under ``/_sandbox/``: the mailbox, the mails' links, pending verifications and the sandbox's rule."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from moto.ses.models import ses_backends
from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.utils import redirect

from sandbox.connection import MARK
from sandbox.ses import feedback, tracking
from sandbox.ses.identities import Identity
from sandbox.ses.mailbox import Mail
from sandbox.ses.post_office import PostOffice

PREFIX = "/_sandbox/"
_OF_A_MAIL = re.compile(
    r"(?P<kind>mail|open)/(?P<mail>[^/]+)|click/(?P<clicked>[^/]+)/(?P<number>[0-9]{1,4})"
)


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
        named = _OF_A_MAIL.fullmatch(path)
        if named and request.method == "GET":
            return self._answer_of(self._found(named["mail"] or named["clicked"]), named, request)
        if any(path == known for _, known in self._routes):
            raise MethodNotAllowed
        raise NotFound

    def _mails(self, request: Request) -> Any:
        return [mail.summary() for mail in self._post_office.mailbox.newest_first()]

    def _answer_of(self, mail: Mail, named: re.Match[str], request: Request) -> Any:
        if named["number"]:
            return self._click(mail, int(named["number"]), request)
        return self._open(mail, request) if named["kind"] == "open" else self._mail(mail)

    def _mail(self, mail: Mail) -> Any:
        return mail.detail() | {"html": tracking.watched(mail, url=self._post_office.url)}

    def _open(self, mail: Mail, request: Request) -> Response:
        _publish(mail, feedback.opened(mail, **_visitor(request)))
        headers = {"Cache-Control": "no-store"}
        return Response(tracking.PICTURE, content_type="image/gif", headers=headers)

    def _click(self, mail: Mail, number: int, request: Request) -> Response:
        link = tracking.link(mail, number)
        if link is None:
            raise NotFound(f"No link {number} in mail {mail.id}")
        _publish(mail, feedback.clicked(mail, link=link, **_visitor(request)))
        return redirect(link)

    def _found(self, mail_id: str) -> Mail:
        mail = self._post_office.mailbox.get(mail_id)
        if mail is None:
            raise NotFound(f"No mail {mail_id}")
        return mail

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


def _publish(mail: Mail, record: feedback.Record) -> None:
    ses_backends[feedback.ACCOUNT_ID][mail.region].publish_record(mail, record)


def _visitor(request: Request) -> dict[str, str]:
    return {
        "address": request.remote_addr or "127.0.0.1",
        "user_agent": request.user_agent.string or "unknown",
    }


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
    html = render_to_string(
        "sandbox/verified.html", {"identity": identity, "site": settings.BASE_URL}
    )
    status = 404 if identity is None else 200
    return Response(html, status=status, content_type="text/html; charset=utf-8")
