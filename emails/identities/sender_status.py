"""Check once a minute, in one consumer, that SES lets us send from our addresses, so that no page waits for SES."""

from __future__ import annotations

import logging

from emails.errors import SendError
from emails.models import SenderCheck
from emails.ses import default_sender, ses_api
from queues.registry import watches
from queues.upkeep import duties

logger = logging.getLogger(__name__)

EVERY_SECONDS = 60


@watches
def check() -> int:
    """Ask SES and store the answer; returns 1 if SES answered, else 0."""
    now = duties.take("sender", every=EVERY_SECONDS)
    if now is None:
        return 0
    found: dict[str, object] = {"error": ""}
    address = default_sender.address()
    try:
        unverified = ses_api.unverified_senders()
        address = unverified[0] if unverified else address
        found["is_verified"] = not unverified
    except SendError as exc:
        # The earlier answer may still be true, and a question without an answer alarms nobody.
        logger.info("sender unknown: %s", exc)
        found["error"] = str(exc)
    SenderCheck.objects.update_or_create(
        pk=1, defaults={"address": address, "asked_at": now, **found}
    )
    return int(not found["error"])


def unverified() -> SenderCheck | None:
    """Return the last check if it found that SES does not send from a current sender of a brand, else None."""
    return SenderCheck.objects.filter(
        pk=1, is_verified=False, address__in=default_sender.addresses_in_force()
    ).first()
