"""Keep SES's acceptances on disk while the database does not answer, until the database knows them.

Each acceptance is one file with one line: ``<notification id> <attempt> <SES message id>``. Any consumer replays the
files that it finds, at its start and at every sweep.
"""

from __future__ import annotations

import logging
import os
import uuid
from pathlib import Path

from django.conf import settings

from emails.sending import states
from queues.registry import sweeps

logger = logging.getLogger(__name__)

_SUFFIX = ".accepted"


def write(notification_id: uuid.UUID, attempt: int, provider_message_id: str) -> None:
    """Write one acceptance; it is on disk before this returns."""
    folder = Path(settings.JOURNAL_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{os.getpid()}-{uuid.uuid4().hex}{_SUFFIX}").open("x") as file:
        file.write(f"{notification_id} {attempt} {provider_message_id}\n")
        file.flush()
        os.fsync(file.fileno())
    logger.error("kept on disk, the database does not answer notification=%s", notification_id)


@sweeps
def replay() -> int:
    """Save the acceptances on disk to the database, and delete each file then; returns how many were saved."""
    files = sorted(Path(settings.JOURNAL_DIR).glob(f"*{_SUFFIX}"))
    return sum(_replay(file) for file in files)


def _replay(file: Path) -> int:
    try:
        notification_id, attempt, message_id = file.read_text().split()
        states.accept(uuid.UUID(notification_id), int(attempt), message_id)
    except FileNotFoundError:
        return False  # another consumer was faster
    except ValueError as exc:
        # The process died while it wrote the file: the attempt is in doubt, and stays in doubt.
        logger.error("unreadable journal file=%s: %s", file.name, exc)
        file.rename(file.with_suffix(".unreadable"))
        return False
    file.unlink(missing_ok=True)
    return True
