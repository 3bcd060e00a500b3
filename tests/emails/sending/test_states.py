"""What each change of state writes, and from which states it may not be made."""

from contextlib import suppress
from datetime import timedelta

import pytest
from django.utils import timezone

from emails.errors import NotSent, Refused, Throttled
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


@pytest.mark.parametrize("state", [State.PENDING, State.FAILED])
def test_email_that_cannot_be_rendered_says_so_whatever_failed_before(state):
    event = placed()
    owed(event)
    bystander = owed(placed())
    Notification.objects.update(state=state, reason_code="Old", reason="old")
    unfit = event.model_copy(update={"data": {}})

    with pytest.raises(Reject, match="the data has no") as told:
        notifying.notify(unfit, template="order_confirmation", recipient="ada@example.com")

    row = Notification.objects.get(event_id=event.id)
    bystander.refresh_from_db()
    assert (row.state, row.reason_code, row.reason) == (
        State.FAILED,
        "RenderError",
        str(told.value),
    )
    assert (bystander.state, bystander.reason_code) == (state, "Old")


def test_email_that_is_being_sent_does_not_fail_because_its_template_broke():
    event = placed()
    [held] = claims.claim_owed([Owed(event, "order_confirmation", "ada@example.com")])
    unfit = event.model_copy(update={"data": {}})

    with pytest.raises(Reject):
        notifying.notify(unfit, template="order_confirmation", recipient="ada@example.com")

    assert only().state == State.SENDING
    assert held and claims.fence(held)


# --- What ends a claim


def in_seconds(row):
    """How far away the next try is."""
    return (row.next_at - timezone.now()).total_seconds()


@pytest.mark.parametrize(
    ("end", "state", "outcome"),
    [
        (states.let_go, State.PENDING, Outcome.HELD),
        (lambda held, error: states.put_back(held, error, seconds=900), State.PENDING, "not_sent"),
        (states.fail, State.FAILED, Outcome.REFUSED),
        (states.give_up, State.CANCELLED, Outcome.REFUSED),
        (states.doubt, State.IN_DOUBT, Outcome.IN_DOUBT),
    ],
)
def test_end_of_a_claim_tells_why_and_gives_the_claim_back(end, state, outcome):
    held, bystander = failed_once(), claimed(owed(placed()))

    end(held, NotSent("a reason", code="Code" * 30))

    row = Notification.objects.get(pk=held.notification.pk)
    attempt = row.attempt_rows.get(number=held.attempt)
    code = ("Code" * 30)[:100]
    assert (row.state, row.reason_code, row.reason) == (state, code, "a reason")
    assert (row.claim, row.lease_until) == (None, None)
    assert (attempt.outcome, attempt.error_code, attempt.error) == (outcome, code, "a reason")
    assert attempt.finished_at is not None
    assert row.attempt_rows.get(number=1).error_code == "Later"
    assert bystander.standing().exists()
    assert bystander.notification.attempt_rows.get().outcome == ""


def test_email_that_is_let_go_is_due_at_once_and_one_that_is_put_back_is_not():
    held = claimed(owed(placed()))
    states.let_go(held, Throttled("slower"))
    assert in_seconds(only()) <= 0.01

    states.put_back(claimed(held.notification), NotSent("later"), seconds=900)

    assert 890 < in_seconds(only()) <= 900
    assert claims.claim(held.notification) is None


@pytest.mark.parametrize(
    "end",
    [
        states.let_go,
        states.fail,
        states.give_up,
        states.doubt,
        lambda held, error: states.put_back(held, error, seconds=1),
    ],
)
def test_claim_that_is_over_changes_nothing_any_more(end):
    held = claimed(owed(placed()))
    states.accept(held.notification.pk, held.attempt, "ses-1")

    end(held, Refused("too late", code="Late"))

    assert (only().state, only().reason_code) == (State.SENT, "")
    attempt = only().attempt_rows.get()
    assert (attempt.outcome, attempt.error_code) == (Outcome.ACCEPTED, "")


def test_refusals_count_only_those_that_may_heal_and_only_of_this_email():
    held = failed_once()
    states.let_go(held, Throttled("slower"))
    again = claimed(held.notification)
    states.put_back(claimed(owed(placed())), NotSent("another"), seconds=1)

    assert states.refusals(again) == 1


def test_process_that_died_leaves_a_doubt_only_once_its_lease_is_over():
    dead, alive = failed_once(), claimed(owed(placed()))
    past = timezone.now() - timedelta(seconds=1)
    Notification.objects.filter(pk=dead.notification.pk).update(lease_until=past, reason="x")

    assert [states.doubt_abandoned() for _ in range(2)] == [1, 0]

    row = Notification.objects.get(pk=dead.notification.pk)
    assert (row.state, row.reason_code) == (State.IN_DOUBT, "Abandoned")
    assert "SES may have accepted" in row.reason
    assert (row.claim, row.lease_until) == (None, None)
    assert alive.standing().exists()


# --- What people and other causes may change


CHANGES = [
    (states.mark_sent, {State.IN_DOUBT}, State.SENT),
    (states.cancel, {State.PENDING, State.FAILED, State.KEPT}, State.CANCELLED),
    (
        lambda rows: states.reopen(rows.get()),
        {State.IN_DOUBT, State.FAILED, State.SUPPRESSED, State.KEPT},
        State.PENDING,
    ),
    (
        lambda rows: states.correct(rows.get(), context={"corrected": 1}),
        {State.PENDING, State.FAILED},
        State.PENDING,
    ),
    (
        lambda rows: states.withdraw(rows.get()),
        {State.PENDING, State.FAILED, State.SUPPRESSED},
        State.CANCELLED,
    ),
]
NAMES = ["mark sent", "cancel", "reopen", "correct", "withdraw"]


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize(("change", "allowed", "after"), CHANGES, ids=NAMES)
def test_email_is_changed_only_from_the_states_that_the_page_of_states_names(
    change, allowed, after, before
):
    notification, bystander = owed(placed()), owed(placed())
    Notification.objects.update(state=before, reason_code="Old", reason="old")

    is_changed = change(Notification.objects.filter(pk=notification.pk))

    notification.refresh_from_db()
    bystander.refresh_from_db()
    assert bool(is_changed) == (before in allowed)
    assert notification.state == (after if before in allowed else before)
    assert (bystander.state, bystander.reason_code) == (before, "Old")


@pytest.mark.parametrize(("change", "allowed"), [change[:2] for change in CHANGES[:2]])
def test_cause_of_trouble_that_is_over_is_not_shown_any_more(change, allowed):
    owed(placed())
    Notification.objects.update(state=min(allowed), reason_code="Old", reason="old")

    change(Notification.objects.all())

    assert (only().reason_code, only().reason) == ("", "")


def test_email_that_a_person_marks_as_sent_has_a_time_of_it():
    owed(placed())
    Notification.objects.update(state=State.IN_DOUBT)

    states.mark_sent(Notification.objects.all())

    assert only().sent_at is not None


@pytest.mark.parametrize("change", ["correct", "reopen"])
def test_email_that_is_to_be_sent_after_all_is_due_at_once(change):
    notification = owed(placed())
    later = timezone.now() + timedelta(hours=1)
    Notification.objects.update(state=State.FAILED, next_at=later, reason_code="Old", reason="old")

    if change == "correct":
        states.correct(notification, context={"corrected": 1})
        assert (only().context, only().reason_code, only().reason) == ({"corrected": 1}, "", "")
    else:
        states.reopen(notification)

    assert in_seconds(only()) <= 0.01


def test_correction_takes_back_what_an_earlier_correction_withdrew_and_no_cancelling_of_a_person():
    withdrawn, cancelled = owed(placed()), owed(placed())
    assert states.withdraw(withdrawn)
    states.cancel(Notification.objects.filter(pk=cancelled.pk))
    withdrawn.refresh_from_db()
    assert "corrected" in withdrawn.reason

    changed = [states.correct(row, context={}) for row in (withdrawn, cancelled)]

    assert changed == [True, False]


@pytest.mark.parametrize(
    ("topic", "in_doubt", "ends"),
    [("", "park", False), ("arn:topic", "park", True), ("", "resend", True)],
)
def test_doubts_end_by_events_of_ses_or_by_sending_again(settings, topic, in_doubt, ends):
    settings.SES_EVENTS_TOPIC, settings.IN_DOUBT = topic, in_doubt

    assert states.doubts_end() == ends
