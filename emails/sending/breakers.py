"""Stop receiving while SES sends nothing for us, and go on without a person when the cause has healed.

A breaker is one row for all processes. While a breaker is open, consumers do not receive from queues whose messages
become emails, so that no message uses up its receives for a problem of ours. Messages already in flight are retried in
place. Any consumer may probe SES, but only one at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from emails.errors import SendError
from emails.models import Breaker
from emails.ses import transport
from queues.consumer import retry_in_place
from queues.registry import gates, sweeps
from queues.threads.writer import by_one_thread

logger = logging.getLogger(__name__)

QUOTA, ACCOUNT, CONFIGURATION = "quota", "account", "configuration"
# SES developer guide: after "Daily message quota exceeded" wait up to ten minutes and try again.
PROBE_SECONDS = {QUOTA: 600, ACCOUNT: 60, CONFIGURATION: 30}
# A message that waits in place keeps its visibility for a quarter of an hour.
HOLD_SECONDS = 840

# Consumers receive from these queues even when SES sends nothing: their messages lead to no email.
READ_ANYWAY = {"ses-events"}


@by_one_thread
def trip(name: str, *, code: str, reason: str) -> None:
    """Open a breaker; only the call that really opens it writes a log line."""
    Breaker.objects.get_or_create(pk=name)
    is_news = Breaker.objects.filter(pk=name, is_open=False).update(
        is_open=True, opened_at=Now(), code=code[:100], reason=reason, probe_at=_next_probe(name)
    )
    if is_news:
        logger.error("breaker %s open, not receiving: %s: %s", name, code, reason)


def reset(name: str) -> bool:
    """Close a breaker; False if it was closed already."""
    closed = Breaker.objects.filter(pk=name, is_open=True).update(is_open=False)
    if closed:
        logger.warning("breaker %s closed, receiving again", name)
    return bool(closed)


def is_any_open() -> bool:
    """Return True while SES sends nothing for us."""
    return Breaker.objects.filter(is_open=True).exists()


def hold(name: str) -> bool:
    """Keep the message in flight until the breaker closes; False after 14 minutes.

    Raises GiveBack when the consumer stops.
    """
    for _ in range(HOLD_SECONDS):
        retry_in_place.pause(1)
        if not _is_open(name):
            return True
    return False


@by_one_thread
def _is_open(name: str) -> bool:
    return Breaker.objects.filter(pk=name, is_open=True).exists()


@gates
def why_closed(alias: str) -> str:
    """Return the reason not to receive from this queue now; empty if there is none."""
    if alias in READ_ANYWAY:
        return ""
    breaker = Breaker.objects.filter(is_open=True).first()
    return f"breaker {breaker.name}: {breaker.code}: {breaker.reason}" if breaker else ""


@sweeps
def probe() -> int:
    """Ask SES whether the cause of each open breaker has healed; returns how many breakers closed.

    Only one process at a time asks.
    """
    return sum(
        _probe(breaker) for breaker in Breaker.objects.filter(is_open=True, probe_at__lte=Now())
    )


def _probe(breaker: Breaker) -> bool:
    mine = Breaker.objects.filter(pk=breaker.pk, is_open=True, probe_at=breaker.probe_at).update(
        probe_at=_next_probe(breaker.pk)
    )
    if not mine:
        return False
    try:
        _CHECKS[breaker.pk]()
    except SendError as exc:
        Breaker.objects.filter(pk=breaker.pk).update(code=exc.code[:100], reason=str(exc))
        logger.info("breaker %s stays open: %s", breaker.pk, exc)
        return False
    return reset(breaker.pk)


def _next_probe(name: str) -> object:
    seconds = min(PROBE_SECONDS[name], settings.BREAKER_PROBE_SECONDS or PROBE_SECONDS[name])
    return Now() + timedelta(seconds=seconds)


_CHECKS: dict[str, Callable[[], None]] = {
    QUOTA: transport.require_quota,
    ACCOUNT: transport.require_sending_enabled,
    CONFIGURATION: transport.require_configuration,
}
