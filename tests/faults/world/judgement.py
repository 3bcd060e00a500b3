"""Judge a world by what SES accepted: after every step, and once everything has settled.

The one who judges reads the list of acceptances. Our database is asked what it promises, never what was sent.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from emails.models import Notification
from queues.models import DeadLetter, OutboxEvent
from tests.faults.world.world import EVENTS, World

State = Notification.State

_RANKS = {status: rank for rank, status in enumerate(Notification.Delivery.values)}
# No message is hidden for longer: the longest backoff, and a moment.
MAX_HIDDEN_SECONDS = 901
# Rounds of everybody until the world is quiet.
MAX_ROUNDS = 200


class Judgement:
    """Remembers what it saw, because some things may only rise. Every method raises AssertionError."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sent: set[object] = set()
        self._ranks: dict[object, int] = {}

    def after_step(self) -> None:
        """Check what must be true at any time."""
        self._require_one_email_each()
        self._require_one_call_an_attempt()
        self._require_order()
        self._require_progress()
        self._require_messages_to_come_back()

    def at_the_end(self) -> None:
        """Let everything settle: first without a person, then with one; nothing may be left or lost."""
        world = self._world
        _heal(world)
        self._settle()
        self._require_nothing_lost()
        for _ in range(5):
            if not (world.redrive() + world.decide()):
                break
            self._settle()
        waiting = set(world.owed) - world.accepted - world.discarded - world.cancelled
        assert not waiting, f"never sent: {sorted(waiting)}"
        self._require_an_archive()
        assert not DeadLetter.objects.filter(state=DeadLetter.State.OPEN).exists()

    def _require_one_email_each(self) -> None:
        world = self._world
        counts = Counter(email.reference for email in world.ses.accepted if "nid" in email.tags)
        invented = set(counts) - set(world.owed)
        assert not invented, f"nobody ordered these: {invented}"
        double = {reference for reference, count in counts.items() if count > 1}
        if world.doubts == "resend":
            return
        assert double <= world.ses.dropped, f"sent twice: {sorted(double - world.ses.dropped)}"
        unwanted = world.cancelled & world.accepted
        assert not unwanted, f"sent after it was cancelled: {sorted(unwanted)}"
        for email in world.ses.accepted:
            if "nid" in email.tags:
                assert email.recipient == world.owed[email.reference].recipient

    def _require_one_call_an_attempt(self) -> None:
        world = self._world
        calls = {key: count for key, count in world.ses.calls.items() if key[0]}
        repeated = [key for key, count in calls.items() if count > 1]
        assert not repeated, f"SES was called twice for one attempt: {repeated}"
        for reference, count in world.ses.earnest.items():
            if reference:
                receives = world.sqs.receives[str(world.owed[reference].event_id)]
                assert count <= receives, f"{reference}: {count} calls for {receives} receives"

    def _require_order(self) -> None:
        """Check that an account's emails are accepted in the order of its transactions."""
        world = self._world
        excused = world.lost | world.discarded | world.decided
        if world.poison == "skip":
            excused = excused | world.dead
        order: defaultdict[str, list[int]] = defaultdict(list)
        firsts = dict.fromkeys(email.reference for email in world.ses.accepted)
        for reference in firsts:
            if reference.startswith("TXN") and reference not in excused:
                owed = world.owed[reference]
                order[owed.group].append(owed.number)
        for group, numbers in order.items():
            assert numbers == sorted(numbers), f"out of order: {group} {list(firsts)}"

    def _require_progress(self) -> None:
        """Check that nothing leaves ``sent`` and that what SES reported only rises."""
        sent: set[object] = set()
        for pk, state, status in Notification.objects.values_list("pk", "state", "delivery_status"):
            if state == State.SENT:
                sent.add(pk)
            assert _RANKS[status] >= self._ranks.get(pk, 0), f"{pk} fell back to {status}"
            self._ranks[pk] = _RANKS[status]
        assert self._sent <= sent, f"no longer sent: {self._sent - sent}"
        self._sent = sent

    def _require_messages_to_come_back(self) -> None:
        latest = self._world.clock.time() + MAX_HIDDEN_SECONDS
        for queue in self._world.sqs.queues:
            hidden = [m.id for m in queue.messages if m.visible_at > latest]
            assert not hidden, f"hidden for ever in {queue.name}: {hidden}"

    def _require_nothing_lost(self) -> None:
        world = self._world
        letters = DeadLetter.objects.filter(state=DeadLetter.State.OPEN)
        dead = set(letters.values_list("subject", flat=True))
        parked = _parked(world)
        behind = _behind(world, dead | parked) if world.poison == "hold" else set()
        known = world.accepted | dead | parked | behind | world.discarded | world.cancelled
        assert set(world.owed) <= known, f"lost: {sorted(set(world.owed) - known)}"

    def _require_an_archive(self) -> None:
        """Check that other subscribers of the topics got each event, and nothing that nobody recorded."""
        world = self._world
        archived = set(map(world.reference_of, world.sns.archived))
        assert archived == (set(world.owed) if world.has_topics else set()), (
            f"archived: {sorted(archived)}"
        )

    def _settle(self) -> None:
        """Everybody acts, again and again, until nothing changes."""
        for number in range(MAX_ROUNDS):
            _round(self._world)
            self.after_step()
            if _is_quiet(self._world):
                return
            # Evidence takes half an hour; what comes back takes seconds.
            self._world.clock.advance(20 if number < 6 else 60 if number < 20 else 240)
        raise AssertionError("the world does not come to rest")


def _heal(world: World) -> None:
    """AWS works again, and every address is verified."""
    world.note("everything heals")
    world.interruptions.disarm()
    world.sqs.fault = world.ses.trouble = ""
    world.ses.answers.clear()
    world.ses.fates.clear()
    world.ses.unverified.clear()
    world.ses.speak()


def _round(world: World) -> None:
    while world.relay():
        pass
    for alias in world.aliases:
        while world.consume(alias):
            pass
        world.collect(alias)
    world.sweep()


def _is_quiet(world: World) -> bool:
    """True if nothing moves by itself any more: what is left waits for a person."""
    if not world.sns.is_quiet or any(queue.messages for queue in world.sqs.queues):
        return False
    parked = _parked(world)
    moving = Notification.objects.filter(state__in=[State.SENDING, State.IN_DOUBT])
    if moving.exclude(subject__in=parked).exists():
        return False
    letters = DeadLetter.objects.filter(state=DeadLetter.State.OPEN)
    dead = set(letters.values_list("subject", flat=True))
    stuck = dead | world.discarded | parked
    if world.poison == "hold":
        stuck |= _behind(world, stuck)
    rows = OutboxEvent.objects.filter(state__in=["pending", "claimed", "published", "held"])
    return not rows.exclude(subject__in=stuck).exists()


def _parked(world: World) -> set[str]:
    """Doubts that wait for a person: all of them, or while something that SES told is a dead letter."""
    unread = DeadLetter.objects.filter(queue=EVENTS, state=DeadLetter.State.OPEN)
    if world.doubts == "resend" or (world.doubts == "events" and not unread.exists()):
        return set()
    doubtful = Notification.objects.filter(state=State.IN_DOUBT)
    return set(doubtful.values_list("subject", flat=True))


def _behind(world: World, first: set[str]) -> set[str]:
    """Return the references that wait in their account for one of these."""
    heads: dict[str, int] = {}
    for reference in first & set(world.owed):
        owed = world.owed[reference]
        heads[owed.group] = min(owed.number, heads.get(owed.group, owed.number))
    return {
        owed.reference
        for owed in world.owed.values()
        if owed.reference.startswith("TXN") and owed.number > heads.get(owed.group, len(world.owed))
    }
