"""Import suppressions from a file in two steps: say what would happen, then do it once a person has agreed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from emails.models import Suppression, SuppressionImport
from emails.reputation import csv_files, suppressions
from emails.reputation.csv_files import Read
from emails.reputation.suppressions import Entry
from queues import addresses
from queues.registry import sweeps

MAX_BYTES = 16 * 1024 * 1024
KEPT_HOURS = 24
# The most addresses in one transaction, so that it stays short; an import that ends halfway is repeated.
BATCH = 1000

State = Suppression.State


@dataclass
class Effects:
    """How many addresses an import changes, or has changed."""

    # Suppressed, and not on the list before.
    added: int = 0
    # On no list before, and lifted in the file: they are recorded, and get email.
    added_as_lifted: int = 0
    # Lifted here: they stay lifted, unless the person wants them suppressed again.
    lifted: int = 0
    # Suppressed here and in the file.
    unchanged: int = 0
    # Suppressed here and lifted in the file: they stay suppressed. A file lifts nothing.
    stay_suppressed: int = 0

    def count(self, entry: Entry, known: str | None) -> None:
        """Count one address; ``known`` is its state on the list, None if it is not there."""
        if known is None:
            name = "added_as_lifted" if entry.lifted_at else "added"
        elif known == State.LIFTED:
            name = "unchanged" if entry.lifted_at else "lifted"
        else:
            name = "stay_suppressed" if entry.lifted_at else "unchanged"
        setattr(self, name, getattr(self, name) + 1)


def keep(content: bytes, *, name: str, reason: str, user_id: int) -> SuppressionImport:
    """Keep an uploaded file until the person confirms it; it replaces what the same person uploaded before."""
    SuppressionImport.objects.filter(user_id=user_id).delete()
    shown = "".join(each for each in name if each.isprintable())[:100]
    return SuppressionImport.objects.create(
        user_id=user_id, file_name=shown, content=zlib.compress(content), reason=reason
    )


def kept(pk: UUID, *, user_id: int) -> SuppressionImport | None:
    """Return the file that this person uploaded; None if it is gone, or is somebody else's."""
    return SuppressionImport.objects.filter(pk=pk, user_id=user_id).first()


def read(upload: SuppressionImport, *, by: str) -> Read:
    """Read the addresses of a kept file."""
    return csv_files.read(zlib.decompress(upload.content), reason=upload.reason, by=by)


def preview(entries: Sequence[Entry]) -> Effects:
    """Return what an import of these would do right now; nothing changes."""
    effects = Effects()
    for batch in _batches(entries):
        _count(effects, batch)
    return effects


def perform(entries: Sequence[Entry], *, reactivate: bool) -> Effects:
    """Import these, and return what was done. Repeating it changes nothing more."""
    effects = Effects()
    for batch in _batches(entries):
        _count(effects, batch)
        suppressions.add(batch, reactivate=reactivate)
    return effects


@sweeps
def forget_old() -> int:
    """Delete files that nobody confirmed within a day; returns how many."""
    old = timezone.now() - timedelta(hours=KEPT_HOURS)
    return SuppressionImport.objects.filter(uploaded_at__lt=old).delete()[0]


def _count(effects: Effects, batch: Sequence[Entry]) -> None:
    found = Suppression.objects.of([entry.address for entry in batch])
    known = {
        addresses.key(address): state for address, state in found.values_list("address", "state")
    }
    for entry in batch:
        effects.count(entry, known.get(addresses.key(entry.address)))


def _batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    # Always in the same order, so that two imports cannot deadlock.
    ordered = sorted(entries, key=lambda entry: addresses.key(entry.address))
    return (ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH))
