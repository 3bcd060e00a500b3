"""Send emails to SES through its API or its SMTP interface; all other questions to SES go through the API."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from django.conf import settings
from django.core.mail import EmailMessage

from emails.errors import NotSent, SendError, Unavailable
from emails.ses import error_codes, rounds, ses_api, smtp

logger = logging.getLogger(__name__)


def send(message: EmailMessage) -> str:
    """Send one email and return SES's message id; raises NotSent, Refused or InDoubt."""
    return smtp.send(message) if _is_smtp() else ses_api.send(message)


def sends_many() -> bool:
    """Return True if ``send_many`` can be used."""
    return not _is_smtp() and rounds.are_possible()


def send_many(letters: Sequence[rounds.Letter]) -> list[str | SendError | None]:
    """Send emails at once; see ``rounds.send``."""
    return rounds.send(letters)


def prepare() -> None:
    """Do the slow set-up before an email is due."""
    if not _is_smtp():
        ses_api.prepare()


def require_quota() -> None:
    """Raise SendError while the 24-hour quota is used up."""
    _require(ses_api.require_quota)


def require_sending_enabled() -> None:
    """Raise SendError while SES has paused the account."""
    _require(ses_api.require_sending_enabled)


def require_configuration() -> None:
    """Raise SendError while credentials, sender or configuration set are not in order."""
    if _is_smtp():
        smtp.require_login()
    _require(ses_api.require_configuration)


def _require(check: Callable[[], None]) -> None:
    """Run a check through the API; if an SMTP user may not use the API, let the next email find out instead."""
    try:
        check()
    except Unavailable as exc:
        if not _is_smtp():
            raise
        logger.info("SES's API does not say whether the cause has healed: %s", exc)
    except NotSent as exc:
        if not _is_smtp() or exc.code not in error_codes.NEVER_LEFT:
            raise
        logger.info("SES's API cannot be reached to say whether the cause has healed: %s", exc)


def _is_smtp() -> bool:
    return settings.EMAIL_TRANSPORT == "smtp"
