"""Keep what the stand-in knows: queues, latencies, the gate, and the counts of one run.

Its queue is no model of SQS: no visibility timeout, groups, deduplication or redrive. It is a list with long polls,
whose messages are JSON already, so that the stand-in takes as little as possible of the processor that is measured.
``benchmarks/aws_stub/queues.py`` has the rules.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter, deque
from collections.abc import Callable
from itertools import count
from typing import Any

from benchmarks.aws_stub.allowance import BURST_SHARE, Allowance

Json = dict[str, Any]
HandOut = Callable[[list[bytes]], None]

# What SES allows where it enforces nothing.
NO_LIMIT = 100_000.0


class Message:
    """A stored message; what does not change of its JSON is made once."""

    def __init__(self, number: int, body: str, attributes: Json) -> None:
        self.id = f"{number:08}"
        self.receives = 0
        fields: Json = {
            "MessageId": self.id,
            "Body": body,
            # The SDK for Node compares it.
            "MD5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        }
        if attributes:
            fields["MessageAttributes"] = attributes
        self._json = json.dumps(fields)[:-1].encode()

    def received(self) -> bytes:
        """Return the message's JSON for one more receive."""
        self.receives += 1
        tail = (
            ',"ReceiptHandle":"%s#%d","Attributes":{"ApproximateReceiveCount":"%d",'
            '"ApproximateFirstReceiveTimestamp":"0","SentTimestamp":"0"}}'
        )
        return self._json + (tail % (self.id, self.receives, self.receives)).encode()


class Waiter:
    """A long poll that waits for messages."""

    def __init__(self, queue: Queue, limit: int, seconds: float, hand_out: HandOut) -> None:
        self.limit = limit
        self.hand_out = hand_out
        self._queue = queue
        self._timer = asyncio.get_running_loop().call_later(seconds, self._give_up)
        queue.waiters.append(self)

    def withdraw(self) -> None:
        """Take the waiter out: it waits no longer."""
        self._timer.cancel()
        if self in self._queue.waiters:
            self._queue.waiters.remove(self)

    def _give_up(self) -> None:
        self.withdraw()
        self.hand_out([])


class Queue:
    """First in, first out; a message that is received stays away until somebody puts it back."""

    def __init__(self) -> None:
        self.attributes: Json = {"VisibilityTimeout": "600"}
        self.ready: deque[Message] = deque()
        self.in_flight: dict[str, Message] = {}
        self.waiters: deque[Waiter] = deque()
        self.is_open = True
        self._numbers = count(1)

    def put(self, body: str, attributes: Json) -> str:
        """Returns the message's id."""
        message = Message(next(self._numbers), body, attributes)
        self.ready.append(message)
        self.wake()
        return message.id

    def take(self, limit: int) -> list[bytes]:
        """Take up to so many messages; none while the gate is closed."""
        taken: list[bytes] = []
        while self.is_open and self.ready and len(taken) < limit:
            message = self.ready.popleft()
            self.in_flight[message.id] = message
            taken.append(message.received())
        return taken

    def put_back(self, receipt: str) -> None:
        """Visible again."""
        if message := self.in_flight.pop(receipt.partition("#")[0], None):
            self.ready.append(message)
            self.wake()

    def wake(self) -> None:
        """Serve who waits."""
        while self.waiters and (messages := self.take(self.waiters[0].limit)):
            waiter = self.waiters[0]
            waiter.withdraw()
            waiter.hand_out(messages)


class Aws:
    """One account; ``control`` begins each run afresh."""

    def __init__(self) -> None:
        # By whether it is that of HTTPS.
        self.endpoints = {False: "", True: ""}
        self._begin()

    @property
    def endpoint(self) -> str:
        """The address that URLs of queues begin with in this run."""
        return self.endpoints[self._tls]

    def _begin(self) -> None:
        self._tls = False
        self.queues: dict[str, Queue] = {}
        self.sqs_seconds = self.ses_seconds = 0.0
        self.allowance = Allowance(NO_LIMIT)
        self.is_polled = False
        self._forget()

    def _forget(self) -> None:
        self.calls: Counter[str] = Counter()
        self.emails: Counter[str] = Counter()
        self.sent = self.deleted = self.throttled = 0
        self.opened_at = self.deleted_at = 0.0

    def control(self, order: Json) -> Json:
        """``begin`` makes queues anew, ``put`` fills them, ``open`` moves the gate; opened, all counts are 0."""
        if "begin" in order:
            self._begin()
            self.queues = {name: Queue() for name in order["begin"]}
            self._tls = order.get("tls", False)
            self.sqs_seconds = order.get("sqs_ms", 0) / 1000
            self.ses_seconds = order.get("ses_ms", 0) / 1000
            if rate := order.get("ses_rate"):
                self.allowance = Allowance(rate, burst=max(1.0, rate * BURST_SHARE))
        for name, bodies in order.get("put", {}).items():
            for body in bodies:
                self.queues[name].put(body, {})
        if "open" in order:
            if order["open"]:
                self._forget()
                self.opened_at = time.monotonic()
            for queue in self.queues.values():
                queue.is_open = order["open"]
                queue.wake()
        return {}

    def is_too_fast(self) -> bool:
        """Return True, and count it, if SES refuses one email more at this moment."""
        is_allowed = self.allowance.take()
        self.throttled += not is_allowed
        return not is_allowed

    def count_email(self, number: str) -> None:
        """SES accepted the email about this order."""
        self.emails[number] += 1

    def count_delete(self, queue: Queue, receipt: str) -> None:
        """One message is done."""
        if queue.in_flight.pop(receipt.partition("#")[0], None):
            self.deleted += 1
            self.deleted_at = time.monotonic()

    def standing(self) -> Json:
        """The counts so far."""
        return {
            "polled": self.is_polled,
            "seconds": max(0.0, self.deleted_at - self.opened_at),
            "now": time.monotonic(),
            "sent": self.sent,
            "deleted": self.deleted,
            "accepted": self.emails.total(),
            "distinct": len(self.emails),
            "throttled": self.throttled,
            "calls": self.calls,
            "waiting": {name: len(queue.ready) for name, queue in self.queues.items()},
            "cpu_seconds": time.process_time(),
        }
