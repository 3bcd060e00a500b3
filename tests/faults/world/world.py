"""A small world around the product: its real processes step by step, with SQS, SNS, SES and time
replaced.

Everything that happens comes from whoever calls these methods, or from ``seed``: the same calls give the same world.
``trace`` says what happened. What ought to be true of it stands in ``tests.faults.world.judgement``.
"""

from __future__ import annotations

import contextvars
import itertools
import random
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from emails.models import Notification
from emails.rendering import templates
from emails.sending import by_hand, states
from queues import outbox, registry
from queues.aws import sqs
from queues.consumer import retry_in_place
from queues.consumer.loop import Consumer
from queues.dead_letters import collecting, decisions
from queues.errors import QueueUnavailable
from queues.events.envelope import Event
from queues.models import DeadLetter, OutboxEvent
from queues.outbox import relay
from queues.upkeep import sweeping
from tests.faults.world import borders
from tests.faults.world.clock import Clock
from tests.faults.world.interruptions import Crash, Interruptions
from tests.faults.world.ses import SENDER, Ses
from tests.faults.world.sns import Sns
from tests.faults.world.sqs import Message, Sqs

ORDERS, TRANSACTIONS, EVENTS = "orders", "transactions", "ses-events"
QUEUES = {
    ORDERS: "world-orders",
    TRANSACTIONS: "world-transactions.fifo",
    EVENTS: "world-ses-events",
}
# What becomes of doubts: SES tells, a person decides, or they are sent again.
DOUBTS = ("events", "park", "resend")


@dataclass(frozen=True)
class Owed:
    """One event that was committed, and so one email. ``number`` counts all in the order of commits."""

    number: int
    reference: str
    event_id: uuid.UUID
    recipient: str
    group: str


class World:
    """Use it as a context: it begins with an empty database at a time of its own, and leaves both as they were."""

    def __init__(
        self,
        seed: int,
        *,
        doubts: str = "events",
        poison: str = "skip",
        topics: bool = False,
        together: bool = False,
    ) -> None:
        self.doubts, self.poison = doubts, poison
        # Consumers send the emails of a batch together, as with the lean client.
        self.together = together
        self.random = random.Random(seed)  # noqa: S311  # no secret
        self.trace: list[str] = []
        self.owed: dict[str, Owed] = {}
        self.discarded: set[str] = set()
        self.cancelled: set[str] = set()
        self.decided: set[str] = set()
        self.lost: set[str] = set()
        self.dead: set[str] = set()
        self.clock = Clock()
        self.interruptions = Interruptions(self.others)
        limit = settings.QUEUE_MAX_RECEIVE_COUNT
        self.sqs = Sqs(self.clock, self.random, max_receives=limit)
        events = self.sqs.queue(QUEUES[EVENTS]) if doubts == "events" else None
        self.ses = Ses(self.clock, self.random, self.sqs, events)
        self.aliases = [ORDERS, TRANSACTIONS, *([EVENTS] if events else [])]
        self.sns = Sns(self.clock, self.random, self.sqs)
        self._topics = self._made_topics() if topics else {}
        self.clock.on_sleep = self._sleep
        self.sqs.arrive = self.sns.deliver
        self.sqs.on_dead = self._die
        self.sqs.around = self.ses.around = self.interruptions.around
        self._numbers = itertools.count(1)
        self._depth = 0
        self._looked_up = self.clock.time()
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        self._undo.enter_context(borders.replaced(self, self._settings()))
        return self

    def __exit__(self, *exc: object) -> None:
        self._undo.close()

    def note(self, line: str) -> None:
        """One line for whoever looks for the cause of a failure."""
        self.trace.append(f"{self.clock.now():%H:%M:%S} {'    ' * self._depth}{line}")

    @property
    def has_topics(self) -> bool:
        """True if events go by topics, to their queues and to an archive."""
        return bool(self._topics)

    @property
    def accepted(self) -> set[str]:
        """Return the references that SES took at least one email about."""
        return {email.reference for email in self.ses.accepted} - {""}

    # Processes.

    def place_order(self, customer: int) -> None:
        """An event on a standard queue."""
        self._record("order_confirmation", f"ORD-{next(self._numbers):06}", f"customer-{customer}")

    def post_transaction(self, account: int) -> None:
        """An event on a FIFO queue."""
        self._record("transaction_alert", f"TXN-{next(self._numbers):06}", f"account-{account}")

    def relay(self) -> int:
        """One round of a relay."""
        return self._run("relay", relay.publish_pending) or 0

    def consume(self, alias: str, *, patience: float = 20.0) -> int:
        """A consumer receives once; it is told to stop after it has held a message for so long."""

        def step() -> int:
            until = self.clock.time() + patience
            retry_in_place.begin(lambda: self.clock.time() >= until)
            if reason := registry.why_closed(alias):
                self.note(f"  not receiving: {reason}")
                return 0
            return Consumer([sqs.queue(alias)], concurrency=1).poll_once()

        return self._run(f"consume {alias}", step) or 0

    def sweep(self) -> None:
        """One round of a sweeper."""
        self._run("sweep", sweeping.sweep)

    def collect(self, alias: str) -> int:
        """One round of a collector."""
        return self._run(f"collect {alias}", lambda: collecting.collect(alias)) or 0

    def others(self, seconds: float) -> None:
        """Time passes for one process, and others act; they may have been given the same message."""
        self._depth += 1
        if self.random.random() < 0.5:
            self.double(ORDERS, self.random.randrange(100))
        pace = max(45.0, seconds / 8)
        while seconds > 0 and self._depth < 3:
            self.clock.advance(min(seconds, pace))
            seconds -= pace
            self.relay()
            for alias in self.aliases:
                self.consume(alias)
            self.sweep()
        self._depth -= 1

    def advance(self, seconds: float) -> None:
        """Let time pass while nobody acts: every process is down, or has nothing to do."""
        self.note(f"{seconds:g} s pass")
        self.clock.advance(seconds)

    # Staff.

    def redrive(self) -> int:
        """Every open dead letter."""
        return self._run("redrive", lambda: decisions.redrive(DeadLetter.objects.all())) or 0

    def discard(self, number: int) -> None:
        """One open dead letter of an email."""
        letters = DeadLetter.objects.filter(state=DeadLetter.State.OPEN).exclude(queue=EVENTS)
        if found := list(letters.order_by("id")):
            letter = found[number % len(found)]
            one = DeadLetter.objects.filter(pk=letter.pk)
            if self._run(f"discard {letter.subject}", lambda: decisions.discard(one)):
                self.discarded.add(letter.subject)

    def publish_again(self, number: int) -> None:
        """Publish an event again that was published once, as the admin does."""
        rows = OutboxEvent.objects.filter(state__in=["published", "handled"]).order_by("id")
        if found := list(rows.exclude(subject__in=self.discarded)):
            row = found[number % len(found)]
            one = OutboxEvent.objects.filter(pk=row.pk)
            self._run(f"publish {row.subject} again", lambda: relay.publish_again(one))

    def cancel(self, number: int) -> None:
        """An email that was not sent yet is not wanted any more."""
        if found := sorted(set(self.owed) - self.accepted):
            reference = found[number % len(found)]
            one = Notification.objects.filter(subject=reference)
            if self._run(f"cancel {reference}", lambda: states.cancel(one)):
                self.cancelled.add(reference)

    def decide(self) -> int:
        """End every doubt as somebody who has asked each customer; return how many."""
        doubtful = Notification.objects.filter(state=Notification.State.IN_DOUBT)
        sent = doubtful.filter(subject__in=self.accepted)
        unsent = doubtful.exclude(subject__in=self.accepted)
        self.decided |= set(unsent.values_list("subject", flat=True))
        return (self._run("mark sent", lambda: by_hand.mark_sent(sent)) or 0) + (
            self._run("send again", lambda: by_hand.send_again(unsent)) or 0
        )

    # Amazon.

    def purge(self, alias: str) -> None:
        """Whatever waits or is in flight is gone."""
        messages = self.sqs.queue(QUEUES[alias]).messages
        self.note(f"purge {alias}: {len(messages)} messages")
        while messages:
            self._forget(messages.pop())

    def lose(self, alias: str, number: int) -> None:
        """One message is gone; of a FIFO queue too: its retention has ended."""
        messages = self.sqs.queue(QUEUES[alias]).messages
        if messages:
            message = messages.pop(number % len(messages))
            self.note(f"lose {message.id} of {alias}")
            self._forget(message)

    def double(self, alias: str, number: int) -> None:
        """A standard queue hands a message out once more."""
        self.note(f"double a message of {alias}")
        self.sqs.double(self.sqs.queue(QUEUES[alias]), number)

    # How it works inside.

    def reference_of(self, event_id: str) -> str:
        """Return what an event is about; empty if it was never committed."""
        return next((o.reference for o in self.owed.values() if str(o.event_id) == event_id), "")

    def _run(self, name: str, step: Callable[[], Any]) -> Any:
        """One step of a process: it ends by itself, dies, or gives up where the real one would."""
        before = len(self.trace)
        self.note(name)
        try:
            with borders.memory_of_its_own():
                result = contextvars.copy_context().run(step)
            if not result and len(self.trace) == before + 1:
                # Nothing to tell.
                self.trace.pop()
            return result
        except Crash as crash:
            self.note(f"  died at {crash}")
        except (QueueUnavailable, DatabaseError) as exc:
            self.note(f"  failed: {exc}")
        finally:
            if not self._depth:
                self.interruptions.disarm()
        assert not connection.in_atomic_block
        return None

    def _record(self, template: str, reference: str, group: str) -> None:
        sample = templates.sample(template)
        data, recipient = _about(sample.data, reference, f"{group}@example.com")
        event = Event(
            source="/world", type=sample.type, subject=reference, partitionkey=group, data=data
        )

        def record() -> bool:
            with transaction.atomic():
                outbox.record(event)
            return True

        if self._run(f"record {reference} of {group}", record):
            self.owed[reference] = Owed(len(self.owed), reference, event.id, recipient, group)

    def _forget(self, message: Message) -> None:
        if message.event_id:
            self.lost.add(self.reference_of(message.event_id))
        for email in self.ses.accepted:
            if f'"{email.message_id}"' in message.body:
                self.ses.dropped.add(email.reference)

    def _die(self, message: Message) -> None:
        self.note(f"  {message.id} used up its receives: {self.reference_of(message.event_id)}")
        self.dead.add(self.reference_of(message.event_id))

    def _made_topics(self) -> dict[str, str]:
        return {
            alias: self.sns.topic(self.sqs.queue(QUEUES[alias])) for alias in (ORDERS, TRANSACTIONS)
        }

    def _sleep(self) -> None:
        """Sleep as a consumer that holds a message, while others act now and then."""
        if not self._depth and self.clock.time() - self._looked_up > 90:
            self._looked_up = self.clock.time()
            self.others(0.001)

    def _settings(self) -> dict[str, Any]:
        """Return production's settings, but for what SES tells."""
        return {
            "QUEUES": {alias: QUEUES[alias] for alias in self.aliases},
            "TOPICS": self._topics,
            "SES_EVENTS_TOPIC": "world" if self.doubts == "events" else "",
            "SES_FROM_EMAIL": f"World <{SENDER}>",
            "SES_MAX_SEND_RATE": 0.0,
            "IN_DOUBT": "resend" if self.doubts == "resend" else "park",
            "FIFO_POISON": self.poison,
            "OUTBOX_PUBLISH_ON_COMMIT": False,
            # A customer whose email bounced would get no more, and few would be left to look at.
            "SUPPRESS_ON": [],
            # Its transactions are of accounts that have no row.
            "FOREIGN_ACCOUNTS": "any",
            "FAILPOINTS": "",
        }


def _about(sample: Mapping[str, Any], reference: str, recipient: str) -> tuple[dict[str, Any], str]:
    """A template's sample, about this reference and for this recipient."""
    if reference.startswith("ORD"):
        person = {**sample["customer"], "email": recipient}
        return {**sample, "order_number": reference, "customer": person}, recipient
    account = {**sample["account"], "holder_email": recipient}
    return {**sample, "reference": reference, "account": account}, recipient
