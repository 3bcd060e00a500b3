"""Remember since when each identity has its status: SES does not say, so the first sight of it counts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from django.utils import timezone

from emails.errors import IdentityError
from emails.identities import answers, identities
from emails.identities.facts import VERIFIED
from emails.models.identities import IdentityStatus
from queues.registry import watches
from queues.upkeep import duties

logger = logging.getLogger(__name__)

EVERY_SECONDS = 60
# The most unverified identities that one step asks SES about.
MOST = 100


def note(statuses: Mapping[str, str]) -> int:
    """Store the statuses that SES reports now, by name; returns how many changed."""
    statuses = {name: status for name, status in statuses.items() if status}
    known = of(statuses)
    now = timezone.now()
    changed = [
        IdentityStatus(name=name, status=status, since=now, is_witnessed=name in known, seen_at=now)
        for name, status in statuses.items()
        if name not in known or known[name].status != status
    ]
    IdentityStatus.objects.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["status", "since", "is_witnessed", "seen_at"],
    )
    IdentityStatus.objects.filter(pk__in=statuses).update(seen_at=now)
    return len(changed)


def of(names: Iterable[str]) -> Mapping[str, IdentityStatus]:
    """Return the remembered status of each name that was ever seen."""
    return IdentityStatus.objects.in_bulk(list(names))


def forget(name: str) -> None:
    """Delete the history of an identity that SES no longer has; a new one of this name starts fresh."""
    IdentityStatus.objects.filter(pk=name).delete()


@watches
def look() -> int:
    """Ask SES about unverified identities, so that times are right even if nobody looks; returns how many changed."""
    waiting = IdentityStatus.objects.exclude(status=VERIFIED).order_by("seen_at")
    names = list(waiting.values_list("name", flat=True)[:MOST])
    if not names or duties.take("identities", every=EVERY_SECONDS) is None:
        return 0
    try:
        found = identities.statuses(names)
    except IdentityError as exc:
        logger.info("identities unknown: %s", exc)
        return 0
    for name in names:
        if name.lower() not in found:
            forget(name)
    changed = note({name: found[name.lower()] for name in names if name.lower() in found})
    if changed:
        # Otherwise pages would still show the earlier status.
        answers.forget()
        logger.info("identities changed count=%d", changed)
    return changed
