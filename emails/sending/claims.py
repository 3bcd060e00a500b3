"""Claim notifications: the right to call SES for one, held by one process at a time until its lease ends.

A claim is committed before the call. ``emails.sending.states`` shows which states follow. The statements that claim
also check the suppression list, so nobody ever claims an email to a suppressed address.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, transaction
from django.db.models import CharField, Exists, F, OuterRef, Q, QuerySet
from django.db.models.base import ModelState
from django.db.models.functions import Coalesce, Lower, Now
from django.utils import timezone

from emails.models import Attempt, Notification, Suppression
from emails.sending import statements
from emails.sending.planning import Owed
from emails.versions import places
from emails.versions.places import Offer
from queues.failpoints import failpoint
from queues.threads.writer import by_one_thread
from queues.uuid7 import uuid7

logger = logging.getLogger(__name__)

State = Notification.State


@dataclass(frozen=True)
class Claim:
    """The right to call SES once for a notification, until the lease ends.

    ``since`` is the time on this machine's clock right before the lease began. That clock goes on while the process is
    frozen.
    """

    notification: Notification
    token: uuid.UUID
    attempt: int
    since: float
    # The canary whose version the email gets.
    canary: int | None = None

    def standing(self) -> QuerySet[Notification]:
        """Return a queryset of the notification; it is empty once this claim is over."""
        return Notification.objects.filter(
            pk=self.notification.pk, claim=self.token, state=State.SENDING
        )


@by_one_thread
def claim(
    notification: Notification, *, edition: int | None = None, offer: Offer | None = None
) -> Claim | None:
    """Take the right to send and commit it before SES is called; None if nobody may send this email now.

    The claim decides with which edition the email is rendered, and writes it down.
    A ``failed`` notification may be claimed as well: SES certainly refused it, and this message is its redrive.
    """
    with transaction.atomic():
        return _claim(Q(pk=notification.pk), edition, offer)


def claim_owed(owed: Sequence[Owed]) -> list[Claim | None]:
    """Claim many emails in one transaction; saves the notifications that do not exist yet.

    Those that exist are claimed in a second transaction. If that fails, the claims of the first one still count: nobody
    else would know of them, and they would end in doubt.
    """
    token, since = uuid.uuid4(), clock()
    # The order is the same in every process, or two of them would wait for each other.
    wanted = {one.key: one for one in sorted(owed, key=lambda one: one.key)}
    new = {uuid7(): one for one in wanted.values()}
    if any(one.offer and one.offer.has_places for one in owed):
        made = _insert_with_places(new, token)
    else:
        made = dict.fromkeys(statements.insert_claimed(new, claim=token, lease=_lease()))
    claims = {
        new[pk].key: Claim(_new(pk, new[pk]), token, 1, since, canary)
        for pk, canary in made.items()
    }
    if others := [one for key, one in wanted.items() if key not in claims]:
        try:
            claims |= _claim_others(others)
        except DatabaseError as exc:
            if not claims:
                raise
            logger.error("not claimed again count=%d: %s", len(others), type(exc).__name__)
    # The same message may be here twice: only one of them gets the claim.
    return [claims.pop(one.key, None) for one in owed]


def keep(owed: Sequence[Owed]) -> None:
    """Save these emails as kept because bulk email is stopped; only ``reopen`` lets them be sent.

    Their messages need no more work.
    """
    rows = [wanted.notification(state=State.KEPT) for wanted in owed]
    Notification.objects.bulk_create(rows, ignore_conflicts=True)
    for row in rows:
        Notification.objects.filter(_same(row), state__in=Notification.UNSENT).update(
            state=State.KEPT, reason_code="", reason=""
        )


def fence(held: Claim) -> bool:
    """Return True if the claim still stands, and outlasts the call of SES that comes right after this check.

    While this machine's clock says so, we do not ask the database. After that we renew the lease.
    """
    return outlasts_a_call(held) or _renewed(held)


@by_one_thread
def change_edition(held: Claim, edition: int) -> Claim:
    """Write down another edition, before SES is called; nothing is written if the claim is over."""
    held.standing().update(edition=edition)
    held.notification.edition_id = edition
    return replace(held, canary=None)


def outlasts_a_call(held: Claim) -> bool:
    """Return True if this machine's clock says that the lease outlasts the longest call that begins now."""
    return clock() - held.since + longest_call_seconds() < settings.LEASE_SECONDS


def clock() -> float:
    """Return a time in seconds from a clock that, unlike ``time.monotonic``, goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def longest_call_seconds() -> float:
    """Return how long one call to SES may take, including the time to connect."""
    if settings.EMAIL_TRANSPORT == "smtp":
        # Connecting and writing share one time limit; waiting for the answer has another.
        return 2.0 * settings.EMAIL_TIMEOUT
    config: Any = settings.AWS_SES_CONFIG
    return float(config.connect_timeout + config.read_timeout)


@transaction.atomic
def _insert_with_places(
    new: dict[uuid.UUID, Owed], token: uuid.UUID
) -> dict[uuid.UUID, int | None]:
    """Save these emails as claimed, some as a canary's; returns the canary, or None, of each that was saved."""
    offers = {pk: one.offer for pk, one in new.items() if one.offer and one.offer.has_places}
    taken = places.take(offers)
    for pk, offer in taken.items():
        new[pk] = replace(new[pk], edition=offer.edition)
    failpoint("place_taken")
    made = statements.insert_claimed(new, claim=token, lease=_lease())
    places.save(taken, made)
    return {pk: taken[pk].canary.pk if pk in taken else None for pk in made}


def _claim(which: Q, edition: int | None, offer: Offer | None) -> Claim | None:
    """Claim at most one notification; one to an address that must get no email becomes suppressed instead."""
    token, since = uuid.uuid4(), clock()
    unsent = Notification.objects.filter(which, state__in=Notification.UNSENT)
    taken = unsent.filter(~_is_unwanted(), next_at__lte=Now()).update(
        state=State.SENDING,
        attempts=F("attempts") + 1,
        claim=token,
        lease_until=Now() + _lease(),
        attempt_started_at=Now(),
        safe_at=None,
        edition=edition,
    )
    if not taken:
        _suppress(unsent.filter(_is_unwanted()))
        return None
    row = Notification.objects.get(which)
    canary = None
    if offer and places.has_one(offer, row.pk):
        canary = offer.canary.pk
        _write_edition(row, offer.edition)
    Attempt.objects.create(notification=row, number=row.attempts, started_at=timezone.now())
    return Claim(row, token, row.attempts, since, canary)


@transaction.atomic
def _claim_others(owed: Sequence[Owed]) -> dict[tuple[uuid.UUID, str, str], Claim]:
    """Claim emails that have a row, or whose address is suppressed: such an email is saved, and becomes suppressed."""
    rows = [one.notification() for one in owed]
    Notification.objects.bulk_create(rows, ignore_conflicts=True)
    claims = {
        one.key: _claim(_same(row), one.edition, one.offer)
        for one, row in zip(owed, rows, strict=True)
    }
    return {key: claim for key, claim in claims.items() if claim}


def _new(pk: uuid.UUID, owed: Owed) -> Notification:
    """Return the notification that was just saved, with the columns that sending reads: others cost a query each.

    Django would go through all columns of the table.
    """
    row = Notification.__new__(Notification)
    row._state = ModelState()
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS
    vars(row).update(
        id=pk,
        event_id=owed.event.id,
        event_type=owed.event.type,
        subject=owed.event.subject,
        template=owed.template,
        recipient=owed.recipient,
        context=owed.event.data,
        edition_id=owed.edition,
        state=State.SENDING,
        attempts=1,
        lease_until=None,
        next_at=None,
    )
    return row


def _write_edition(row: Notification, edition: int) -> None:
    Notification.objects.filter(pk=row.pk).update(edition=edition)
    row.edition_id = edition


def _same(new: Notification) -> Q:
    """Return the condition for the row that somebody saved before this new one."""
    return Q(event_id=new.event_id, template=new.template, recipient=new.recipient)


def _is_unwanted() -> Exists:
    """Return the condition that the address of a notification must get no email."""
    listed = Suppression.objects.active().alias(folded=Lower("address"))
    key = Coalesce(
        OuterRef("recipient_key"), Lower(OuterRef("recipient")), output_field=CharField()
    )
    return Exists(listed.filter(folded=key))


def _suppress(notifications: QuerySet[Notification]) -> None:
    notifications.update(
        state=State.SUPPRESSED,
        reason_code="Suppressed",
        reason="The address is on the suppression list.",
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
