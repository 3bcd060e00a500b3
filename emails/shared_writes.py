"""Writes that threads which send share, one transaction for all: claims with their slots, acceptances, what is kept."""

from __future__ import annotations

from collections.abc import Sequence

from emails import claims, guard, limiter, states
from emails.owed import Owed
from emails.ses import default_sender, transport
from queues.threads import writer
from queues.threads.group_commit import Combined

# No more threads than that send at once.
MAX_ACCEPTANCES = MAX_BULK = 64


def _claim_together(owed: Sequence[Owed]) -> list[tuple[claims.Claim, limiter.Slot] | None]:
    """The turn of its slots is waited for before the claims: no lease must run while one waits for long."""
    # Known before a claim depends on it.
    default_sender.in_force()
    # Made with the slots in hand they would be late, and all be sent at once.
    transport.prepare()
    slots = limiter.wait_for_slots(len(owed))
    held = writer.call(claims.claim_owed, owed)
    # The first ones to what is sent; what is suppressed, or was sent before, takes none of the rate.
    taken = iter(slots)
    claimed = [(one, next(taken)) if one else None for one in held]
    limiter.give_back(list(taken))
    return claimed


def _accept_together(accepted: Sequence[states.Acceptance]) -> list[None]:
    writer.call(states.accept_many, accepted)
    return [None] * len(accepted)


def _keep_together(owed: Sequence[Owed]) -> list[bool]:
    """Before their slots are taken: what is kept must not slow what is sent."""
    return writer.call(guard.keep_back, owed)


keep_back = Combined(_keep_together, most=lambda: MAX_BULK, linger_seconds=0.004)
claim = Combined(_claim_together, most=limiter.slots_a_second, linger_seconds=0.004)
# Each email that SES has accepted waits so much longer until the database knows it.
accept = Combined(_accept_together, most=lambda: MAX_ACCEPTANCES, linger_seconds=0.008)
