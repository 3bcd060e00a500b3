"""Who gets the right to send an email, and what it writes."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from emails.errors import NotSent
from emails.models import Attempt, Notification, Suppression
from emails.sending import claims, guard, states
from emails.sending.planning import Owed
from tests.support.owed import claimed, notification_of, only, owed, placed

pytestmark = pytest.mark.django_db

State = Notification.State
TO = "ada@example.com"


def wanted(recipient=TO):
    return Owed(placed(recipient=recipient), "order_confirmation", recipient)


def one_by_one(new):
    """The claim of an email that has a row already."""
    return claims.claim(owed(new.event))


def together(new):
    """The claim of an email that has none."""
    return claims.claim_owed([new])[0]


@pytest.fixture(params=[one_by_one, together])
def claim(request):
    return request.param


def suppress(address, **fields):
    defaults = {"source": "bounce", "since": timezone.now()}
    return Suppression.objects.create(address=address, **defaults | fields)


def is_just_now(moment):
    return abs(moment - timezone.now()) < timedelta(seconds=5)


def lease_seconds(row):
    return (row.lease_until - timezone.now()).total_seconds()


def test_claim_is_written_to_the_email_and_begins_an_attempt(claim, settings):
    held = claim(wanted())

    row, attempt = only(), Attempt.objects.get()
    assert (row.state, row.attempts, row.claim) == (State.SENDING, 1, held.token)
    assert held.attempt == row.attempts
    assert settings.LEASE_SECONDS - 5 < lease_seconds(row) <= settings.LEASE_SECONDS
    assert is_just_now(row.attempt_started_at)
    assert (attempt.notification_id, attempt.number, attempt.outcome) == (row.pk, 1, "")
    assert is_just_now(attempt.started_at)
    assert held.standing().get() == row


def test_new_email_has_all_that_its_event_says():
    new = wanted()

    together(new)

    row, event = only(), new.event
    assert (row.event_id, row.event_type, row.subject) == (event.id, event.type, event.subject)
    assert (row.event_source, row.partition_key) == (event.source, event.partitionkey)
    assert (row.template, row.recipient, row.context) == ("order_confirmation", TO, event.data)
    assert row.delivery_status == Notification.Delivery.NONE


@pytest.mark.parametrize(
    "value", [None, True, 2**70, -1, 1.5, "", 'Zoë \U0001f4a1 \\ "%s"', [[], {"deep": [None]}]]
)
def test_data_of_an_event_is_saved_as_it_is(value):
    new = replace(wanted(), event=placed().model_copy(update={"data": {"%(a)s": value, "b": 1}}))

    held = together(new)

    assert only().context == held.notification.context == {"%(a)s": value, "b": 1}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_number_that_no_json_has_is_refused_and_never_becomes_another_value(value):
    new = replace(wanted(), event=placed().model_copy(update={"data": {"value": value}}))

    with pytest.raises(DatabaseError), transaction.atomic():
        together(new)

    assert not Notification.objects.exists()


def test_address_in_letters_of_its_language_gets_its_key():
    together(wanted("zoe@bücher.example"))

    assert only().recipient_key == "zoe@xn--bcher-kva.example"


def test_second_claim_is_the_second_attempt_and_forgets_the_proof_of_silence(claim):
    new = wanted()
    states.put_back(claim(new), NotSent("later"), seconds=0)
    past = timezone.now() - timedelta(seconds=50)
    Notification.objects.update(next_at=past, safe_at=past, attempt_started_at=past)

    held = together(new)

    row = only()
    assert (held.attempt, row.attempts, row.safe_at) == (2, 2, None)
    assert is_just_now(row.attempt_started_at)
    assert list(row.attempt_rows.values_list("number", flat=True)) == [1, 2]


@pytest.mark.parametrize("state", State)
def test_email_is_claimed_only_while_it_is_not_sent(state):
    new = wanted()
    notification = owed(new.event)
    Notification.objects.update(state=state)

    held = together(new)

    assert bool(held) == (state in Notification.UNSENT)
    assert bool(Attempt.objects.count()) == bool(held)
    assert bool(claims.claim(notification)) is False


def test_email_is_not_claimed_before_it_is_due():
    new = wanted()
    owed(new.event)
    Notification.objects.update(next_at=timezone.now() + timedelta(seconds=60))

    assert together(new) is None
    assert only().state == State.PENDING


def test_claim_of_one_email_leaves_others_alone(claim):
    other = owed(placed())

    claim(wanted())

    other.refresh_from_db()
    assert (other.state, other.attempts) == (State.PENDING, 0)


@pytest.mark.parametrize(
    ("template", "recipient"), [("test_email", TO), ("order_confirmation", "bob@example.com")]
)
def test_two_emails_of_one_event_are_claimed_one_by_one(template, recipient):
    """Both have rows: an earlier try had claimed them."""
    new = wanted()
    owed(new.event)
    other = notification_of(new.event, template, recipient)

    held = together(new)

    assert held.notification.template == new.template
    assert held.notification.recipient == TO
    other.refresh_from_db()
    assert (other.state, other.attempts) == (State.PENDING, 0)


def test_same_email_twice_in_one_group_is_claimed_once():
    new = wanted()

    held = claims.claim_owed([new, wanted("bob@example.com"), new])

    found = [one.notification.recipient if one else None for one in held]
    assert found == [TO, "bob@example.com", None]


@pytest.mark.parametrize("listed", [TO, TO.upper()])
def test_email_to_a_suppressed_address_is_never_claimed(claim, listed):
    suppress(listed)
    suppress("bob@example.com", state=Suppression.State.LIFTED)

    held, other = claim(wanted()), claim(wanted("bob@example.com"))

    row = Notification.objects.get(recipient=TO)
    assert (held, bool(other)) == (None, True)
    assert (row.state, row.reason_code) == (State.SUPPRESSED, "Suppressed")
    assert "suppression list" in row.reason
    assert (row.attempts, row.claim, row.lease_until, row.attempt_started_at) == (0, *[None] * 3)
    assert not row.attempt_rows.exists()


def test_email_that_was_sent_is_not_suppressed_afterwards():
    new = wanted()
    held = together(new)
    states.accept(held.notification.pk, held.attempt, "ses-1")
    suppress(TO)

    assert together(new) is None
    assert only().state == State.SENT


# --- Kept emails


@pytest.mark.parametrize("state", State)
def test_stopped_bulk_email_keeps_what_is_not_sent_and_nothing_else(state):
    new = wanted()
    owed(new.event)
    bystander = owed(placed())
    Notification.objects.update(state=state, reason_code="Old", reason="old")
    guard.stop(reason="a test")

    assert guard.keep_back([new, new]) == [True, True]

    row = Notification.objects.get(event_id=new.event.id)
    bystander.refresh_from_db()
    is_kept = state in (*Notification.UNSENT, State.KEPT)
    assert row.state == (State.KEPT if is_kept else state)
    assert bystander.state == state
    if state in Notification.UNSENT:
        assert (row.reason_code, row.reason) == ("", "")


# --- The end of a claim comes nearer


@pytest.mark.parametrize(
    ("transport", "seconds"),
    # Connecting and writing share one limit of SMTP, waiting for the answer has another.
    [("smtp", 14.0), ("api", 8.0)],
)
def test_longest_call_takes_each_of_its_limits(settings, transport, seconds):
    settings.EMAIL_TRANSPORT, settings.EMAIL_TIMEOUT = transport, 7
    settings.AWS_SES_CONFIG = SimpleNamespace(connect_timeout=3, read_timeout=5)

    assert claims.longest_call_seconds() == seconds


def test_claim_is_renewed_when_a_call_might_outlast_it_and_not_before(settings):
    held = claimed(owed(placed()))
    spare = settings.LEASE_SECONDS - claims.longest_call_seconds()
    past = timezone.now() - timedelta(seconds=50)
    Notification.objects.update(attempt_started_at=past)

    assert claims.fence(replace(held, since=claims.clock() - spare + 1))
    assert only().attempt_started_at == past

    Notification.objects.update(lease_until=timezone.now() + timedelta(seconds=1))
    assert claims.fence(replace(held, since=claims.clock() - spare - 1))
    assert is_just_now(only().attempt_started_at)
    assert lease_seconds(only()) > settings.LEASE_SECONDS - 5


@pytest.mark.parametrize("lost", ["lease", "claim", "state"])
def test_claim_that_is_lost_is_not_renewed(settings, lost):
    held = replace(claimed(owed(placed())), since=claims.clock() - settings.LEASE_SECONDS)
    claimed(owed(placed()))
    mine = Notification.objects.filter(pk=held.notification.pk)
    if lost == "lease":
        mine.update(lease_until=timezone.now() - timedelta(seconds=1))
    elif lost == "claim":
        mine.update(claim=Notification.objects.exclude(pk=held.notification.pk).get().claim)
    else:
        mine.update(state=State.IN_DOUBT)

    assert claims.fence(held) is False
