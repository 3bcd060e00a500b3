"""What each change of state writes, and from which states it may not be made."""

from contextlib import suppress

import pytest
from django.utils import timezone

from emails.errors import NotSent
from emails.models import Attempt, Notification
from emails.sending import claims, notifying, states
from emails.sending.planning import Owed
from queues.errors import Reject
from tests.support.owed import claimed, only, owed, placed

pytestmark = pytest.mark.django_db

State = Notification.State
Outcome = Attempt.Outcome


def accept(held, message_id):
    """Save an acceptance as whoever learned of it from SES's events or from the disk."""
    states.accept(held.notification.pk, held.attempt, message_id)


def accept_together(held, message_id):
    """Save an acceptance as a sending thread does, with those of others."""
    states.accept_many([states.Acceptance(held.notification.pk, held.attempt, message_id)])


@pytest.fixture(params=[accept, accept_together])
def accepts(request):
    return request.param


def failed_once():
    """A claim for the second attempt of an email; the first was put back."""
    notification = owed(placed())
    states.put_back(claimed(notification), NotSent("not now", code="Later"), seconds=0)
    Notification.objects.update(next_at=timezone.now())
    return claimed(notification)


def test_acceptance_writes_the_whole_fact_to_the_email(accepts):
    held = failed_once()
    before = timezone.now()

    accepts(held, "ses-1")

    row = only()
    assert (row.state, row.provider_message_id) == (State.SENT, "ses-1")
    assert (row.claim, row.lease_until, row.reason_code, row.reason) == (None, None, "", "")
    assert row.sent_at and row.sent_at.replace(microsecond=0) >= before.replace(microsecond=0)


def test_acceptance_writes_the_whole_fact_to_its_attempt_and_to_no_other(accepts):
    held = failed_once()

    accepts(held, "ses-1")

    first, second = only().attempt_rows.order_by("number")
    assert (first.outcome, first.provider_message_id) == (Outcome.NOT_SENT, "")
    assert (second.outcome, second.provider_message_id) == (Outcome.ACCEPTED, "ses-1")
    assert second.finished_at is not None


def test_acceptance_of_one_email_touches_no_other(accepts):
    held, other = (claimed(owed(placed())) for _ in range(2))

    accepts(held, "ses-1")

    assert Notification.objects.get(pk=other.notification.pk).state == State.SENDING
    assert other.notification.attempt_rows.get().outcome == ""


def test_second_acceptance_is_kept_at_its_attempt_and_the_email_keeps_the_first(accepts):
    held = failed_once()
    accepts(held, "ses-1")
    sent_at = only().sent_at

    states.accept(held.notification.pk, 1, "ses-0")

    assert (only().provider_message_id, only().sent_at) == ("ses-1", sent_at)
    assert list(only().attempt_rows.values_list("provider_message_id", flat=True)) == [
        "ses-0",
        "ses-1",
    ]


@pytest.mark.parametrize(
    "state", [State.SENT, State.IN_DOUBT, State.CANCELLED, State.SUPPRESSED, State.KEPT]
)
def test_email_that_cannot_be_rendered_any_more_fails_only_if_it_was_not_sent(state):
    event = placed()
    owed(event)
    Notification.objects.update(state=state)
    unfit = event.model_copy(update={"data": {}})

    with suppress(Reject):
        notifying.notify(unfit, template="order_confirmation", recipient="ada@example.com")

    assert (only().state, only().reason_code) == (state, "")


def test_email_that_is_being_sent_does_not_fail_because_its_template_broke():
    event = placed()
    [held] = claims.claim_owed([Owed(event, "order_confirmation", "ada@example.com")])
    unfit = event.model_copy(update={"data": {}})

    with pytest.raises(Reject):
        notifying.notify(unfit, template="order_confirmation", recipient="ada@example.com")

    assert only().state == State.SENDING
    assert held and claims.fence(held)
