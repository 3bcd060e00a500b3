"""Send many requests at once from one thread, and wait for all of their responses: one round.

Each request has a connection of its own. The thread that wants the responses waits for them itself: nothing is handed
from thread to thread.
"""

from __future__ import annotations

import math
import select
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ConnectTimeoutError

from queues.aws.lean_connections import Connections, Exchange, Response

# The pause between two looks. Answers that come one right after the other are read together, and requests that are due
# leave together: each time that a thread wakes up costs as much as an answer.
LOOK_SECONDS = 0.002


class Planned(NamedTuple):
    """A request that leaves at ``at``, in seconds of ``time.monotonic``, if ``is_fit`` says so right before."""

    request: bytes
    at: float
    is_fit: Callable[[], bool]


class _UnderWay(NamedTuple):
    number: int
    exchange: Exchange
    until: float


class Round:
    """The requests of one round, in the order in which they leave."""

    def __init__(self, connections: Connections, planned: Sequence[Planned]) -> None:
        self._connections = connections
        self._waiting = deque(enumerate(planned))
        self._under_way: dict[int, _UnderWay] = {}
        self._results: list[Response | BotoCoreError | None] = [None] * len(planned)
        self._poll = select.poll()
        self._timed_out: BotoCoreError | None = None

    def run(self) -> list[Response | BotoCoreError | None]:
        """Send each request once; returns for each its response, its error, or None if it was not fit to leave."""
        try:
            while self._waiting or self._under_way:
                self._send_due()
                self._read_ready()
                self._end_late()
                if len(self._waiting) + len(self._under_way) > 1:
                    time.sleep(LOOK_SECONDS)
        finally:
            for one in self._under_way.values():
                one.exchange.give_up()
        return self._results

    def _send_due(self) -> None:
        while self._waiting and self._waiting[0][1].at <= time.monotonic():
            number, planned = self._waiting.popleft()
            if self._timed_out:
                # Each connection to a host that is gone would take as long again.
                self._results[number] = self._timed_out
            elif planned.is_fit():
                self._send(number, planned.request)

    def _send(self, number: int, request: bytes) -> None:
        try:
            exchange = self._connections.begin(request)
        except BotoCoreError as exc:
            self._results[number] = exc
            self._timed_out = exc if isinstance(exc, ConnectTimeoutError) else None
            return
        until = time.monotonic() + self._connections.read_timeout
        self._under_way[exchange.fileno()] = _UnderWay(number, exchange, until)
        self._poll.register(exchange.fileno(), select.POLLIN)

    def _read_ready(self) -> None:
        for handle in self._readable(self._seconds_to_wait()):
            if not self._under_way[handle].exchange.has_begun():
                continue
            one = self._ended(handle)
            try:
                self._results[one.number] = one.exchange.response()
            except BotoCoreError as exc:
                self._results[one.number] = exc

    def _end_late(self) -> None:
        if self._first_end() > (now := time.monotonic()):
            return
        late = {handle for handle, one in self._under_way.items() if one.until <= now}
        # An answer that came while another was read is not late.
        for handle in late - set(self._readable(0)):
            one = self._ended(handle)
            self._results[one.number] = one.exchange.give_up()

    def _readable(self, seconds: float) -> list[int]:
        return [handle for handle, _ in self._poll.poll(1000 * seconds)]

    def _ended(self, handle: int) -> _UnderWay:
        self._poll.unregister(handle)
        return self._under_way.pop(handle)

    def _seconds_to_wait(self) -> float:
        due = self._waiting[0][1].at if self._waiting else math.inf
        until = min(due, self._first_end())
        return max(0.0, until - time.monotonic()) if until < math.inf else 0.0

    def _first_end(self) -> float:
        """Return when the request that left first is late: each may take equally long."""
        first = next(iter(self._under_way.values()), None)
        return first.until if first else math.inf
