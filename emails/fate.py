"""What became of emails, moved on by what SES says: it only gets worse, or known better."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from emails import bulk
from emails.ses_events import SesEvent


def raise_delivery(told: Iterable[tuple[UUID, SesEvent]]) -> None:
    """Let these events move their notifications on; in any order, and however often, they come to the same."""
    reports = [report for pk, event in told if (report := _report(pk, event))]
    if reports:
        bulk.raise_delivery(reports)


def _report(pk: UUID, event: SesEvent) -> bulk.Report | None:
    if (status := event.status) is None:
        return None
    return bulk.Report(
        pk,
        status,
        event.moment,
        code=event.code,
        reason=event.words,
        is_open=event.kind == "Open",
        is_click=event.kind == "Click",
    )
