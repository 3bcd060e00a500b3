"""Send a probe, receive it, delete it: each step with its id and its time, on a queue made for it.

SQS cannot filter: whoever receives from a queue may be given anybody's message, and burns one of its receives. So the
probe has a queue of its own, with the attributes of the real one, that lives as long as the round trip. Its name is
new each time, because SQS refuses a name for a minute after its queue was deleted.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from queues.aws import sqs
from queues.aws.failures import error_codes
from queues.aws.sqs import Outgoing, Queue, Received
from queues.doctor.findings import missing_right
from queues.errors import QueueMissing, QueueUnavailable
from queues.uuid7 import uuid7

logger = logging.getLogger(__name__)

MARK = "-probe-"
# SQS's limit for a queue's name.
MAX_NAME = 80
# The next round trip removes a queue of this age, which a killed one left behind.
LEFT_SECONDS = 600
# Mostly, a queue answers within a second after it was made.
MAKING_SECONDS = 15
ARRIVAL_SECONDS = 10
RETENTION_SECONDS = "600"
_COPIED = (
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "DelaySeconds",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "MaximumMessageSize",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
)


@dataclass(frozen=True)
class ProbeStep:
    """One step of a round trip. ``id`` is the one that SQS gave, if any; ``fix`` says what to do if it failed."""

    name: str
    what: str
    milliseconds: int
    id: str = ""
    is_ok: bool = True
    fix: str = ""


class _Failed(Exception):
    """AWS answered without an error, but did not keep a promise."""


class _Stopped(Exception):
    """A step failed and was reported; the round trip ends."""


Say = Callable[[ProbeStep], None]
# What a step did, and the id that SQS gave.
Done = tuple[str, str]


def run(alias: str, say: Say) -> bool:
    """Make a round trip beside the queue of this alias; ``say`` gets each step. Return whether all went well."""
    return _Trip(sqs.queue(alias), say).run()


def timed(name: str, act: Callable[[], Done], say: Say) -> None:
    """Run and report one step; raises QueueUnavailable, which the caller knows how to explain."""
    began = time.monotonic()
    what, found = act()
    _tell(ProbeStep(name, what, _milliseconds(began), found), say)


class _Trip:
    def __init__(self, queue: Queue, say: Say) -> None:
        self._queue = queue
        self._say = say
        self._probe = Queue(f"{queue.alias} probe", _probe_name(queue))
        self._attributes: Mapping[str, str] = {}

    def run(self) -> bool:
        try:
            self._step("look", self._look)
            self._step("make", self._make)
            try:
                self._prove()
            finally:
                self._step("remove", self._remove)
        except _Stopped:
            return False
        return True

    def _prove(self) -> None:
        self._step("send", self._send)
        self._step("receive", self._receive)
        self._step("hide", self._hide)
        self._step("give back", self._give_back)
        self._step("delete", self._delete)
        if self._probe.is_fifo:
            self._step("order", self._order)
            self._step("group", self._group)
            self._step("deduplication", self._deduplication)

    def _step(self, name: str, act: Callable[[], Done]) -> None:
        began = time.monotonic()
        try:
            timed(name, act, self._say)
        except _Failed as exc:
            fix = "SQS or what stands in for it does not keep this promise: see manage.py doctor."
            failed = ProbeStep(name, str(exc), _milliseconds(began), is_ok=False, fix=fix)
        except QueueUnavailable as exc:
            failed = _refused(name, exc, self._probe, _milliseconds(began))
        else:
            return
        _tell(failed, self._say)
        raise _Stopped

    def _look(self) -> Done:
        self._attributes = self._queue.attributes()
        left = _remove_left(self._queue)
        more = f"; removed {left} that an earlier round trip left" if left else ""
        return f"looked at {self._queue.name}, and nothing more{more}", ""

    def _make(self) -> Done:
        arn = self._attributes.get("QueueArn", "")
        attributes = {
            name: self._attributes[name] for name in _COPIED if self._attributes.get(name)
        }
        if policy := self._attributes.get("Policy"):
            # The probe queue must refuse what the real one refuses.
            own = arn.rpartition(":")[0] + f":{self._probe.name}"
            attributes["Policy"] = policy.replace(arn, own)
        self._probe.create(attributes | {"MessageRetentionPeriod": RETENTION_SECONDS})
        return f"made {self._probe.name} with the attributes of {self._queue.name}", ""

    def _send(self) -> Done:
        return "sent the probe", self._put("1")[0]

    def _receive(self) -> Done:
        self._first = self._get()
        if self._first.receive_count != 1:
            raise _Failed(f"it was received before: receive {self._first.receive_count}")
        return "received it", self._first.id

    def _hide(self) -> Done:
        self._nothing_comes("it came again while it was in flight")
        return "while it is in flight nobody else gets it", self._first.id

    def _give_back(self) -> Done:
        self._probe.hide(self._first, seconds=0)
        again = self._get()
        if again.id != self._first.id or again.receive_count < 2:
            raise _Failed(f"given back, {again.id} came with receive {again.receive_count}")
        self._first = again
        return "given back, it came again at once: receive 2", again.id

    def _delete(self) -> Done:
        self._take(self._first)
        self._nothing_comes("it came again after it was deleted")
        return "deleted it, and it came no more", self._first.id

    def _order(self) -> Done:
        ids = self._put("1", "2", "3")
        came = [self._taken() for _ in ids]
        if came != ["1", "2", "3"]:
            raise _Failed(f"sent 1, 2, 3 in one group, and {', '.join(came)} came")
        return "sent 1, 2, 3 in one group, and they came in this order", ids[0]

    def _group(self) -> Done:
        ids = self._put("1", "2")
        first = self._get()
        self._nothing_comes("2 came while 1 of its group was in flight")
        self._probe.hide(first, seconds=0)
        came = [self._taken(), self._taken()]
        if came != ["1", "2"]:
            raise _Failed(f"1 was given back, and {', '.join(came)} came")
        return "2 waited while 1 was in flight, and still did when 1 was given back", ids[0]

    def _deduplication(self) -> Done:
        same = uuid7().hex
        ids = self._put("1", deduplication_id=same) + self._put("1", deduplication_id=same)
        self._taken()
        self._nothing_comes("the repeat came as well")
        return "sent twice under one deduplication id, it came once", ids[0]

    def _remove(self) -> Done:
        self._probe.remove()
        return f"removed {self._probe.name}", ""

    def _put(self, *names: str, deduplication_id: str = "") -> list[str]:
        """Send messages of these names; return the ids that SQS gave them."""
        messages = [
            Outgoing(
                key=name,
                body=json.dumps({"probe": name}),
                group="probe" if self._probe.is_fifo else "",
                deduplication_id=deduplication_id or uuid7().hex,
            )
            for name in names
        ]
        sent, failed = self._sent(messages)
        if failed:
            raise _Failed(f"SQS did not take it: {next(iter(failed.values())).reason}")
        return [sent[name] for name in names]

    def _sent(self, messages: Sequence[Outgoing]) -> tuple[dict[str, str], dict[str, sqs.Unsent]]:
        until = time.monotonic() + MAKING_SECONDS
        while True:
            try:
                return self._probe.send_batch(messages)
            except QueueMissing:
                # SQS is still making the queue.
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)

    def _get(self) -> Received:
        until = time.monotonic() + ARRIVAL_SECONDS
        while time.monotonic() < until:
            if found := self._probe.receive(limit=1, wait_seconds=2):
                return found[0]
        raise _Failed(f"nothing came within {ARRIVAL_SECONDS} s")

    def _take(self, message: Received) -> None:
        if self._probe.delete_batch([message]):
            raise _Failed("SQS did not delete it")

    def _taken(self) -> str:
        """Receive and delete the next message; return its name."""
        message = self._get()
        self._take(message)
        return str(json.loads(message.body)["probe"])

    def _nothing_comes(self, otherwise: str) -> None:
        if self._probe.receive(limit=1, wait_seconds=1):
            raise _Failed(otherwise)


def _probe_name(queue: Queue) -> str:
    suffix = f"{MARK}{secrets.token_hex(4)}{'.fifo' if queue.is_fifo else ''}"
    return _stem(queue)[: MAX_NAME - len(suffix)] + suffix


def _stem(queue: Queue) -> str:
    return queue.name.removesuffix(".fifo")


def _remove_left(queue: Queue) -> int:
    """Remove probe queues that are too old to be in use; without the right to list queues, remove none."""
    try:
        left = [Queue("probe", url) for url in sqs.urls(_stem(queue)[:60] + MARK)]
        old = [each for each in left if _age(each) > LEFT_SECONDS]
        for each in old:
            each.remove()
    except QueueUnavailable as exc:
        logger.info("probe queues not looked for queue=%s: %s", queue.alias, exc)
        return 0
    return len(old)


def _age(queue: Queue) -> float:
    try:
        return time.time() - float(queue.attributes().get("CreatedTimestamp", time.time()))
    except QueueMissing:
        # Another round trip has just removed it.
        return 0


def _refused(name: str, exc: QueueUnavailable, probe: Queue, milliseconds: int) -> ProbeStep:
    if error_codes.is_denied(exc.code):
        right = _RIGHTS.get(name, "sqs:SendMessage")
        found = missing_right(str(exc), otherwise=right, of=f"queue {probe.name}")
        return ProbeStep(name, found.what, milliseconds, is_ok=False, fix=found.fix)
    fix = "See manage.py doctor." if not isinstance(exc, QueueMissing) else ""
    return ProbeStep(name, str(exc), milliseconds, is_ok=False, fix=fix)


_RIGHTS = {
    "look": "sqs:GetQueueAttributes",
    "make": "sqs:CreateQueue",
    "send": "sqs:SendMessage",
    "receive": "sqs:ReceiveMessage",
    "hide": "sqs:ReceiveMessage",
    "give back": "sqs:ChangeMessageVisibility",
    "delete": "sqs:DeleteMessage",
    "remove": "sqs:DeleteQueue",
}


def _tell(step: ProbeStep, say: Say) -> None:
    level = logging.INFO if step.is_ok else logging.ERROR
    logger.log(
        level,
        "probe step=%s message=%s ms=%d: %s",
        step.name,
        step.id,
        step.milliseconds,
        step.what,
    )
    say(step)


def _milliseconds(began: float) -> int:
    return round((time.monotonic() - began) * 1000)
