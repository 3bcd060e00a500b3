"""Forecast what would happen to an event's emails if it were handled now; see ``queues.redrives.preflight``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from uuid import UUID

from emails.errors import IdentityError, RenderError
from emails.identities import identities
from emails.models import Notification
from emails.reputation import suppressions
from emails.sending import guard, planning
from emails.sending.planning import Owed
from emails.versions import in_force
from queues import addresses, registry
from queues.answers import Bucket
from queues.events.envelope import Event
from queues.redrives.preflight import gravest

State = Notification.State
Key = tuple[UUID, str, str]

_SETTLED = {
    State.SENT: Bucket.SENT,
    State.SENDING: Bucket.IN_DOUBT,
    State.IN_DOUBT: Bucket.IN_DOUBT,
    State.CANCELLED: Bucket.CANCELLED,
    State.SUPPRESSED: Bucket.SUPPRESSED,
    State.KEPT: Bucket.KEPT,
}


@registry.preflights
class Preflight:
    """The forecast for one page: it asks SES at most once, and only if something would be sent."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._listed: Collection[str] = ()

    def __call__(self, events: Sequence[Event]) -> dict[UUID, Bucket]:
        """Return the bucket of each event that owes emails, by two queries for any number of events."""
        owed = {event.id: planning.planned(event) for event in events}
        rows = _rows(owed)
        self._listed = suppressions.listed(
            {wanted.recipient for plan in owed.values() for wanted in plan}
        )
        return {
            event_id: gravest([self._bucket(wanted, rows.get(wanted.key)) for wanted in plan])
            for event_id, plan in owed.items()
            if plan
        }

    def _bucket(self, owed: Owed, row: Notification | None) -> Bucket:
        if row and row.state in _SETTLED:
            return _SETTLED[State(row.state)]
        if addresses.key(owed.recipient) in self._listed:
            return Bucket.SUPPRESSED
        # Rendering is the one step that can be tried here without any effect.
        if row and row.reason_code == "RenderError" and not _is_rendered(owed):
            return Bucket.FAILS
        if self._verified is not None and not self._verified.covers(owed.recipient):
            return Bucket.NOT_VERIFIED
        return Bucket.KEPT if owed.bulk and self._is_stopped else Bucket.SENDS

    @cached_property
    def _is_stopped(self) -> bool:
        return guard.is_stopped()

    @cached_property
    def _verified(self) -> identities.Verified | None:
        """The verified identities in the SES sandbox; None if SES sends to anybody or does not answer."""
        try:
            return identities.verified() if identities.is_sandbox() else None
        except IdentityError as exc:
            self.notes.append(f"Could not ask SES which recipients are verified. {exc}")
            return None


def _rows(event_ids: Iterable[UUID]) -> dict[Key, Notification]:
    rows = Notification.objects.filter(event_id__in=list(event_ids)).only(
        "event_id", "template", "recipient", "state", "reason_code"
    )
    return {(row.event_id, row.template, row.recipient): row for row in rows}


def _is_rendered(owed: Owed) -> bool:
    try:
        in_force.render(owed.template, owed.event.data)
    except RenderError:
        return False
    return True
