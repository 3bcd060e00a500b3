"""Know whether a request may have left this machine: what failed before that was certainly not accepted.

The SDK looks for credentials, validates, finds the endpoint and signs before it sends. That can go wrong in any way, so
not the kind of an error decides, but whether the request was handed over to the connection.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from traceback import walk_tb
from types import FrameType
from typing import Any

# The parts of the SDK that get credentials and sign with them.
_CREDENTIALS = ("botocore.credentials", "botocore.tokens", "botocore.signers", "botocore.auth")


@dataclass
class Departure:
    """One call that is watched; ``has_left`` turns true before the first byte of its request can leave.

    ``before`` is the error that the caller was handling when the call began: it says nothing of the call.
    """

    has_left: bool = False
    before: BaseException | None = None

    def is_while_connecting(self, exc: BaseException) -> bool:
        """True if the error, or one that it came from, was raised while connecting, so that no request has left."""
        return any(frame.f_code.co_name == "connect" for frame in _frames(exc, self.before))


class _Here(threading.local):
    departure: Departure | None = None


_here = _Here()


@contextmanager
def watched() -> Iterator[Departure]:
    """Watch the one call that this thread makes meanwhile; nothing has left yet.

    Whoever makes the call must see to it that ``leave`` runs before the request leaves: at the moment that it leaves
    if the client tells, else before the client is called at all.
    """
    _here.departure = departure = Departure(before=sys.exc_info()[1])
    try:
        yield departure
    finally:
        _here.departure = None


def leave(**event: Any) -> None:
    """Note that the request leaves now. It is also a handler of botocore's event ``before-send``."""
    if _here.departure:
        _here.departure.has_left = True


def tells(client: Any) -> bool:
    """True if this client calls ``leave`` when a request leaves; any other may send without a word."""
    return getattr(client, "tells_departures", False) is True


def is_about_credentials(exc: BaseException, before: BaseException | None = None) -> bool:
    """True if an error was raised while the SDK looked for credentials or signed with them.

    ``before`` is an error that was being handled already, and is not looked at.
    """
    return any(frame.f_globals.get("__name__") in _CREDENTIALS for frame in _frames(exc, before))


def _frames(exc: BaseException | None, before: BaseException | None) -> Iterator[FrameType]:
    while exc is not None and exc is not before:
        yield from (frame for frame, _ in walk_tb(exc.__traceback__))
        exc = exc.__context__
