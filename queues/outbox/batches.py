"""Send batches to SQS or SNS in parallel, because a batch spends most of its time waiting for the answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Protocol

from queues.aws.sqs import Outgoing, Unsent
from queues.errors import QueueUnavailable
from queues.events import tracing

# If one batch hangs, the results of the others still reach the database after this time.
ANSWER_SECONDS = 0.25

Batch = Sequence[Outgoing]


class Destination(Protocol):
    """A queue or topic that a batch can be sent to."""

    @property
    def alias(self) -> str:
        """The alias of the queue; for a topic, that of the queue behind it."""
        ...

    def send_batch(
        self, messages: Batch, *, hurried: bool = False
    ) -> tuple[dict[str, str], dict[str, Unsent]]:
        """Send the messages; returns AWS's ids and the failures, both by key. Raises QueueUnavailable."""
        ...


@dataclass(frozen=True)
class Answer:
    """The result of a batch: ids and failures by key; with ``error``, AWS gave no answer and the result is unknown."""

    batch: Batch
    sent: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, Unsent] = field(default_factory=dict)
    error: QueueUnavailable | None = None


def side_by_side(
    destination: Destination, batches: Sequence[Batch], *, hurried: bool
) -> Iterator[list[Answer]]:
    """Send all batches in parallel and yield the answers as they come, grouped by quarter of a second."""
    if len(batches) == 1:
        yield [_send(destination, batches[0], hurried=hurried)]
        return
    waiting = {
        _senders.begin(partial(_send, destination, batch, hurried=hurried)) for batch in batches
    }
    while waiting:
        done, waiting = wait(waiting, timeout=ANSWER_SECONDS)
        if done:
            yield [future.result() for future in done]


def _send(destination: Destination, batch: Batch, *, hurried: bool) -> Answer:
    traceparents = [message.attributes.get("traceparent", "") for message in batch]
    try:
        with tracing.publishing(destination.alias, traceparents):
            sent, failed = destination.send_batch(batch, hurried=hurried)
    except QueueUnavailable as exc:
        return Answer(batch, error=exc)
    return Answer(batch, sent, failed)


class _Senders:
    """Threads that are kept for the next batch, because starting one costs more than the work it does.

    There are as many as were ever needed at once. They are daemon threads, so the process does not wait for them when
    it ends; for the threads of an executor it would.
    """

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Future[Answer], Callable[[], Answer]]] = SimpleQueue()
        self._idle = threading.Semaphore(0)

    def begin(self, send: Callable[[], Answer]) -> Future[Answer]:
        """Begin to send a batch in a free thread, or a new one: no batch waits for another."""
        future: Future[Answer] = Future()
        self._work.put((future, send))
        if not self._idle.acquire(blocking=False):
            threading.Thread(target=self._run, name="sender", daemon=True).start()
        return future

    def _run(self) -> None:
        while True:
            self._answer(*self._work.get())

    def _answer(self, future: Future[Answer], send: Callable[[], Answer]) -> None:
        try:
            answer = send()
        except BaseException as exc:
            self._idle.release()
            future.set_exception(exc)
        else:
            # Before the result: whoever waits for the answer may submit the next batch at once.
            self._idle.release()
            future.set_result(answer)


_senders = _Senders()
