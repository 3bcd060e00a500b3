"""The local AWS as one process: moto's server with our corrections, and the control API beside it."""

from __future__ import annotations

import functools
import logging
import signal
import socket
from html import escape
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug import Response
from werkzeug.serving import make_server

from sandbox import control, moto_patches
from sandbox.ses.post_office import PostOffice

logger = logging.getLogger(__name__)


class QuietRequestHandler(MotoRequestHandler):  # type: ignore[misc]  # moto is untyped here
    """Answers without a log line for each request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: the requests of every poll would hide what matters."""


class Dispatcher(DomainDispatcherApplication):  # type: ignore[misc]  # moto is untyped here
    """moto's own looks through its directory on each request; this one remembers the answer."""

    def __init__(self) -> None:
        super().__init__(create_backend_app)
        self.get_backend_for_host = functools.cache(super().get_backend_for_host)


class LocalAws:
    """The WSGI application."""

    def __init__(self, post_office: PostOffice, *, delivery_seconds: float) -> None:
        moto_patches.apply(post_office, delivery_seconds=delivery_seconds)
        self._control = control.ControlApi(post_office)
        self._moto = Dispatcher()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        app = self._control if environ["PATH_INFO"].startswith(control.PREFIX) else self._moto
        try:
            return app(environ, start_response)
        except NotImplementedError as exc:
            logger.warning("not available here: %s", exc)
            return _not_available(str(exc))(environ, start_response)


def serve(listener: socket.socket, app: LocalAws) -> None:
    """Answer on a socket that listens already, until SIGTERM or Ctrl-C; long polls are cut off."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    host, port = listener.getsockname()[:2]
    server = make_server(
        host,
        port,
        app,
        threaded=True,
        request_handler=QuietRequestHandler,
        fd=listener.fileno(),
    )
    server.serve_forever()


def _not_available(reason: str) -> Response:
    """AWS's answer to an action that it does not know, in place of moto's HTML with a traceback."""
    error = f"<Error><Code>InvalidAction</Code><Message>{escape(reason)}</Message></Error>"
    body = f"<ErrorResponse>{error}<RequestId>-</RequestId></ErrorResponse>"
    return Response(body, status=400, content_type="text/xml")
