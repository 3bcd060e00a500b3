"""What the consumer is told about the message of an email that was not sent now."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from emails.errors import InDoubt, NotSent
from emails.models import Notification
from emails.rendering import templates
from emails.sending import guard, notifying, states
from queues.errors import Hold, Reject, Retry
from queues.events.envelope import Event
from tests.support.owed import claimed, notification_of, only, owed, placed

pytestmark = pytest.mark.django_db

State = Notification.State
UNVERIFIED = "Email address is not verified. The following identities failed the check: ada"


def notify(event, **options):
    notifying.notify(event, template="order_confirmation", recipient="ada@example.com", **options)


def told(event, error=Retry):
    with pytest.raises(error) as found:
        notify(event)
    return found.value


def test_message_comes_back_right_after_the_lease_of_whoever_sends_its_email(aws, settings):
    event = placed()
    claimed(owed(event))

    error = told(event)

    assert error.code == "InOtherHands"
    assert settings.LEASE_SECONDS - 5 < error.seconds <= settings.LEASE_SECONDS + 1
    assert aws.accepted == []


def test_message_comes_back_when_its_email_is_due(aws):
    event = placed()
    owed(event)
    Notification.objects.update(next_at=timezone.now() + timedelta(seconds=100))

    error = told(event)

    assert error.code == "NotDue"
    assert 95 < error.seconds <= 101
    assert aws.accepted == []


def test_email_that_is_refused_again_and_again_waits_longer_each_time(aws, refuses, settings):
    settings.RETRY_BASE_SECONDS, settings.RETRY_MAX_SECONDS = 10, 100_000
    refuses("MessageRejected", UNVERIFIED)
    event, waits = placed(), []

    for _ in range(3):
        error = told(event)
        due = (only().next_at - timezone.now()).total_seconds()
        assert error.code == "MessageRejected"
        assert error.seconds - 5 < due <= error.seconds
        waits.append(error.seconds)
        Notification.objects.update(next_at=timezone.now() - timedelta(seconds=1))

    # Half of a wait is fixed.
    assert [5 << n <= wait <= 10 << n for n, wait in enumerate(waits)] == [True] * 3


def test_email_whose_lease_ends_right_before_the_call_is_not_sent(aws, settings):
    # The call might outlast a lease of a second.
    settings.LEASE_SECONDS = 1

    def take_it_away(execute, sql, *rest):
        if sql.startswith('UPDATE "emails_notification"') and '"lease_until" >' in sql:
            Notification.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        return execute(sql, *rest)

    with connection.execute_wrapper(take_it_away):
        error = told(placed())

    assert (error.code, error.seconds) == ("LeaseLost", 1)
    assert aws.accepted == []


@pytest.mark.parametrize("state", [State.SENT, State.CANCELLED, State.SUPPRESSED, State.KEPT])
def test_message_of_an_email_that_is_done_needs_no_more_work_though_its_template_broke(aws, state):
    event = placed()
    owed(event)
    Notification.objects.update(state=state)

    notify(event)
    notify(event.model_copy(update={"data": {}}))

    assert only().state == state
    assert aws.accepted == []


def test_email_that_is_not_bulk_goes_out_while_bulk_is_stopped(aws):
    guard.stop(reason="a test")

    notify(placed(), bulk=False)
    notify(placed(), bulk=True)

    assert sorted(Notification.objects.values_list("state", flat=True)) == ["kept", "sent"]
    assert len(aws.accepted) == 1


@pytest.mark.parametrize(
    ("topic", "in_doubt", "poison", "holds"),
    [
        ("arn:topic", "park", "skip", True),
        ("", "resend", "skip", True),
        ("", "park", "hold", True),
        ("", "park", "skip", False),
    ],
)
def test_doubt_holds_its_fifo_group_where_it_ends_by_itself_or_settings_say_so(
    aws, refuses, settings, topic, in_doubt, poison, holds
):
    refuses("InternalFailure", "sorry", status=500)
    sample = templates.sample("transaction_alert")
    event = Event(source="/t", type=sample.type, subject="T-1", partitionkey="g", data=sample.data)
    settings.SES_EVENTS_TOPIC, settings.IN_DOUBT, settings.FIFO_POISON = topic, in_doubt, poison

    def send(event, template):
        notifying.notify(event, template=template, recipient="ada@example.com")

    if holds:
        with pytest.raises(Hold):
            send(event, "transaction_alert")
    else:
        send(event, "transaction_alert")
    # The queue of orders has no groups.
    send(placed(), "order_confirmation")

    assert set(Notification.objects.values_list("state", flat=True)) == {State.IN_DOUBT}


def test_email_in_doubt_whose_message_comes_again_is_not_sent(aws):
    event = placed()
    states.doubt(claimed(owed(event)), InDoubt("lost"))

    notify(event)

    assert aws.accepted == []
    assert only().state == State.IN_DOUBT


def test_data_that_was_recorded_first_is_sent_and_if_it_does_not_fit_the_email_fails(aws):
    event = placed()
    owed(event)

    notify(event.model_copy(update={"data": {**event.data, "order_number": "ORD-999999"}}))

    assert event.data["order_number"] in aws.accepted[0].raw_data
    assert "ORD-999999" not in aws.accepted[0].raw_data

    unfit = placed()
    notification = notification_of(unfit, "order_confirmation", "ada@example.com")
    Notification.objects.filter(pk=notification.pk).update(context={})
    error = told(unfit, Reject)

    notification.refresh_from_db()
    assert error.code == notification.reason_code == "RenderError"
    assert (notification.state, notification.claim) == (State.FAILED, None)
    assert len(aws.accepted) == 1


def test_failed_email_whose_cause_may_heal_is_claimed_again_by_its_redrive(aws):
    event = placed()
    states.fail(claimed(owed(event)), NotSent("refused"))
    Notification.objects.update(next_at=timezone.now() - timedelta(seconds=1))

    notify(event)

    assert only().state == State.SENT
    assert len(aws.accepted) == 1
