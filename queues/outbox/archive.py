"""Archive every event as a line of JSON in files of one day each, as the second subscriber of the topics.

A line is the envelope as it was published. It is on the disk before the archiver deletes its message. So a crash in
between, or a message that SQS delivers twice, leaves a line twice: readers must take each ``id`` once. If a crash
leaves a torn line, the next archiver cuts it off; its message was not deleted and comes again.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from queues.aws.sqs import Received
from queues.errors import BadEnvelope
from queues.events.envelope import json_object
from queues.failpoints import failpoint

logger = logging.getLogger(__name__)

MAX_BYTES = 256 * 1024 * 1024
# The bytes read at once, from a file's end backwards, to find its last whole line.
_TAIL_BYTES = 64 * 1024


class Archive:
    """Writes messages to a file that this process has locked, and to another after midnight or ``max_bytes``.

    Any number of processes on one machine may write to one folder. Raises OSError if the disk fails or is full.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int = MAX_BYTES,
        today: Callable[[], str] = lambda: datetime.now(UTC).date().isoformat(),
    ) -> None:
        # The files hold email addresses in clear text.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._max_bytes, self._today = folder, max_bytes, today
        self._file, self._day = -1, ""

    def repair(self) -> int:
        """Cut off the torn lines that processes left when they died; returns how many."""
        return sum(_repaired(path) for path in sorted(self._folder.glob("*.ndjson")))

    def write(self, messages: Sequence[Received]) -> None:
        """Write these messages; on return all of them are on the disk, after an error none is in the file."""
        content = b"".join(line(message) for message in messages)
        self._open_file()
        end = os.lseek(self._file, 0, os.SEEK_END)
        try:
            _write_all(self._file, content)
            os.fsync(self._file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, end)
            raise
        failpoint("after_archive")

    def close(self) -> None:
        """Close and unlock the file, so that other processes may continue it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open_file(self) -> None:
        day = self._today()
        if self._file >= 0 and day == self._day:
            found = os.fstat(self._file)
            # No link means that somebody deleted the file: what we write to it would be gone when we close it.
            if found.st_size < self._max_bytes and found.st_nlink:
                return
        self.close()
        self._file, self._day = self._first_free(day), day

    def _first_free(self, day: str) -> int:
        """Open and lock the day's first file that is not full and that no other process writes to."""
        for path in self._names(day):
            is_new = not path.exists()
            file = _locked(path)
            if file is None:
                continue
            _cut_torn_line(file, path)
            if os.fstat(file).st_size < self._max_bytes:
                if is_new:
                    self._keep_name()
                logger.info("archiving to %s", path)
                return file
            os.close(file)
        raise AssertionError("numbers do not end")

    def _names(self, day: str) -> Iterator[Path]:
        number = 1
        while True:
            yield self._folder / f"{day}.{number:04}.ndjson"
            number += 1

    def _keep_name(self) -> None:
        """Sync the folder: a new file survives a power cut only if its folder's entry is on the disk, too."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def line(message: Received) -> bytes:
    """Return the envelope on one line; for a body that is no envelope, its text and SQS's message id."""
    try:
        json_object(message.body)
    except BadEnvelope:
        text = json.dumps({"not_an_event": message.body, "message_id": message.id})
    else:
        # JSON texts hold no raw line breaks, so this changes only the layout.
        text = message.body.replace("\r", " ").replace("\n", " ").strip()
    return text.encode() + b"\n"


def _locked(path: Path) -> int | None:
    """Open the file for appending and lock it; None while another process has it locked."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def _write_all(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def _repaired(path: Path) -> bool:
    file = _locked(path)
    if file is None:
        return False
    try:
        return _cut_torn_line(file, path)
    finally:
        os.close(file)


def _cut_torn_line(file: int, path: Path) -> bool:
    size = os.fstat(file).st_size
    end = _end_of_last_line(file, size)
    if end == size:
        return False
    os.ftruncate(file, end)
    os.fsync(file)
    logger.warning("cut off a torn line of %d bytes in %s", size - end, path)
    return True


def _end_of_last_line(file: int, size: int) -> int:
    if size == 0 or os.pread(file, 1, size - 1) == b"\n":
        return size
    end = size
    while end > 0:
        start = max(0, end - _TAIL_BYTES)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
