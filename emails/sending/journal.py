"""Keep SES's acceptances on disk while the database does not answer, until the database knows them.

Each acceptance is one file with one line: ``<notification id> <attempt> <SES message id>``. Any consumer replays the
files that it finds, at its start and at every sweep.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.db import Error

from emails.sending import states
from queues.registry import sweeps
from queues.threads.stopping import last_act

logger = logging.getLogger(__name__)

_SUFFIX = ".accepted"
_PART_SUFFIX = ".part"
# The process that wrote a part for longer has died.
PART_SECONDS = 60.0
UNREADABLE_SUFFIX = ".unreadable"

# What SES has accepted while the database has not answered yet: SES message ids by notification and attempt.
_unsaved: dict[tuple[uuid.UUID, int], str] = {}


@contextmanager
def unsaved(acceptances: Sequence[states.Acceptance]) -> Iterator[None]:
    """Save acceptances to the database in this block; they go to the disk if the database fails.

    They go to the disk, too, if this process is ended because the database hangs in this block.
    """
    ids = {(each.notification_id, each.attempt): each.provider_message_id for each in acceptances}
    _unsaved.update(ids)
    try:
        yield
    except Error:
        for (notification_id, attempt), message_id in ids.items():
            _keep(notification_id, attempt, message_id)
        raise
    finally:
        for key in ids:
            del _unsaved[key]


@last_act
def write_unsaved() -> None:
    """Write to the disk what SES has accepted and the database does not know; the log may hang, so nothing is said."""
    for (notification_id, attempt), message_id in list(_unsaved.items()):
        write(notification_id, attempt, message_id)


def unreadable() -> list[Path]:
    """Return the files that hold something and cannot be read: acceptances that were cut short."""
    return sorted(Path(settings.JOURNAL_DIR).glob(f"*{UNREADABLE_SUFFIX}"))


def _keep(notification_id: uuid.UUID, attempt: int, provider_message_id: str) -> None:
    """Write it, or say that the disk failed too: then the email is in doubt, and SES's event tells."""
    try:
        write(notification_id, attempt, provider_message_id)
    except OSError as exc:
        logger.error(
            "not kept on disk notification=%s ses=%s: %s",
            notification_id,
            provider_message_id,
            exc.strerror,
        )
    else:
        logger.error("kept on disk, the database does not answer notification=%s", notification_id)


def write(notification_id: uuid.UUID, attempt: int, provider_message_id: str) -> None:
    """Write one acceptance; it is on disk before this returns, or there is no file."""
    folder = Path(settings.JOURNAL_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{os.getpid()}-{uuid.uuid4().hex}{_PART_SUFFIX}"
    try:
        with part.open("x") as file:
            file.write(f"{notification_id} {attempt} {provider_message_id}\n")
            file.flush()
            os.fsync(file.fileno())
        # Only now may others read it.
        part.rename(part.with_suffix(_SUFFIX))
    except OSError:
        # A full disk leaves an empty file, which would say nothing for ever.
        part.unlink(missing_ok=True)
        raise
    _keep_names(folder)


def _keep_names(folder: Path) -> None:
    """Sync the folder: a new name survives a power cut only if the folder is on the disk, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@sweeps
def replay() -> int:
    """Save the acceptances on disk to the database, and delete each file then; returns how many were saved."""
    folder = Path(settings.JOURNAL_DIR)
    for part in folder.glob(f"*{_PART_SUFFIX}"):
        _adopt(part)
    for file in unreadable():
        # Earlier releases kept these, which a full disk had left.
        if not file.stat().st_size:
            file.unlink(missing_ok=True)
    return sum(_replay(file) for file in sorted(folder.glob(f"*{_SUFFIX}")))


def _adopt(part: Path) -> None:
    """Read a file like any other if the process that wrote it has died: nobody writes for this long."""
    with suppress(FileNotFoundError):
        if time.time() - part.stat().st_mtime > PART_SECONDS:
            part.rename(part.with_suffix(_SUFFIX))


def _replay(file: Path) -> int:
    try:
        text = file.read_text()
        if text:
            notification_id, attempt, message_id = text.split()
            states.accept(uuid.UUID(notification_id), int(attempt), message_id)
    except FileNotFoundError:
        return False  # another consumer was faster
    except ValueError as exc:
        # The process died while it wrote the file: the attempt is in doubt, and stays in doubt.
        logger.error("unreadable journal file=%s: %s", file.name, exc)
        file.rename(file.with_suffix(UNREADABLE_SUFFIX))
        return False
    file.unlink(missing_ok=True)
    return bool(text)
