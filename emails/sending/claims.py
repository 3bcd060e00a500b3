"""The right to call SES for a notification: one claim at a time, committed before the call, with a lease.

``emails.sending.states`` shows where claims lead. The list of suppressed addresses is asked in the statements that
claim, so an email to one of them is never claimed.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Lower, Now
from django.utils import timezone

from emails.models import Attempt, Notification, Suppression
from emails.sending import statements
from emails.sending.planning import Owed
from queues.threads.writer import by_one_thread

State = Notification.State


@dataclass(frozen=True)
class Claim:
    """The right to call SES once for a notification, until the lease ends.

    ``since`` is this machine's clock right before the lease began; it goes on while the process is frozen.
    """

    notification: Notification
    token: uuid.UUID
    attempt: int
    since: float

    def standing(self) -> QuerySet[Notification]:
        """The notification, as long as this claim of it stands."""
        return Notification.objects.filter(
            pk=self.notification.pk, claim=self.token, state=State.SENDING
        )


@by_one_thread
def claim(notification: Notification) -> Claim | None:
    """Take the right to send, committed before SES is called; None if it is not to be had now.

    ``failed`` may be claimed as well: SES refused for certain, and what comes now is a redrive.
    """
    with transaction.atomic():
        return _claim(Q(pk=notification.pk))


def claim_owed(owed: Sequence[Owed]) -> list[Claim | None]:
    """The same for many in one transaction, notifications made where there are none yet."""
    token, since = uuid.uuid4(), clock()
    # In one order everywhere, or two processes would wait for each other.
    new = {
        wanted.key: wanted.notification(state=State.SENDING, attempts=1)
        for wanted in sorted(owed, key=lambda wanted: wanted.key)
    }
    # All or none: an error after some of them were claimed would leave these claimed by nobody, in doubt.
    with transaction.atomic():
        made, unwanted = statements.insert_claimed(list(new.values()), claim=token, lease=_lease())
        if unwanted:
            _suppress_new(unwanted)
        claims = {
            key: Claim(row, token, row.attempts, since) if row.pk in made else _claim(_same(row))
            for key, row in new.items()
            if row.pk not in unwanted
        }
    # The same message may be here twice: the claim is for one of them.
    return [claims.pop(wanted.key, None) for wanted in owed]


def keep(owed: Sequence[Owed]) -> None:
    """Bulk email is stopped: these are not sent before ``reopen``. Their messages are done with."""
    rows = [wanted.notification(state=State.KEPT) for wanted in owed]
    Notification.objects.bulk_create(rows, ignore_conflicts=True)
    for row in rows:
        Notification.objects.filter(_same(row), state__in=Notification.UNSENT).update(
            state=State.KEPT, reason_code="", reason=""
        )


def fence(held: Claim) -> bool:
    """Whether the claim still stands, asked right before SES is called, and outlasts the call.

    As long as it does by this machine's clock, the database need not be asked; later the lease is renewed.
    """
    if clock() - held.since + longest_call_seconds() < settings.LEASE_SECONDS:
        return True
    return _renewed(held)


def clock() -> float:
    """Seconds; unlike ``time.monotonic`` it also goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def longest_call_seconds() -> float:
    """What one call to SES may take, connecting included."""
    if settings.EMAIL_TRANSPORT == "smtp":
        # Opening and writing share one time limit; the answer has another.
        return 2.0 * settings.EMAIL_TIMEOUT
    config: Any = settings.AWS_SES_CONFIG
    return float(config.connect_timeout + config.read_timeout)


def _claim(which: Q) -> Claim | None:
    """At most one; none that must get no email, which is suppressed."""
    token, since = uuid.uuid4(), clock()
    unsent = Notification.objects.filter(which, state__in=Notification.UNSENT)
    taken = unsent.filter(~_is_unwanted(), next_at__lte=Now()).update(
        state=State.SENDING,
        attempts=F("attempts") + 1,
        claim=token,
        lease_until=Now() + _lease(),
        attempt_started_at=Now(),
        safe_at=None,
    )
    if not taken:
        _suppress(unsent.filter(_is_unwanted()))
        return None
    row = Notification.objects.get(which)
    Attempt.objects.create(notification=row, number=row.attempts, started_at=timezone.now())
    return Claim(row, token, row.attempts, since)


def _same(new: Notification) -> Q:
    """The row that was there before this one could be."""
    return Q(event_id=new.event_id, template=new.template, recipient=new.recipient)


def _is_unwanted() -> Exists:
    """That the address of a notification must get no email."""
    listed = Suppression.objects.active().alias(folded=Lower("address"))
    return Exists(listed.filter(folded=Lower(OuterRef("recipient"))))


def _suppress(notifications: QuerySet[Notification], **changes: object) -> int:
    return notifications.update(
        state=State.SUPPRESSED,
        reason_code="Suppressed",
        reason="The address is on the suppression list.",
        **changes,
    )


def _suppress_new(ids: Collection[uuid.UUID]) -> None:
    """They were saved as claimed, and SES is not called for them."""
    _suppress(
        Notification.objects.filter(pk__in=ids),
        attempts=0,
        claim=None,
        lease_until=None,
        attempt_started_at=None,
    )


def _lease() -> timedelta:
    return timedelta(seconds=settings.LEASE_SECONDS)


@by_one_thread
def _renewed(held: Claim) -> bool:
    return bool(
        held.standing()
        .filter(lease_until__gt=Now())
        .update(lease_until=Now() + _lease(), attempt_started_at=Now())
    )
