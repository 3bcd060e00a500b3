"""Send the emails of many events at once: one transaction claims them, one round calls SES, one transaction saves it.

Whatever is unusual about an email, an error say, or that it was there before, is left to ``emails.sending.notifying``,
which sends one email at a time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial, wraps
from itertools import islice
from uuid import UUID

from django.db import Error

from emails.errors import RenderError, SendError
from emails.models import Notification
from emails.rendering.templates import Rendered
from emails.sending import claims, composing, journal, limiter, notifying, states
from emails.sending.claims import Claim
from emails.sending.notifying import Accepted
from emails.sending.planning import Owed
from emails.sending.workload import accepted_seconds
from emails.ses import transport
from emails.ses.rounds import Letter
from emails.versions import in_force
from queues import registry
from queues.errors import GiveBack, Reject, Retry
from queues.events.envelope import Event
from queues.failpoints import failpoint

logger = logging.getLogger(__name__)

Recipient = Callable[[Event], str]
Finish = Callable[[], None]


def sends(event_type: str, *, template: str) -> Callable[[Recipient], Recipient]:
    """Register a function that returns the recipient of the one email that events of this type lead to.

    It must do nothing else: the emails of many events are sent together, and it is called before any of them is. An
    email that is chosen in any other way is sent by ``notifying.notify`` in a handler.
    """

    def register(recipient_of: Recipient) -> Recipient:
        @wraps(recipient_of)
        def handler(event: Event) -> None:
            notifying.notify(event, template=template, recipient=recipient_of(event))

        registry.handles(event_type)(handler)
        registry.handles_together(event_type, _Emails(template, recipient_of))
        return recipient_of

    return register


@dataclass(frozen=True)
class _Emails:
    """Sends the emails of events that lead to one email each, all with the same template."""

    template: str
    recipient_of: Recipient

    @property
    def is_possible(self) -> bool:
        return transport.sends_many()

    def plan(self, event: Event) -> Owed:
        return Owed(event, self.template, self.recipient_of(event))

    def carry_out(self, plans: Sequence[Owed]) -> dict[UUID, Finish]:
        left: dict[UUID, Finish] = {owed.event.id: partial(_alone, owed) for owed in plans}
        try:
            _send(iter(_rendered(plans)), left)
        except Exception:
            # Nobody knows what became of the rest; one by one, each finds out.
            logger.exception("not sent together")
        return left


@dataclass(frozen=True)
class _Held:
    """An email that is claimed, and when it may leave."""

    owed: Owed
    email: Rendered
    claim: Claim
    slot: limiter.Slot

    @property
    def notification(self) -> Notification:
        return self.claim.notification

    def is_fit(self) -> bool:
        return not self.slot.is_missed and claims.outlasts_a_call(self.claim)

    def letter(self) -> Letter:
        message = composing.message(self.claim, self.email)
        return Letter(message, self.slot.at, self.is_fit, self.owed.traceparent)

    def finish(self) -> None:
        notifying.finish(self.owed, self.email, self.claim, self.slot)


def _alone(owed: Owed) -> None:
    notifying.notify(owed.event, template=owed.template, recipient=owed.recipient)


def _rendered(plans: Sequence[Owed]) -> list[tuple[Owed, Rendered]]:
    """Render these emails; one that cannot be rendered is left out."""
    rendered = []
    for owed in plans:
        try:
            email = in_force.render_to_send(owed.template, owed.event.data)
        except RenderError:
            continue
        rendered.append((replace(owed, edition=email.edition), email))
    return rendered


def _send(rendered: Iterator[tuple[Owed, Rendered]], left: dict[UUID, Finish]) -> None:
    """Send these emails, a second's worth at a time: no claim must wait long for its slot."""
    try:
        while some := list(islice(rendered, limiter.slots_a_second())):
            _send_round(_claimed(some), left)
    except (GiveBack, Error):
        # The consumer stops, or the database fails: each of the rest meets that alone.
        return


def _claimed(some: Sequence[tuple[Owed, Rendered]]) -> list[_Held]:
    claimed = notifying.claim.many([owed for owed, _ in some])
    pairs = zip(some, claimed, strict=True)
    return [_Held(owed, email, *found) for (owed, email), found in pairs if found]


def _send_round(claimed: Sequence[_Held], left: dict[UUID, Finish]) -> None:
    held = []
    for one in claimed:
        failpoint("after_claim")
        if notifying.fits(one.claim, one.owed.event, one.email):
            held.append(one)
        else:
            left[one.owed.event.id] = one.finish
    began = time.monotonic()
    outcomes = transport.send_many([one.letter() for one in held])
    sent: list[tuple[_Held, str]] = []
    refused: list[tuple[_Held, SendError]] = []
    for one, outcome in zip(held, outcomes, strict=True):
        if outcome is None:
            left[one.owed.event.id] = one.finish
        elif isinstance(outcome, str):
            failpoint("after_ses")
            sent.append((one, outcome))
        else:
            refused.append((one, outcome))
    try:
        _accept(sent, left, began)
    finally:
        for one, error in refused:
            left[one.owed.event.id] = _settled(one, error)


def _accept(sent: Sequence[tuple[_Held, str]], left: dict[UUID, Finish], began: float) -> None:
    """Save what SES has accepted, and that the events need no more work."""
    if not sent:
        return
    acceptances = [
        states.Acceptance(one.notification.pk, one.claim.attempt, message_id)
        for one, message_id in sent
    ]
    with journal.unsaved(acceptances):
        ids = [one.owed.event.id for one, _ in sent]
        notifying.accept.many([Accepted(*each) for each in zip(acceptances, ids, strict=True)])
    failpoint("after_accept")
    failpoint("after_handled")
    limiter.speed_up()
    now = time.monotonic()
    for one, message_id in sent:
        del left[one.owed.event.id]
        accepted_seconds.add(now - max(began, one.slot.at))
        notifying.log_sent(one.notification, message_id)


def _settled(one: _Held, error: SendError) -> Finish:
    """Save what the error means now, while the claim stands; what may wait is left to the function returned."""
    try:
        rest = notifying.settle(one.claim, error)
    except (Retry, Reject) as exc:
        return partial(_raise, exc)
    except Error:
        return partial(_alone, one.owed)
    return partial(notifying.try_on, one.owed, one.email, one.claim, rest)


def _raise(exc: Exception) -> None:
    raise exc
