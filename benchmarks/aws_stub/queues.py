"""One SQS queue in memory, standard or FIFO: visibility, groups, deduplication, redrive to its dead-letter queue.

One of two models of SQS. This one runs in real time behind HTTP, for real processes: soaks, kills and crash tests. The
other, ``tests/faults/world/sqs.py``, runs in the test's own process on a clock that the test moves, so that a seed
repeats a run exactly.

Source: SQS developer guide. To treat both kinds alike, each message of a standard queue is a group of its own.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import math
import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.aws_stub.errors import AwsError

DEDUPLICATION_SECONDS = 300.0
_EXPIRED = "Value for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."


@dataclass
class Message:
    """A stored message. ``receipt`` is that of its last receive, ``visible_at`` when it comes back."""

    body: str
    group: str = ""
    deduplication_id: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    sequence: int = 0
    sent_at: float = field(default_factory=time.time)
    receives: int = 0
    first_received_at: float = 0.0
    receipt: str = ""
    visible_at: float = 0.0


class Queue:
    """Times are those of ``time.monotonic``."""

    def __init__(self, name: str, attributes: Mapping[str, str]) -> None:
        self.name = name
        self.attributes = {"VisibilityTimeout": "30", **attributes}
        self.arrival = asyncio.Event()
        self._messages: dict[str, Message] = {}
        # Of a plain dictionary the first is found ever more slowly the more were taken before it.
        self._ready: OrderedDict[str, list[tuple[int, str]]] = OrderedDict()
        self._in_flight: set[str] = set()
        self._locks: Counter[str] = Counter()
        self._timers: list[tuple[float, int, str, str]] = []
        self._seen: dict[str, tuple[float, Message]] = {}
        self._numbers = itertools.count(1)

    @property
    def is_fifo(self) -> bool:
        """True if the name ends in ``.fifo``."""
        return self.name.endswith(".fifo")

    @property
    def redrive(self) -> tuple[str, int]:
        """The name of the dead-letter queue and after how many receives; ("", 0) without a policy."""
        policy = json.loads(self.attributes.get("RedrivePolicy") or "{}")
        target = str(policy.get("deadLetterTargetArn", "")).rsplit(":", 1)[-1]
        return target, int(policy.get("maxReceiveCount", 0))

    @property
    def depth(self) -> tuple[int, int]:
        """Return how many messages are visible, and how many in flight or delayed."""
        self._wake()
        visible = sum(len(waiting) for waiting in self._ready.values())
        return visible, len(self._messages) - visible

    @property
    def next_at(self) -> float:
        """Return the time at which a message may become visible."""
        return self._timers[0][0] if self._timers else math.inf

    def put(self, message: Message, *, delay: float = 0.0, lose: bool = False) -> Message:
        """Take a message; on FIFO a repeat within five minutes is the first one again."""
        message.sequence = next(self._numbers)
        if self.is_fifo:
            moment, first = self._seen.get(message.deduplication_id, (0.0, message))
            if moment and time.monotonic() - moment < DEDUPLICATION_SECONDS:
                return first
            self._seen[message.deduplication_id] = (time.monotonic(), message)
        if lose:
            return message
        self._messages[message.id] = message
        if delay:
            self._call_later(delay, message)
        else:
            self._make_ready(message)
        return message

    def take(self, limit: int, *, visibility: float) -> tuple[list[Message], list[Message]]:
        """Up to ``limit`` messages to hand out, and those that had used up their receives before."""
        self._wake()
        taken: list[Message] = []
        dead: list[Message] = []
        most = self.redrive[1]
        while len(taken) < limit and (message := self._next(taken)):
            if most and message.receives >= most:
                del self._messages[message.id]
                dead.append(message)
                continue
            self._hand_out(message, visibility)
            taken.append(message)
        return taken, dead

    def double(self, message: Message, *, delay: float) -> None:
        """Let a message that is in flight be handed out once more."""
        heapq.heappush(self._timers, (time.monotonic() + delay, message.sequence, message.id, ""))

    def delete(self, receipt: str) -> None:
        """A receipt of a message that is gone is no error."""
        message = self._held(receipt)
        if message is None:
            return
        if self.is_fifo and (message.receipt != receipt or message.id not in self._in_flight):
            raise AwsError("InvalidParameterValue", _EXPIRED)
        self._land(message)
        del self._messages[message.id]
        self._withdraw(message)

    def hide(self, receipt: str, *, seconds: float) -> None:
        """Change when a message comes back."""
        message = self._held(receipt)
        if message is None or message.receipt != receipt:
            raise AwsError("InvalidParameterValue", _EXPIRED)
        if message.id not in self._in_flight:
            raise AwsError("MessageNotInflight", "The message referred to isn't in flight.")
        self._call_later(seconds, message)
        self._wake()

    def _held(self, receipt: str) -> Message | None:
        if "#" not in receipt:
            raise AwsError("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
        return self._messages.get(receipt.partition("#")[0])

    def _hand_out(self, message: Message, visibility: float) -> None:
        message.receives += 1
        message.first_received_at = message.first_received_at or time.time()
        message.receipt = f"{message.id}#{message.receives}"
        if message.id not in self._in_flight:
            self._in_flight.add(message.id)
            self._locks[message.group] += 1
        self._call_later(visibility, message)

    def _call_later(self, seconds: float, message: Message) -> None:
        message.visible_at = time.monotonic() + seconds
        entry = (message.visible_at, message.sequence, message.id, message.receipt or "delayed")
        heapq.heappush(self._timers, entry)

    def _wake(self) -> None:
        """Make ready what is due: hidden messages whose time is over, and doubles."""
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, message_id, receipt = heapq.heappop(self._timers)
            message = self._messages.get(message_id)
            if message is None:
                continue
            if not receipt:
                self._make_ready(message)
            elif receipt == (message.receipt or "delayed") and message.visible_at <= now:
                self._land(message)
                self._make_ready(message)

    def _land(self, message: Message) -> None:
        if message.id in self._in_flight:
            self._in_flight.remove(message.id)
            self._locks[message.group] -= 1

    def _lane(self, message: Message) -> str:
        return message.group if self.is_fifo else message.id

    def _make_ready(self, message: Message) -> None:
        waiting = self._ready.setdefault(self._lane(message), [])
        entry = (message.sequence, message.id)
        if entry not in waiting:
            heapq.heappush(waiting, entry)
        self.arrival.set()

    def _withdraw(self, message: Message) -> None:
        """A double of a deleted message is not handed out."""
        waiting = self._ready.get(self._lane(message), [])
        entry = (message.sequence, message.id)
        if entry in waiting:
            waiting.remove(entry)
            heapq.heapify(waiting)
        if not waiting:
            self._ready.pop(self._lane(message), None)

    def _next(self, taken: list[Message]) -> Message | None:
        """The oldest message of the first lane that may be read; a FIFO group stays with who holds it."""
        mine = {message.group for message in taken}
        for lane, waiting in self._ready.items():
            if self.is_fifo and self._locks[lane] and lane not in mine:
                continue
            _, message_id = heapq.heappop(waiting)
            if not waiting:
                del self._ready[lane]
            return self._messages[message_id]
        return None
