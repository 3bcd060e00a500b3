"""Alert people by an email to ADMINS and a message to ALERTS_TOPIC when something needs them, and when it is over.

Each cause is alerted at most once an hour. Every half minute one consumer checks for all of them. Where no consumer
runs, the web process checks when somebody opens the overview. Nothing waits for an alert. One that cannot be sent is
tried again after five minutes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from django.conf import settings
from django.db import DatabaseError, connection

from emails.rendering.mime import AUTOMATIC, Email
from emails.reputation import suppressions
from emails.ses import brands, default_sender
from notifier.alerts import alert_email, concerns, resolved, sns
from notifier.alerts.concerns import Cause, Concern
from notifier.alerts.notices import Alert, duty_of
from notifier.alerts.resolved import Healed
from queues import addresses
from queues.errors import QueueUnavailable
from queues.registry import watches
from queues.upkeep import duties

logger = logging.getLogger(__name__)

DUTY = "alerts"
EVERY_SECONDS = 30
AGAIN_SECONDS = 3600
RETRY_SECONDS = 300


@watches
def check() -> int:
    """Send the alerts that are due, in one process at a time; return how many causes they cover."""
    if not _is_wanted() or duties.take(DUTY, every=EVERY_SECONDS) is None:
        return 0
    mine = _by_urgency(
        [notice for notice in _due() if duties.take(notice.name, every=AGAIN_SECONDS)]
    )
    if mine and not _tell(mine):
        for notice in mine:
            duties.give_back(notice.name, to=notice.told_at)
        duties.put_off(DUTY, every=EVERY_SECONDS, seconds=RETRY_SECONDS)
        return 0
    for notice in mine:
        notice.settle()
    return len(mine)


def check_soon() -> None:
    """Run ``check`` in a thread, so that no page waits for it."""
    if _is_wanted():
        threading.Thread(target=_check_alone, name="alerts", daemon=True).start()


def _check_alone() -> None:
    try:
        check()
    except DatabaseError as exc:
        logger.error("alerts failed: %s", type(exc).__name__)
    finally:
        connection.close()


def _is_wanted() -> bool:
    return bool(settings.ADMINS or settings.ALERTS_TOPIC)


def _due() -> list[Alert | Healed]:
    """List what may be announced now: first the causes that exist, then those that are over."""
    current = concerns.current()
    return [*_alerts(current), *resolved.due(current, again_seconds=AGAIN_SECONDS)]


def _by_urgency(notices: Sequence[Alert | Healed]) -> list[Alert | Healed]:
    """Put what costs customers most first, and what is over last."""
    alerts = [notice for notice in notices if isinstance(notice, Alert)]
    over = [notice for notice in notices if isinstance(notice, Healed)]
    return [*sorted(alerts, key=lambda alert: alert.urgency), *over]


def _alerts(current: Sequence[Concern]) -> list[Alert]:
    """List the causes to alert; a cause made of rows is alerted again only when new rows have come."""
    found = [
        (concern, cause)
        for concern in current
        if concern.is_alerted
        for cause in concern.causes or [Cause(key=concern.key, text="", count=concern.count)]
    ]
    told = duties.taken([duty_of(cause) for _, cause in found])
    alerts = [Alert(concern, cause, told.get(duty_of(cause))) for concern, cause in found]
    return [alert for alert in alerts if _is_news(alert)]


def _is_news(alert: Alert) -> bool:
    newest, told_at = alert.cause.newest, alert.told_at
    return newest is None or told_at is None or newest > told_at


def _tell(notices: Sequence[Alert | Healed]) -> bool:
    """Send the notices by email and by SNS; return True if one of the two was accepted."""
    subject = f"{settings.EMAIL_SUBJECT_PREFIX}{alert_email.subject_of(notices)}"
    text = alert_email.text_of(notices)
    return any([_mailed(subject, text, alert_email.html_of(notices)), _published(subject, text)])


def _mailed(subject: str, text: str, html: str) -> bool:
    try:
        recipients = _recipients()
        if recipients:
            sender = default_sender.in_force(brands.PLATFORM)
            email = Email(subject, text, sender, recipients, headers=AUTOMATIC)
            if html:
                email.attach_alternative(html, "text/html")
            email.send()
    except Exception as exc:
        # Each email backend raises its own errors, and none of them may stop the other alerts.
        logger.error("alert not mailed: %s: %s", type(exc).__name__, exc)
        return False
    return bool(recipients)


def _recipients() -> list[str]:
    """Drop suppressed addresses from ADMINS: one that keeps bouncing harms the delivery of all email."""
    admins = [address for _, address in settings.ADMINS]
    listed = suppressions.listed(admins)
    if listed:
        logger.warning(
            "alert not mailed to addresses of ADMINS that are suppressed count=%d", len(listed)
        )
    return [addresses.kept(each) for each in admins if addresses.key(each) not in listed]


def _published(subject: str, text: str) -> bool:
    if not settings.ALERTS_TOPIC:
        return False
    try:
        sns.publish(subject, text)
    except QueueUnavailable as exc:
        logger.error("alert not published: %s", exc)
        return False
    return True
