"""One sending rate for all processes: a leaky bucket (GCRA) in one row of the database.

``queues.models.leaky_bucket`` has the arithmetic; ``tat_us`` is when the next recipient may be sent to. Source of the
limits: SES developer guide, "Managing your Amazon SES sending limits"; rate and quota count recipients.
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
from django.db.models.functions import Now
from django.utils import timezone

from emails.errors import SendError
from emails.models import SendRate
from emails.ses import ses_api
from queues.consumer import retry_in_place
from queues.models import leaky_bucket
from queues.threads import writer

logger = logging.getLogger(__name__)

# Of what SES allows: its clock is not ours, and a call does not always take the same time.
SHARE = 0.98
# SES's own limit for an account in its sandbox, until SES or settings say otherwise.
UNKNOWN_RATE = 1.0
# A slot further away is not reserved: whoever waits asks again.
MAX_AHEAD_US = 2_000_000
# A slot that was missed by more is thrown away: after a stall no more late ones are used at once than fit into this.
MAX_LATE_US = 250_000
# So long before the first of its slots a turn begins with its claims, and the next one may reserve.
EARLY_SECONDS = 0.2
REFRESH_SECONDS = 60
SLOWED_SECONDS = 60
# Times slower than SES allows: whoever is throttled now and then, at any rate, would come to a standstill.
SLOWEST = 4


def wait_for_slot() -> Slot:
    """Return when one recipient may be sent to; raises GiveBack when the consumer stops.

    Never inside a transaction: the row would stay locked until it ends.
    """
    return wait_for_slots(1)[0].wait()


def wait_for_slots(count: int) -> list[Slot]:
    """Return shortly before several recipients may be sent to; ``Slot.wait`` waits for each. Raises GiveBack."""
    while True:
        slots = _unused_slots(count)
        if len(slots) < count:
            slots += _reserved(count - len(slots))
        slots.sort(key=attrgetter("at"))
        retry_in_place.pause(max(0.0, slots[0].at - time.monotonic() - EARLY_SECONDS))
        # Those of them that were missed are exchanged one by one; the others are still good.
        if not slots[-1].is_missed:
            return slots


def give_back(slots: Sequence[Slot]) -> None:
    """Nothing is sent in these: whoever waits next in this process takes them first, unless they are missed by then."""
    _unused.extend(slots)


def forget() -> None:
    """Slots that were given back."""
    _unused.clear()


def slots_a_second() -> int:
    """So many may be taken at once: the last of them is not far away."""
    return max(1, int(rate() or 1))


def rate() -> float | None:
    """Recipients a second now, of all processes together; None as long as nobody has asked SES."""
    step_us = writer.call(_current_step_us)
    return 1_000_000 / step_us if step_us else None


@dataclass(frozen=True)
class Slot:
    """The right to send to one recipient at ``at``, in seconds of ``time.monotonic``."""

    at: float

    @property
    def is_missed(self) -> bool:
        """Whether it is too late for it."""
        return time.monotonic() - self.at > MAX_LATE_US / 1_000_000

    def wait(self) -> Slot:
        """Return when it has come; one that was missed is exchanged for another, which is returned."""
        time.sleep(max(0.0, self.at - time.monotonic()))
        return wait_for_slot() if self.is_missed else self


@dataclass(frozen=True)
class Reserved:
    """The first of some slots, in microseconds from now, and how far each is from the one before."""

    wait_us: int
    step_us: int


def reserve(count: int = 1) -> Reserved | None:
    """Take the next slots; None if the first is more than two seconds away."""
    with connection.cursor() as cursor:
        cursor.execute(
            # The parts are constants.
            f"UPDATE emails_sendrate SET tat_us = {leaky_bucket.filled('%s * step_us')} "  # noqa: S608
            f"WHERE id = 1 AND {leaky_bucket.is_open()} "
            f"RETURNING {leaky_bucket.ahead()} - %s * step_us, step_us",
            [count, MAX_AHEAD_US, count],
        )
        rows = cursor.fetchall()
    if rows:
        return Reserved(max(0, int(rows[0][0])), int(rows[0][1]))
    if not SendRate.objects.filter(pk=1).exists():
        refresh()
    return None


@writer.by_one_thread
def slow_down() -> None:
    """SES said that we are too fast: two thirds of the rate for a minute; a sixth at the least.

    What is throttled within a second is one excess: of many calls at once, each would slow all down again.
    """
    until = Now() + timedelta(seconds=SLOWED_SECONDS)
    slow_enough = Q(step_us__gte=SLOWEST * 1_000_000.0 / F("max_send_rate"))
    step = Case(
        When(slow_enough, then=F("step_us")),
        default=F("step_us") * 3 / 2,
        output_field=BigIntegerField(),
    )
    slowed = (
        SendRate.objects.filter(pk=1)
        .exclude(slowed_until__gt=until - timedelta(seconds=1))
        .update(step_us=step, slowed_until=until)
    )
    if slowed:
        logger.warning("SES throttles: sending slower for %d s", SLOWED_SECONDS)


def refresh() -> bool:
    """Once a minute, in one process: learn rate and quota from SES, and end a slow-down that is over."""
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
        row.max_send_rate = settings.SES_MAX_SEND_RATE or quota.max_rate
    except SendError as exc:
        logger.warning(
            "SES does not tell its sending rate, keeping %g/s: %s", row.max_send_rate, exc
        )
    row.save(update_fields=["max_24_hour_send", "sent_last_24_hours", "max_send_rate"])
    SendRate.objects.filter(pk=1).exclude(slowed_until__gt=Now()).update(
        step_us=_step_us(row.max_send_rate), slowed_until=None
    )
    return True


# Both ends of a deque are safe to take from in many threads.
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
    """Written out: it is asked for every few emails."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT step_us FROM emails_sendrate WHERE id = 1")
        found: tuple[int] | None = cursor.fetchone()
    return found[0] if found else None


def _step_us(rate: float) -> int:
    return max(1, round(1_000_000 / (rate * SHARE)))
