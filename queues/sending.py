"""Send batches to SQS side by side: most of the time of one is spent waiting for its answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field

from queues.errors import QueueUnavailable
from queues.sqs import Outgoing, Queue, Unsent

# One batch that hangs must not keep for longer from the database what became of the others.
PATIENCE_SECONDS = 0.25

Batch = Sequence[Outgoing]


@dataclass(frozen=True)
class Answer:
    """What became of a batch: SQS ids and failures by key. ``error``: nobody knows, SQS gave no answer."""

    batch: Batch
    sent: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, Unsent] = field(default_factory=dict)
    error: QueueUnavailable | None = None


def side_by_side(
    queue: Queue, batches: Sequence[Batch], *, hurried: bool = False
) -> Iterator[list[Answer]]:
    """Begin to send all at once, then give the answers as they come, those of a quarter of a second together."""
    if len(batches) == 1:
        yield [_send(queue, batches[0], hurried=hurried)]
        return
    waiting = {_begin(queue, batch, hurried=hurried) for batch in batches}
    while waiting:
        done, waiting = wait(waiting, timeout=PATIENCE_SECONDS)
        if done:
            yield [future.result() for future in done]


def _begin(queue: Queue, batch: Batch, *, hurried: bool) -> Future[Answer]:
    """In a thread that the process need not wait for when it ends; an executor's it would."""
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(_send(queue, batch, hurried=hurried))
        except BaseException as exc:
            future.set_exception(exc)

    threading.Thread(target=run, name=f"send-{queue.alias}", daemon=True).start()
    return future


def _send(queue: Queue, batch: Batch, *, hurried: bool) -> Answer:
    try:
        sent, failed = queue.send_batch(batch, hurried=hurried)
    except QueueUnavailable as exc:
        return Answer(batch, error=exc)
    return Answer(batch, sent, failed)
