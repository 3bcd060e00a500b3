"""Receive messages, have them handled, delete them: the consumer's loop.

Lanes receive from each queue (``queues.consumer.lanes``), and each handles its own batch of ten together. Messages that
must be handled alone go to the queue's worker pool; while half as many as it has threads wait there, nothing more is
received. From a FIFO queue one lane receives messages one by one: SQS delivers nothing more of a group before the
delete, and in a batch the messages behind one that fails would use up their receives with it.

A message whose consumer died is handled alone (``queues.consumer.quarantine``). A message that cannot be handled
because the database fails stays in flight and is handled again (``queues.consumer.retry_in_place``). Meanwhile nothing
is received.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from django.conf import settings
from django.db import connection

from queues import registry
from queues.aws import sqs
from queues.aws.sqs import BATCH_ENTRIES, Queue, Received
from queues.consumer import handling, quarantine, retry_in_place, together
from queues.consumer.acks import MAX_WAIT_SECONDS, Acks
from queues.consumer.handling import Work
from queues.consumer.in_flight import InFlight
from queues.consumer.lanes import Lanes
from queues.consumer.receiving import Budget, Receiver
from queues.consumer.retry_in_place import OUTAGES, RetryInPlace
from queues.errors import GiveBack, QueueUnavailable, ReceiptExpired
from queues.threads import writer
from queues.threads.worker_pool import WorkerPool

logger = logging.getLogger(__name__)

Handle = Callable[[Queue, Received], handling.Disposition]

# The number of messages of each queue that are handled at once, unless the caller says otherwise: ten for each lane.
CONCURRENCY = 8
# Of these, so many threads at most handle messages alone.
MOST_ALONE = 64
# The longest time from SIGTERM until the rest is left; ``threads.stopping`` ends the process soon after. An outstanding
# long poll and a running call to SES end before.
DRAIN_SECONDS = 21.0
# Of that, for the last deletes.
LAST_SECONDS = 1.0
TICK_SECONDS = 0.05


class Consumer:
    """Consumes some queues until it is told to stop, or until they are empty.

    ``handle`` decides what becomes of a message; with one of the caller's own, each is handled alone. A signal handler
    may set ``stopping`` and nothing else.
    """

    def __init__(
        self,
        queues: Sequence[Queue],
        *,
        concurrency: int = CONCURRENCY,
        max_messages: int | None = None,
        handle: Handle = handling.handle,
    ) -> None:
        self.queues = queues
        self.stopping = False
        self.crashed = False
        self._is_stuck = False
        # The number of messages handled since the start.
        self.handled = 0
        self._handle = handle
        self._handles_together = handle is handling.handle
        self._budget = Budget(max_messages)
        self._lock = threading.Lock()
        self._acks = {queue.alias: Acks(queue) for queue in queues}
        self._in_flight = InFlight()
        self._waiting = {queue.alias: 0 for queue in queues}
        self._sizes = {queue.alias: concurrency for queue in queues}
        self._polls = 0
        self._retries = RetryInPlace()
        self._quarantine = quarantine.Quarantine()
        # Each queue has its own pool: slow messages of one queue must not keep another queue from being read.
        self._pools = {
            queue.alias: WorkerPool(f"handle-{queue.alias}", size=_pool_size(concurrency))
            for queue in queues
        }
        self._receivers = {queue.alias: self._receiver_of(queue) for queue in queues}
        self._lanes = {queue.alias: self._lanes_of(queue) for queue in queues}

    @property
    def troubles(self) -> dict[str, str]:
        """Why nothing can be received now, by queue alias: what SQS answered, or did not."""
        found = {alias: receiver.trouble for alias, receiver in self._receivers.items()}
        return {alias: trouble for alias, trouble in found.items() if trouble}

    @property
    def unfinished(self) -> int:
        """The number of messages in flight; after ``run``, those that did not end in time."""
        return len(self._in_flight)

    @property
    def hangs(self) -> bool:
        """True after ``run`` if something did not end in time, so that the process must not wait for it."""
        return bool(self._is_stuck or self._in_flight)

    @property
    def threads(self) -> int:
        """The number of messages, of all queues, that can be handled at once now."""
        return sum(self._sizes.values())

    def resize(self, alias: str, concurrency: int) -> None:
        """Handle this many messages of the queue at once from now on; running ones end first."""
        self._sizes[alias] = concurrency
        self._pools[alias].resize(_pool_size(concurrency))
        if not self.stopping:
            self._lanes[alias].resize(_lanes_for(sqs.queue(alias), concurrency))

    def run(self) -> None:
        """Consume until ``stopping``, then give back messages that wait and finish those that run.

        The thread that calls this only waits for other threads, with a limit: neither database nor AWS can hold it.
        """
        with writer.one_thread(), self._in_flight.extended():
            self._run()

    def _run(self) -> None:
        acknowledging = threading.Thread(target=self._tick_on, name="acks", daemon=True)
        acknowledging.start()
        for lanes in self._lanes.values():
            lanes.start()
        while not self.stopping and self._has_work():
            time.sleep(TICK_SECONDS)
        self.stopping = True
        self._drain()

    def _has_work(self) -> bool:
        """Return True while a lane runs, or a message waits for a thread: the last one of a budget must be begun."""
        return any(lanes.are_alive for lanes in self._lanes.values()) or any(self._waiting.values())

    def _tick_on(self) -> None:
        while not self.stopping:
            time.sleep(TICK_SECONDS)
            try:
                self.tick()
            except Exception:
                # This thread must not die unseen: then no message would be deleted.
                logger.exception("not acknowledged")
        connection.close()

    def run_until_empty(self, *, between: Callable[[], int]) -> None:
        """Consume until nothing is received and ``between`` (relay, collector) finds nothing to do either."""
        stopped = retry_in_place.begun(lambda: self.stopping)
        with writer.one_thread(), self._in_flight.extended(), stopped:
            try:
                while not self.stopping:
                    # A short poll may miss messages, so only a long one can tell that the queue is empty.
                    if not (
                        self._round(wait_seconds=0) or between() or self._round(wait_seconds=1)
                    ):
                        break
            finally:
                self.stopping = True
                self._drain()

    def _round(self, *, wait_seconds: int) -> int:
        """Receive from every open queue and wait until all is handled; returns how many were received."""
        is_open = [queue for queue in self.queues if not registry.why_closed(queue.alias)]
        received = sum(self.step(queue, wait_seconds=wait_seconds) for queue in is_open)
        while self._in_flight and not self.stopping:
            time.sleep(0.01)
            self.tick()
        for acks in self._acks.values():
            acks.flush()
        return received

    def step(self, queue: Queue, *, wait_seconds: int) -> int:
        """Receive once and handle the messages, or hand them to the worker pool; returns how many came.

        Raises QueueUnavailable.
        """
        messages = self._receive(queue, wait_seconds=wait_seconds)
        self._work_on(queue, messages)
        return len(messages)

    def poll_once(self) -> int:
        """Receive from each queue once, handle and delete in this thread; returns how many were received."""
        count = 0
        for queue in self.queues:
            messages = self._receive(queue, wait_seconds=0)
            count += len(messages)
            for message, handle in self._left_of(queue, messages):
                self._process(queue, message, handle=handle)
            self._acks[queue.alias].flush()
        while found := self._quarantine.next():
            self._process_alone(*found)
        return count

    def _work_on(self, queue: Queue, messages: Sequence[Received]) -> None:
        """Handle together what can be handled together, and hand the rest to the worker pool."""
        for message, handle in self._left_of(queue, messages):
            with self._lock:
                self._waiting[queue.alias] += 1
            self._pools[queue.alias].submit(partial(self._work, queue, message, handle))

    def _left_of(
        self, queue: Queue, messages: Sequence[Received]
    ) -> Iterator[tuple[Received, Handle]]:
        """Handle together what can be; yields the others, each with the function that handles it alone."""
        calm = self._quarantine.take(queue, messages) if messages else []
        if not self._handles_together or self.stopping:
            yield from ((message, self._handle) for message in calm)
            return
        done, left = together.handle(queue, calm)
        for message in done:
            self._settle(queue, message, handling.Disposition(delete=True))
        if done and left:
            # One of these may kill the process, and would cost those that are done a receive each.
            self._acks[queue.alias].flush()
        for message, work in left:
            yield message, _Finishing(work)

    def tick(self) -> None:
        """Do what is due: waiting deletes, the next quarantined message."""
        for acks in self._acks.values():
            acks.flush(older_than_seconds=MAX_WAIT_SECONDS)
        self._begin_quarantined()

    def _receive(self, queue: Queue, *, wait_seconds: int) -> list[Received]:
        with self._budget.reserved(1 if queue.is_fifo else BATCH_ENTRIES) as part:
            if not part.limit:
                return []
            messages = queue.receive(limit=part.limit, wait_seconds=wait_seconds)
            part.used = len(messages)
        self._in_flight.take(queue, messages)
        return messages

    def _lanes_of(self, queue: Queue) -> Lanes:
        return Lanes(
            f"receive-{queue.alias}",
            size=_lanes_for(queue, self._sizes[queue.alias]),
            receive=partial(self._receive_or_stop, queue),
            work=partial(self._work_or_stop, queue),
            is_over=self._is_over,
        )

    def _receiver_of(self, queue: Queue) -> Receiver:
        return Receiver(
            queue,
            poll=partial(self._poll, queue),
            may_poll=partial(self._begin_poll, queue),
            is_over=self._is_over,
        )

    def _is_over(self) -> bool:
        return self.stopping or self._budget.is_spent

    def _receive_or_stop(self, queue: Queue) -> list[Received]:
        """Receive, and stop the consumer on a bug: it must not look healthy and read one queue fewer."""
        try:
            return self._receivers[queue.alias].receive()
        except Exception:
            logger.exception("stopping: the receiver of queue %s failed", queue.alias)
            self.crashed = self.stopping = True
            return []

    def _work_or_stop(self, queue: Queue, messages: Sequence[Received]) -> None:
        retry_in_place.begin(lambda: self.stopping)
        try:
            self._work_on(queue, messages)
        except Exception:
            logger.exception("stopping: a lane of queue %s failed", queue.alias)
            self.crashed = self.stopping = True

    def _begin_poll(self, queue: Queue) -> bool:
        """Return False while nothing may be received: a long poll that begins is counted until ``_poll`` ends it.

        That is while many messages wait for a thread, one waits for the database, or a quarantined one must be alone.
        """
        most = 0 if queue.is_fifo else self._pools[queue.alias].size // 2
        with self._lock:
            if self._waiting[queue.alias] > most or self._budget.is_reserved:
                return False
            if self._retries.is_tried or self._quarantine.need_quiet:
                return False
            self._polls += 1
            return True

    def _poll(self, queue: Queue) -> list[Received]:
        try:
            self._receivers[queue.alias].require_open()
            return self._receive(queue, wait_seconds=settings.QUEUE_WAIT_SECONDS)
        finally:
            with self._lock:
                self._polls -= 1

    def _begin_quarantined(self) -> None:
        """Begin the next quarantined message as soon as nothing else is in flight."""
        with self._lock:
            if self.stopping or len(self._in_flight) > len(self._quarantine):
                return
            found = self._quarantine.next(quiet=not self._polls)
        if found:
            queue, message = found
            self._pools[queue.alias].submit(partial(self._work_alone, queue, message))

    def _work_alone(self, queue: Queue, message: Received) -> None:
        """Handle one quarantined message, as a job of the worker pool."""
        retry_in_place.begin(lambda: self.stopping)
        try:
            self._process_alone(queue, message)
        finally:
            writer.drop_broken_connection()

    def _process_alone(self, queue: Queue, message: Received) -> None:
        """Handle a quarantined message; handled messages are deleted before and after it."""
        for acks in self._acks.values():
            acks.flush()
        try:
            self._process(queue, message, handle=self._handle_alone)
            self._acks[queue.alias].flush()
        finally:
            self._quarantine.done()

    def _handle_alone(self, queue: Queue, message: Received) -> handling.Disposition:
        quarantine.mark(queue, message)
        disposition = self._handle(queue, message)
        quarantine.unmark(queue, message)
        return disposition

    def _work(self, queue: Queue, message: Received, handle: Handle) -> None:
        """Handle one message, as a job of the worker pool."""
        retry_in_place.begin(lambda: self.stopping)
        with self._lock:
            self._waiting[queue.alias] -= 1
        try:
            self._process(queue, message, handle=handle)
            if queue.is_fifo:
                # SQS delivers nothing more of the group until the delete.
                self._acks[queue.alias].flush()
        finally:
            writer.drop_broken_connection()

    def _process(self, queue: Queue, message: Received, *, handle: Handle) -> None:
        if self.stopping and not (isinstance(handle, _Finishing) and handle.is_begun):
            self._give_back(queue, message)
            return
        name = f"event={message.event_id} message={message.id}"
        try:
            disposition = self._retries.run(lambda: handle(queue, message), name=name)
        except GiveBack:
            self._give_back(queue, message)
            return
        except OUTAGES as exc:
            disposition = handling.failed_unexpectedly(queue, message, exc)
        self._settle(queue, message, disposition)

    def _settle(self, queue: Queue, message: Received, disposition: handling.Disposition) -> None:
        if disposition.delete:
            with self._lock:
                self.handled += 1
            self._acks[queue.alias].add(message, event_id=disposition.event_id)
            self._in_flight.drop(message)
        elif disposition.given_back:
            self._give_back(queue, message)
        else:
            self._in_flight.let_go(message)
            _let_back(message, lambda: queue.hide(message, seconds=disposition.hide_seconds))

    def _give_back(self, queue: Queue, message: Received) -> None:
        self._in_flight.let_go(message)
        _let_back(message, lambda: queue.give_back(message))
        logger.info("given back event=%s message=%s", message.event_id, message.id)

    def _drain(self) -> None:
        """End everything in another thread, DRAIN_SECONDS at most: the database, or SQS, may hang."""
        deadline = time.monotonic() + DRAIN_SECONDS - LAST_SECONDS
        draining = threading.Thread(
            target=self._end_all, args=(deadline,), name="drain", daemon=True
        )
        draining.start()
        draining.join(DRAIN_SECONDS)
        self._is_stuck = draining.is_alive()

    def _end_all(self, deadline: float) -> None:
        """Wait for long polls and running handlers; messages that are not begun are given back."""
        for lanes in self._lanes.values():
            lanes.join(timeout=max(0.0, deadline - time.monotonic()))
        for queue, message in self._quarantine.rest():
            self._give_back(queue, message)
        while self._in_flight and time.monotonic() < deadline:
            time.sleep(0.02)
            self.tick()
        for pool in self._pools.values():
            pool.resize(0)
        for pool in self._pools.values():
            # A pool's last job may still have work after its message is no longer in flight.
            pool.join(timeout=max(0.0, deadline - time.monotonic()))
        for acks in self._acks.values():
            acks.flush()
        while any(len(acks) for acks in self._acks.values()) and time.monotonic() < deadline:
            # Another thread deletes these.
            time.sleep(0.02)
        connection.close()


def _pool_size(concurrency: int) -> int:
    return min(concurrency, MOST_ALONE)


def _lanes_for(queue: Queue, concurrency: int) -> int:
    return 1 if queue.is_fifo else math.ceil(concurrency / BATCH_ENTRIES)


class _Finishing:
    """Finishes a message that is noted; a second call does all from the beginning."""

    def __init__(self, work: Work | None) -> None:
        # It may hold a claim, which would end in doubt if nobody finished it.
        self.is_begun = work is not None
        self._works = [work]

    def __call__(self, queue: Queue, message: Received) -> handling.Disposition:
        return handling.finish(queue, message, self._works.pop() if self._works else None)


def _let_back(message: Received, hide: Callable[[], None]) -> None:
    try:
        hide()
    except ReceiptExpired:
        logger.info("receipt expired event=%s message=%s", message.event_id, message.id)
    except QueueUnavailable as exc:
        # The message comes back by its visibility timeout.
        logger.warning("not hidden event=%s message=%s: %s", message.event_id, message.id, exc)
