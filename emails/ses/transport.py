"""Which way emails go to SES: its API, or its SMTP interface. What is asked of SES besides goes by the API."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings
from django.core.mail import EmailMessage

from emails.errors import NotSent, Unavailable
from emails.ses import error_codes, ses_api, smtp

logger = logging.getLogger(__name__)


def send(message: EmailMessage) -> str:
    """Returns SES's message id. Raises NotSent, Refused or InDoubt."""
    return smtp.send(message) if _is_smtp() else ses_api.send(message)


def prepare() -> None:
    """What is slow, before an email is due."""
    if not _is_smtp():
        ses_api.prepare()


def require_quota() -> None:
    """Raise SendError while the quota of 24 hours is used up."""
    _require(ses_api.require_quota)


def require_sending_enabled() -> None:
    """Raise SendError while the account is paused."""
    _require(ses_api.require_sending_enabled)


def require_configuration() -> None:
    """Raise SendError while credentials, sender or configuration set are not in order."""
    if _is_smtp():
        smtp.require_login()
    _require(ses_api.require_configuration)


def _require(check: Callable[[], None]) -> None:
    """Whoever sends by SMTP may have no rights on the API: then the next email tells whether it has healed."""
    try:
        check()
    except Unavailable as exc:
        if not _is_smtp():
            raise
        logger.info("SES's API does not say whether it has healed: %s", exc)
    except NotSent as exc:
        if not _is_smtp() or exc.code not in error_codes.NEVER_LEFT:
            raise
        logger.info("SES's API is not reached to say whether it has healed: %s", exc)


def _is_smtp() -> bool:
    return settings.EMAIL_TRANSPORT == "smtp"
