"""Correct the address of an email that did not arrive, and send it to the new address.

The event keeps its id, so the email goes out once to each address, however often somebody asks. The old address gets
nothing more: its email is withdrawn, or was sent and stays sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from emails.models import Notification, Suppression
from emails.sending import by_hand, planning, states
from emails.sending.planning import Owed
from queues import addresses
from queues.dead_letters import decisions, edits
from queues.errors import Reject, Uncorrectable
from queues.events import envelope
from queues.events.envelope import Event
from queues.models import DeadLetter
from queues.outbox import recording

State = Notification.State
Delivery = Notification.Delivery

# SES accepted these emails and reported later that they did not arrive.
NOT_DELIVERED = (
    Delivery.BOUNCED_SOFT,
    Delivery.BOUNCED_HARD,
    Delivery.REJECTED,
    Delivery.SUPPRESSED,
)
# The link in one of these emails proves that its reader has the old address, so it goes to no other.
_PERSONAL_LINKS = ("customer.registered.v1", "customer.link_requested.v1")

_SENT = {
    Delivery.DELIVERED: "This email was delivered, so it is not sent to another address.",
    Delivery.COMPLAINED: "This email was delivered and marked as spam, so it is not sent to another address.",
    Delivery.DELAYED: "SES is still trying to deliver this email. Correct the address if it bounces.",
    Delivery.NONE: "SES accepted this email and has not reported a problem, so it may have arrived.",
}
_UNSENT = {
    State.SENDING: "This email is being sent right now.",
    State.IN_DOUBT: "SES may have accepted this email. Decide that first, on the page of its notification.",
    State.CANCELLED: "Somebody cancelled this email, so it is not sent.",
    State.KEPT: "Bulk email is stopped, and this email with it.",
}

_CORRECTED = "The address was corrected already, and the email is on its way."


@dataclass(frozen=True)
class Undelivered:
    """An event whose email did not arrive, and the address that its data names.

    ``is_new`` is True if SES accepted the email: then the one to the new address is a second email.
    """

    event: Event
    old: str
    notification: Notification | None
    letter: DeadLetter | None

    @property
    def is_new(self) -> bool:
        """True if SES accepted the email to the old address."""
        return self.notification is not None and self.notification.state == State.SENT

    @property
    def is_personal(self) -> bool:
        """True if the email holds a link that only the old address may get: ``withdraw`` it, and send another link."""
        return self.event.type in _PERSONAL_LINKS

    @property
    def version(self) -> str:
        """A text that changes whenever somebody corrects the address: a form says with it what its reader saw."""
        return f"{self.notification and self.notification.pk} {self.old}"


def of(event_id: UUID) -> Undelivered:
    """Return the event whose address staff may correct; raises Uncorrectable, which says why they may not."""
    notification = _newest(event_id)
    letter = DeadLetter.objects.open().filter(event_id=event_id).order_by("-id").first()
    if notification and (objection := _objection(notification, has_letter=letter is not None)):
        raise Uncorrectable(objection)
    if letter and letter.is_parked:
        raise Uncorrectable("This dead letter is parked. Unpark it first.")
    if letter and Notification.objects.filter(event_id=event_id, state=State.SENT).exists():
        # It says what was sent to an earlier address, so it is not edited but discarded.
        letter = None
    if letter and (objection := edits.objection(letter)):
        raise Uncorrectable(objection)
    event = _event(notification, letter)
    return Undelivered(event, _address(event), notification, letter)


def problem(found: Undelivered, address: str) -> str:
    """Return why the email cannot go to this address, for the person who typed it; empty if it can."""
    if addresses.key(address) == addresses.key(found.old):
        return "This is the address that the email did not reach."
    if Suppression.objects.active().of([address]).exists():
        return "This address is suppressed and gets no email. Lift it first, if that is wrong."
    rows = Notification.objects.filter(event_id=found.event.id).to(address)
    if any(not _is_withdrawn(row) for row in rows):
        return "This email was already sent to this address, or is on its way there."
    try:
        owed = planning.planned(_readdressed(found, address))
    except Reject as exc:
        return str(exc)
    if [addresses.key(email.recipient) for email in owed] != [addresses.key(address)]:
        return "The address is not the only recipient of this event. Edit its dead letter instead."
    return ""


@transaction.atomic
def correct(found: Undelivered, address: str) -> Notification:
    """Withdraw the email to the old address, and send it to this one; returns the email that will be sent.

    Raises Uncorrectable if anything has changed since ``found`` was read.
    """
    if found.is_personal:
        raise Uncorrectable("This email holds a personal link, which goes to nobody else.")
    _lock(found)
    if why := problem(found, address):
        raise Uncorrectable(why)
    event = _readdressed(found, address)
    if found.letter:
        _edit(found, found.letter, address)
    _withdraw(found)
    [owed] = planning.planned(event)
    email = _owe(owed)
    if found.letter:
        _redrive(found.letter)
    else:
        decisions.discard(DeadLetter.objects.filter(event_id=event.id))
        recording.record_again(event, is_corrected=True)
    return email


@transaction.atomic
def withdraw(found: Undelivered) -> None:
    """Make sure that nobody gets this email any more: it is cancelled, and its dead letters are discarded.

    Raises Uncorrectable if anything has changed since ``found`` was read.
    """
    _lock(found)
    _withdraw(found)
    decisions.discard(DeadLetter.objects.filter(event_id=found.event.id))


def _lock(found: Undelivered) -> None:
    """Hold the event's emails until the transaction ends; raises Uncorrectable if they have changed."""
    rows = Notification.objects.filter(event_id=found.event.id)
    list(rows.order_by("pk").select_for_update())
    if of(found.event.id).version != found.version:
        raise Uncorrectable("Somebody else has corrected this address. Open the page again.")


def _newest(event_id: UUID) -> Notification | None:
    """Return the event's newest email that no correction has withdrawn, else the newest of all."""
    rows = list(Notification.objects.filter(event_id=event_id).order_by("-id")[:50])
    return next((row for row in rows if not _is_withdrawn(row)), None) or next(iter(rows), None)


def _is_withdrawn(row: Notification) -> bool:
    return row.state == State.CANCELLED and row.reason_code == states.CORRECTED


def _objection(row: Notification, *, has_letter: bool) -> str:
    if _is_withdrawn(row):
        return "" if has_letter else _CORRECTED
    if row.state == State.SENT:
        return _SENT.get(Delivery(row.delivery_status), "")
    return _UNSENT.get(State(row.state), "")


def _event(notification: Notification | None, letter: DeadLetter | None) -> Event:
    """Return the event with the data that would be sent now; raises Uncorrectable if nothing has failed yet."""
    try:
        if letter:
            return Event.from_json(letter.body)
        if notification:
            return by_hand.event_of(notification)
    except Reject as exc:
        raise Uncorrectable(f"More than the address is wrong: {exc}") from exc
    raise Uncorrectable("No email of this event has failed: it waits to be handled.")


def _address(event: Event) -> str:
    value: Any = event.data
    for name in _path(event):
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, str):
        raise Uncorrectable("This event's data names no address. Edit its dead letter instead.")
    return value


def _path(event: Event) -> Sequence[str]:
    """Return the names that lead to the address in the event's data."""
    try:
        stake = envelope.data_type(event.type).stake_at
    except Reject as exc:
        raise Uncorrectable(str(exc)) from exc
    return stake.address.split(".") if stake else ()


def _readdressed(found: Undelivered, address: str) -> Event:
    """Return the event with the new address; raises Reject if its data does not fit then."""
    data = _with_address(found.event.data, _path(found.event), address)
    event = found.event.model_copy(update={"data": data})
    event.model()
    return event


def _with_address(data: dict[str, Any], path: Sequence[str], address: str) -> dict[str, Any]:
    new = deepcopy(data)
    *parents, last = path
    part = new
    for name in parents:
        part = part[name]
    part[last] = address
    return new


def _withdraw(found: Undelivered) -> None:
    """Make sure that the old address never gets this email, whatever message of the event is still on its way."""
    for owed in planning.planned(found.event):
        withdrawn = owed.notification(
            state=State.CANCELLED, reason_code=states.CORRECTED, reason=states.CORRECTED_REASON
        )
        Notification.objects.bulk_create([withdrawn], ignore_conflicts=True)
    row = found.notification
    if row and row.state != State.SENT and not states.withdraw(row):
        raise Uncorrectable("This email has changed meanwhile. Open the page again.")


def _owe(owed: Owed) -> Notification:
    """Save the email to the new address, so that it is seen at once, and nobody can ask for it twice."""
    event_id, template, recipient = owed.key
    Notification.objects.bulk_create([owed.notification()], ignore_conflicts=True)
    email = Notification.objects.get(event_id=event_id, template=template, recipient=recipient)
    if _is_withdrawn(email) and not states.correct(email, context=owed.event.data):
        raise Uncorrectable("This email has changed meanwhile. Open the page again.")
    return email


def _edit(found: Undelivered, letter: DeadLetter, address: str) -> None:
    # The event has only the fields that its type knows; the message keeps the others.
    data = envelope.json_object(letter.body)["data"]
    new = _with_address(data, _path(found.event), address)
    if problems := edits.problems(letter, new):
        raise Uncorrectable(" ".join(problems))
    edits.save(edits.draft(letter, new))


def _redrive(letter: DeadLetter) -> None:
    if not decisions.redrive(DeadLetter.objects.filter(pk=letter.pk)):
        raise Uncorrectable("This dead letter has changed meanwhile. Open the page again.")
