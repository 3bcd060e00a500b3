"""Keep all processes together below SES's sending rate: a leaky bucket (GCRA) in one row of the database.

``queues.models.leaky_bucket`` has the arithmetic; ``tat_us`` is the time of the next free slot, when we may send to the
next recipient. Source of the limits: SES developer guide, "Managing your Amazon SES sending limits"; rate and quota
count recipients.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter

from django.conf import settings
from django.db import connection
from django.db.models import BigIntegerField, Case, F, Q, When
from django.db.models.functions import Cast, Greatest, Now
from django.utils import timezone

from emails.errors import SendError
from emails.models import SendRate
from emails.ses import ses_api
from queues.consumer import retry_in_place
from queues.models import leaky_bucket
from queues.models.sql import unhurried
from queues.threads import writer

logger = logging.getLogger(__name__)

# We use this share of SES's rate: SES's clock is not ours, and a call does not always take the same time.
SHARE = 0.98
# SES's own limit for an account in its sandbox, until SES or settings say otherwise.
UNKNOWN_RATE = 1.0
# We reserve no slot that is further away than this: the caller waits, then asks again.
MAX_AHEAD_US = 2_000_000
# A slot that is later than this is thrown away: so a burst after a stall is never larger than this time allows.
MAX_LATE_US = 250_000
# A group commit starts its claims this long before its first slot; then the next group may reserve slots.
EARLY_SECONDS = 0.2
REFRESH_SECONDS = 60
RATE_SECONDS = 0.2
SLOWED_SECONDS = 60
# As long as SES takes an email now and then, we never send more than this many times slower than it allows: otherwise
# throttling now and then, which happens at any rate, would bring us to a standstill.
SLOWEST = 4
# While SES throttles every call, the pause between two calls grows to this share of the time that it has lasted, and at
# most to so many seconds: then each call is a probe.
PAUSE_SHARE = 0.25
PROBE_SECONDS = 5.0


def wait_for_slot() -> Slot:
    """Wait until we may send to one recipient; raises GiveBack when the consumer stops.

    Never call this inside a transaction: the row would stay locked until the transaction ends.
    """
    return wait_for_slots(1)[0].wait()


def wait_for_slots(count: int) -> list[Slot]:
    """Wait until shortly before the first of ``count`` slots; ``Slot.wait`` then waits for each of them.

    Raises GiveBack when the consumer stops.
    """
    while True:
        slots = _unused_slots(count)
        if len(slots) < count:
            slots += _reserved(count - len(slots))
        slots.sort(key=attrgetter("at"))
        retry_in_place.pause(max(0.0, slots[0].at - time.monotonic() - EARLY_SECONDS))
        # ``Slot.wait`` replaces missed slots one by one; the others are still good.
        if not slots[-1].is_missed:
            return slots


def give_back(slots: Sequence[Slot]) -> None:
    """Return slots that nobody used; the next caller in this process takes them first, unless they are too late."""
    _unused.extend(slots)


def forget() -> None:
    """Forget the slots that were given back, the rate, and that SES throttles."""
    global _rate
    _unused.clear()
    _full.end()
    _rate = None


def slots_a_second() -> int:
    """Return how many slots one call may take, so that the last of them is about a second away."""
    return max(1, int(rate() or 1))


def rate() -> float | None:
    """Return the rate of all processes together, in recipients a second; None until somebody has asked SES.

    It is up to RATE_SECONDS old.
    """
    global _rate, _rate_until
    if _rate is None or time.monotonic() >= _rate_until:
        step_us = writer.call(_current_step_us)
        _rate = 1_000_000 / step_us if step_us else None
        _rate_until = time.monotonic() + RATE_SECONDS
    return _rate


@dataclass(frozen=True)
class Slot:
    """The right to send to one recipient at ``at``, in seconds of ``time.monotonic``."""

    at: float

    @property
    def is_missed(self) -> bool:
        """True if it is too late to use the slot."""
        return time.monotonic() - self.at > MAX_LATE_US / 1_000_000

    def wait(self) -> Slot:
        """Wait until this slot; if it is already too late, wait for another one and return that."""
        time.sleep(max(0.0, self.at - time.monotonic()))
        return wait_for_slot() if self.is_missed else self


@dataclass(frozen=True)
class Reserved:
    """Some reserved slots: the microseconds from now to the first, and from each to the next."""

    wait_us: int
    step_us: int


def reserve(count: int) -> Reserved | None:
    """Reserve the next ``count`` slots; None if the first is more than two seconds away.

    They may be lost when the database's machine fails: they are over before it is back, or SES throttles for a moment.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            # The parts of this SQL are constants.
            f"UPDATE emails_sendrate SET tat_us = {leaky_bucket.filled('%s * step_us')} "  # noqa: S608
            f"WHERE id = 1 AND {leaky_bucket.is_open()} AND {unhurried()} "
            f"RETURNING {leaky_bucket.ahead()} - %s * step_us, step_us",
            [count, MAX_AHEAD_US, count],
        )
        rows = cursor.fetchall()
    if rows:
        return Reserved(max(0, int(rows[0][0])), int(rows[0][1]))
    if not SendRate.objects.filter(pk=1).exists():
        refresh()
    return None


def slow_down() -> None:
    """Send slower for a minute, because SES says that we send too fast: at two thirds of the rate, or less.

    Throttled calls within one second count as one: otherwise each of many parallel calls would slow all down again.
    While no call of this process is accepted, the rate goes on falling.
    """
    global _rate
    pause = min(PROBE_SECONDS, PAUSE_SHARE * _full.throttled())
    _rate = None
    if _slowed(least_step_us=round(1_000_000 * pause)):
        logger.warning("SES throttles: sending slower for %d s", SLOWED_SECONDS)


def speed_up() -> None:
    """End a full throttle, because SES has accepted an email; costs nothing if there was none."""
    if _full.end():
        _back_to_slowest()


@writer.by_one_thread
def _slowed(*, least_step_us: int) -> int:
    until = Now() + timedelta(seconds=SLOWED_SECONDS)
    slow_enough = Q(step_us__gte=SLOWEST * 1_000_000.0 / F("max_send_rate"))
    step = Case(
        When(slow_enough, then=F("step_us")),
        default=F("step_us") * 3 / 2,
        output_field=BigIntegerField(),
    )
    return (
        SendRate.objects.filter(pk=1)
        .exclude(slowed_until__gt=until - timedelta(seconds=1))
        .update(step_us=Greatest(step, least_step_us), slowed_until=until)
    )


@writer.by_one_thread
def _back_to_slowest() -> None:
    slowest = Cast(SLOWEST * 1_000_000.0 / F("max_send_rate"), BigIntegerField())
    SendRate.objects.filter(pk=1, step_us__gt=slowest).update(step_us=slowest)


class _FullThrottle:
    """How long SES has throttled every call of this process."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._last = 0.0

    def throttled(self) -> float:
        """Note a throttled call; returns the seconds since the first of those between which none was accepted."""
        now = time.monotonic()
        if self._since is None or now - self._last > SLOWED_SECONDS:
            self._since = now
        self._last = now
        return now - self._since

    def end(self) -> bool:
        """Note an accepted call; False if SES did not throttle before."""
        was_throttled, self._since = self._since is not None, None
        return was_throttled


_full = _FullThrottle()


def refresh() -> bool:
    """Learn rate and quota from SES, and end a slow-down that is over; one process does so once a minute."""
    SendRate.objects.get_or_create(
        pk=1,
        defaults={
            "max_send_rate": settings.SES_MAX_SEND_RATE or UNKNOWN_RATE,
            "step_us": _step_us(settings.SES_MAX_SEND_RATE or UNKNOWN_RATE),
            "refresh_at": timezone.now() - timedelta(days=1),
        },
    )
    mine = SendRate.objects.filter(pk=1, refresh_at__lte=Now()).update(
        refresh_at=Now() + timedelta(seconds=REFRESH_SECONDS)
    )
    if not mine:
        return False
    row = SendRate.objects.get(pk=1)
    try:
        quota = ses_api.quota()
        row.max_24_hour_send, row.sent_last_24_hours = quota.max_24_hours, quota.sent_24_hours
        # An account that may not send has a rate of 0.
        row.max_send_rate = settings.SES_MAX_SEND_RATE or quota.max_rate or row.max_send_rate
    except SendError as exc:
        logger.warning(
            "SES does not tell its sending rate, keeping %g/s: %s", row.max_send_rate, exc
        )
    row.save(update_fields=["max_24_hour_send", "sent_last_24_hours", "max_send_rate"])
    SendRate.objects.filter(pk=1).exclude(slowed_until__gt=Now()).update(
        step_us=_step_us(row.max_send_rate), slowed_until=None
    )
    return True


_rate: float | None = None
_rate_until = 0.0

# Threads may take from both ends of a deque without a lock.
_unused: deque[Slot] = deque()


def _unused_slots(count: int) -> list[Slot]:
    found: list[Slot] = []
    while len(found) < count:
        try:
            slot = _unused.popleft()
        except IndexError:
            break
        if not slot.is_missed:
            found.append(slot)
    return found


def _reserved(count: int) -> list[Slot]:
    while (found := writer.call(reserve, count)) is None:
        retry_in_place.pause(0.1)
    first = time.monotonic() + found.wait_us / 1_000_000
    return [Slot(first + number * found.step_us / 1_000_000) for number in range(count)]


def _current_step_us() -> int | None:
    """Read the step with plain SQL, because every few emails ask for it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT step_us FROM emails_sendrate WHERE id = 1")
        found: tuple[int] | None = cursor.fetchone()
    return found[0] if found else None


def _step_us(rate: float) -> int:
    return max(1, round(1_000_000 / (rate * SHARE)))
