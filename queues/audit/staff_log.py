"""Write down what staff do: an act on many rows is one entry that counts them, and a line in the history of each."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import model_ngettext
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet
from django.utils import timezone

# The flag of an entry that tells in its row's history what an entry for many rows tells in the log. Django's own flags
# are 1, 2 and 3.
PART = 20


class ActLog:
    """The log of one act, written batch by batch in the transactions that do it."""

    def __init__(self, user_id: int, *, is_bulk: bool) -> None:
        self._user_id = user_id
        self._is_bulk = is_bulk
        # The parts of an act are found by it.
        self._at = timezone.now()
        self._entry: LogEntry | None = None
        self._count = 0

    def write(self, rows: Sequence[Model], message: str) -> None:
        """Log that this was done to these rows, all of one model."""
        self.write_each(rows, message)
        if rows and self._is_bulk:
            self._count_in(rows, message)

    def write_each(self, rows: Sequence[Model], message: str) -> None:
        """Write the history of each row alone, where the log has an entry for them all, as of a redrive."""
        flag = PART if self._is_bulk else CHANGE
        LogEntry.objects.bulk_create(
            self._new(row, str(row), flag, message, object_id=str(row.pk)) for row in rows
        )

    def _count_in(self, rows: Sequence[Model], message: str) -> None:
        self._count += len(rows)
        words = f"{self._count:,} {model_ngettext(rows[0]._meta, self._count)}"
        if self._entry is None:
            self._entry = self._new(rows[0], words, CHANGE, message)
            self._entry.save()
        else:
            LogEntry.objects.filter(pk=self._entry.pk).update(object_repr=words)

    def _new(
        self, row: Model, words: str, flag: int, message: str, object_id: str | None = None
    ) -> LogEntry:
        return LogEntry(
            action_time=self._at,
            user_id=self._user_id,
            content_type=ContentType.objects.get_for_model(row),
            object_id=object_id,
            object_repr=words[:200],
            action_flag=flag,
            change_message=message,
        )


def shown(entries: QuerySet[LogEntry]) -> QuerySet[LogEntry]:
    """Select what the log lists, by the partial index on just that."""
    return entries.filter(action_flag__lt=PART)


def parts(entry: LogEntry) -> QuerySet[LogEntry]:
    """Return the entries of the single rows of an act on many; none for any other entry."""
    return LogEntry.objects.filter(
        action_flag=PART,
        action_time=entry.action_time,
        user_id=entry.user_id,
        content_type_id=entry.content_type_id,
    )
