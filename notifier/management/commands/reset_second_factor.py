"""Provide ``manage.py reset_second_factor``."""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from notifier.staff import factors

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    """Remove the devices and recovery codes of somebody who has lost them, where no administrator is left to do it."""

    help = (
        "Remove the second factor of a member of staff: their authenticator app, passkeys and recovery codes. Their "
        "sessions end. For the last administrator; everybody else is reset in the console, under Users."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the argument; ``--help`` describes it."""
        parser.add_argument("username", help="the name that the person logs in with")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        """Reset, and leave an entry in the log, in the person's own name as there is no other."""
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no user {username!r}.")
        count = factors.remove_all(user)
        LogEntry.objects.log_actions(
            user.pk, [user], CHANGE, "Reset the second factor by manage.py reset_second_factor."
        )
        logger.warning("second factor reset user=%d devices=%d", user.pk, count)
        self.stdout.write(f"Removed {count} device{'' if count == 1 else 's'} of {username}.")
