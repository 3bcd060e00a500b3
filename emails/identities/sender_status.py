"""Whether SES lets us send from our address: asked once a minute by one consumer, so that no page waits for SES."""

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
    """Ask, and keep the answer; returns whether there was one."""
    now = duties.take("sender", every=EVERY_SECONDS)
    if now is None:
        return 0
    found: dict[str, object] = {"error": ""}
    address = default_sender.address()
    try:
        found["is_verified"] = ses_api.sender_is_verified()
    except SendError as exc:
        # What was known before may still be so, and nobody is alarmed by a question without an answer.
        logger.info("sender unknown: %s", exc)
        found["error"] = str(exc)
    SenderCheck.objects.update_or_create(
        pk=1, defaults={"address": address, "asked_at": now, **found}
    )
    return int(not found["error"])


def unverified() -> SenderCheck | None:
    """What was found, if SES last said that it does not send from the address that is in force now."""
    return SenderCheck.objects.filter(
        pk=1, is_verified=False, address=default_sender.address()
    ).first()
