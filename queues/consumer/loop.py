"""Receive messages, have ``handling.handle`` handle them, delete them: the consumer's loop.

One thread per queue receives, and a worker pool per queue handles. At most one batch of ten per queue is received and
not begun. From a FIFO queue messages are received one by one: SQS delivers nothing more of a group before the delete,
and in a batch the messages behind one that fails would use up their receives with it.

A message whose consumer died is handled alone (``queues.consumer.quarantine``). A message that cannot be handled
because the database fails stays in flight and is handled again (``queues.consumer.retry_in_place``). Meanwhile nothing
is received.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from django.conf import settings
from django.db import Error, connection

from queues import registry
from queues.aws.sqs import BATCH_ENTRIES, Queue, Received
from queues.consumer import handling, quarantine, retry_in_place
from queues.consumer.acks import MAX_WAIT_SECONDS, Acks
from queues.consumer.in_flight import InFlight
from queues.consumer.retry_in_place import OUTAGES, RetryInPlace
from queues.errors import GiveBack, QueueClosed, QueueUnavailable, ReceiptExpired
from queues.threads import writer
from queues.threads.worker_pool import WorkerPool

logger = logging.getLogger(__name__)

Handle = Callable[[Queue, Received], handling.Disposition]

# The number of messages of each queue that are handled at once, unless the caller says otherwise.
CONCURRENCY = 8
# The longest time from SIGTERM until the rest is left; ``threads.stopping`` ends the process soon after. An outstanding
# long poll and a running call to SES end before.
DRAIN_SECONDS = 21.0
# Of that, for the last deletes.
LAST_SECONDS = 1.0
TICK_SECONDS = 0.05
MAX_PAUSE_SECONDS = 30.0


class Consumer:
    """Consumes some queues until it is told to stop, or until they are empty.

    ``handle`` decides what becomes of a message. A signal handler may set ``stopping`` and nothing else.
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
        # Why nothing can be received now, by queue alias: what SQS answered, or did not.
        self.troubles: dict[str, str] = {}
        self._handle = handle
        self._budget = max_messages
        self._reserved = 0
        self._lock = threading.Lock()
        self._acks = {queue.alias: Acks(queue) for queue in queues}
        self._in_flight = InFlight()
        self._waiting = {queue.alias: 0 for queue in queues}
        self._polls = 0
        self._retries = RetryInPlace()
        self._quarantine = quarantine.Quarantine()
        # Each queue has its own pool: slow messages of one queue must not keep another queue from being read.
        self._pools = {
            queue.alias: WorkerPool(f"handle-{queue.alias}", size=concurrency) for queue in queues
        }

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
        return sum(pool.size for pool in self._pools.values())

    def resize(self, alias: str, concurrency: int) -> None:
        """Handle this many messages of the queue at once from now on; running ones end first."""
        self._pools[alias].resize(concurrency)

    def run(self) -> None:
        """Consume until ``stopping``, then give back messages that wait and finish those that run.

        The thread that calls this only waits for other threads, with a limit: neither database nor AWS can hold it.
        """
        with writer.one_thread(), self._in_flight.extended():
            self._run()

    def _run(self) -> None:
        receivers = [
            threading.Thread(
                target=self._receive_or_stop,
                args=(queue,),
                name=f"receive-{queue.alias}",
                daemon=True,
            )
            for queue in self.queues
        ]
        acknowledging = threading.Thread(target=self._tick_on, name="acks", daemon=True)
        for thread in (*receivers, acknowledging):
            thread.start()
        while not self.stopping and any(thread.is_alive() for thread in receivers):
            time.sleep(TICK_SECONDS)
        self.stopping = True
        self._drain(receivers)

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
        with writer.one_thread(), self._in_flight.extended():
            try:
                while not self.stopping:
                    # A short poll may miss messages, so only a long one can tell that the queue is empty.
                    if not (
                        self._round(wait_seconds=0) or between() or self._round(wait_seconds=1)
                    ):
                        break
            finally:
                self.stopping = True
                self._drain([])

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
        """Receive once and hand the messages to the worker pool; returns how many. Raises QueueUnavailable."""
        messages = self._receive(queue, wait_seconds=wait_seconds)
        for message in self._quarantine.take(queue, messages):
            self._pools[queue.alias].submit(partial(self._work, queue, message))
        return len(messages)

    def poll_once(self) -> int:
        """Receive from each queue once, handle and delete in this thread; returns how many were received."""
        count = 0
        for queue in self.queues:
            messages = self._receive(queue, wait_seconds=0)
            count += len(messages)
            for message in self._quarantine.take(queue, messages):
                self._process(queue, message, handle=self._handle)
            self._acks[queue.alias].flush()
        while found := self._quarantine.next():
            self._process_alone(*found)
        return count

    def tick(self) -> None:
        """Do what is due: waiting deletes, the next quarantined message."""
        for acks in self._acks.values():
            acks.flush(older_than_seconds=MAX_WAIT_SECONDS)
        self._begin_quarantined()

    def _receive(self, queue: Queue, *, wait_seconds: int) -> list[Received]:
        limit = self._take_budget(1 if queue.is_fifo else BATCH_ENTRIES)
        if not limit:
            return []
        messages: list[Received] = []
        try:
            messages = queue.receive(limit=limit, wait_seconds=wait_seconds)
        finally:
            self._return_budget(limit, unused=limit - len(messages))
        self._in_flight.take(queue, messages)
        with self._lock:
            self._waiting[queue.alias] += len(messages)
        return messages

    def _receive_or_stop(self, queue: Queue) -> None:
        """Receive, and stop the consumer on a bug: it must not look healthy and read one queue fewer."""
        try:
            self._receive_loop(queue)
        except Exception:
            logger.exception("stopping: the receiver of queue %s failed", queue.alias)
            self.crashed = self.stopping = True
        finally:
            connection.close()

    def _receive_loop(self, queue: Queue) -> None:
        pause = 0.0
        while not self.stopping and not self._is_spent():
            if self._waiting[queue.alias] or self._budget == 0 or not self._begin_poll():
                time.sleep(0.005)
                continue
            try:
                self._poll(queue)
                if pause:
                    logger.warning("receiving again queue=%s", queue.alias)
                self.troubles.pop(queue.alias, None)
                pause = 0.0
            except QueueClosed as exc:
                if not pause:
                    logger.error("not receiving queue=%s: %s", queue.alias, exc)
                self.troubles.pop(queue.alias, None)
                pause = 1.0
                self._sleep(pause)
            except (QueueUnavailable, Error) as exc:
                if self.stopping:
                    break
                if isinstance(exc, QueueUnavailable):
                    self.troubles[queue.alias] = str(exc)
                # Nothing is received meanwhile, so our own trouble costs no message a receive.
                pause = min(MAX_PAUSE_SECONDS, pause * 2 or 1.0)
                logger.error(
                    "not receiving queue=%s, next try in %.0f s: %s", queue.alias, pause, exc
                )
                self._sleep(pause)
            finally:
                writer.drop_broken_connection()

    def _begin_poll(self) -> bool:
        """Return False while a message waits for the database or a quarantined one must be alone."""
        with self._lock:
            if self._retries.is_tried or self._quarantine.need_quiet:
                return False
            self._polls += 1
            return True

    def _poll(self, queue: Queue) -> None:
        try:
            _require_open(queue)
            self.step(queue, wait_seconds=settings.QUEUE_WAIT_SECONDS)
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

    def _work(self, queue: Queue, message: Received) -> None:
        """Handle one message, as a job of the worker pool."""
        retry_in_place.begin(lambda: self.stopping)
        try:
            self._process(queue, message, handle=self._handle)
            if queue.is_fifo:
                # SQS delivers nothing more of the group until the delete.
                self._acks[queue.alias].flush()
        finally:
            writer.drop_broken_connection()

    def _process(self, queue: Queue, message: Received, *, handle: Handle) -> None:
        with self._lock:
            self._waiting[queue.alias] -= 1
        if self.stopping:
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

    def _drain(self, receivers: Sequence[threading.Thread]) -> None:
        """End everything in another thread, DRAIN_SECONDS at most: the database, or SQS, may hang."""
        deadline = time.monotonic() + DRAIN_SECONDS - LAST_SECONDS
        draining = threading.Thread(
            target=self._end_all, args=(receivers, deadline), name="drain", daemon=True
        )
        draining.start()
        draining.join(DRAIN_SECONDS)
        self._is_stuck = draining.is_alive()

    def _end_all(self, receivers: Sequence[threading.Thread], deadline: float) -> None:
        """Wait for long polls and running handlers; messages that are not begun are given back."""
        for thread in receivers:
            thread.join(max(0.0, deadline - time.monotonic()))
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

    def _take_budget(self, most: int) -> int:
        with self._lock:
            if self._budget is None:
                return most
            taken = min(most, self._budget)
            self._budget -= taken
            self._reserved += taken
            return taken

    def _return_budget(self, taken: int, *, unused: int) -> None:
        with self._lock:
            if self._budget is not None:
                self._reserved -= taken
                self._budget += unused

    def _is_spent(self) -> bool:
        with self._lock:
            return self._budget == 0 and self._reserved == 0

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < until:
            time.sleep(0.1)


def _let_back(message: Received, hide: Callable[[], None]) -> None:
    try:
        hide()
    except ReceiptExpired:
        logger.info("receipt expired event=%s message=%s", message.event_id, message.id)
    except QueueUnavailable as exc:
        # The message comes back by its visibility timeout.
        logger.warning("not hidden event=%s message=%s: %s", message.event_id, message.id, exc)


def _require_open(queue: Queue) -> None:
    """Raise QueueClosed while a gate closes the queue, django.db.Error while the database does not answer."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if reason := registry.why_closed(queue.alias):
        raise QueueClosed(reason)
