"""Faults of SES, of what it reports and of the disk."""

import itertools
import json
import threading
import time
from datetime import timedelta

import pytest
from botocore.exceptions import ReadTimeoutError
from django.db import OperationalError, connection
from django.utils import timezone

from emails.errors import InDoubt
from emails.models import Notification
from emails.reports import evidence, feedback
from emails.sending import claims, journal, notifying, states
from emails.ses import ses_api
from queues.aws import sqs
from queues.consumer.loop import Consumer
from queues.models import HandlingFailure, OutboxEvent
from queues.outbox import relay
from tests.support.owed import claimed, only, owed, place
from tests.support.processes import wait_until

State = Notification.State
IN_PROCESS = pytest.mark.django_db
IN_THREADS = pytest.mark.django_db(transaction=True)


@pytest.fixture
def around_ses(aws, request):
    """Run a function before the call to SES leaves, or after SES accepted and before we know."""

    def install(moment, act):
        events = ses_api.connection().connection.meta.events
        name = f"{moment}.sesv2.SendEmail"
        register = events.register_first if moment == "before-send" else events.register
        register(name, act)
        request.addfinalizer(lambda: events.unregister(name, act))

    return install


def send_event(notification, *, message_id="ses-1"):
    """Put an event of an accepted email into the queue, as SES reports it."""
    mail = {
        "timestamp": timezone.now().isoformat(),
        "messageId": message_id,
        "destination": [notification.recipient],
        "tags": {"nid": [str(notification.pk)], "att": [str(notification.attempts)]},
    }
    return json.dumps({"eventType": "Send", "mail": mail, "send": {}})


@IN_PROCESS
def test_visibility_that_ends_in_mid_send_sends_nothing_twice(aws, consume, around_ses):
    place()
    relay.publish_pending()
    queue = sqs.queue("orders")
    [message] = queue.receive(limit=1, wait_seconds=0)
    queue.hide(message, seconds=0)
    others: list[int] = []

    def let_another_have_it(**kwargs):
        if not others:
            [held] = list(first._in_flight._held.values())
            queue.hide(held[1], seconds=0)
            others.append(Consumer([queue]).poll_once())

    around_ses("before-send", let_another_have_it)
    first = Consumer([queue])
    first.poll_once()

    assert others == [1]
    assert len(aws.accepted) == 1
    assert HandlingFailure.objects.get().code == "InOtherHands"


@IN_PROCESS
def test_event_of_ses_that_is_faster_than_its_answer_is_no_error(aws, consume, around_ses):
    place()

    def tell(**kwargs):
        feedback.take(send_event(only(), message_id=aws.accepted[0].id))
        assert only().state == State.SENT

    around_ses("after-call", tell)
    consume()

    assert only().state == State.SENT
    assert only().attempt_rows.get().provider_message_id == aws.accepted[0].id
    assert OutboxEvent.objects.get().state == OutboxEvent.State.HANDLED
    assert not HandlingFailure.objects.exists()


@IN_PROCESS
def test_lost_answer_is_made_good_by_the_event_of_ses(aws, consume, around_ses):
    place()

    def lose(**kwargs):
        raise ReadTimeoutError(endpoint_url="http://ses")

    around_ses("after-call", lose)
    consume()
    assert only().state == State.IN_DOUBT

    feedback.take(send_event(only(), message_id=aws.accepted[0].id))
    for _ in range(3):
        consume()

    assert only().state == State.SENT
    assert len(aws.accepted) == 1


@IN_PROCESS
def test_lost_event_of_an_accepted_email_may_send_a_second(aws, consume):
    """The known limit: silence proves nothing about an event that never comes."""
    place()
    consume()
    Notification.objects.update(
        state=State.IN_DOUBT, attempt_started_at=timezone.now() - timedelta(hours=1)
    )
    evidence.saw([timezone.now()])
    evidence.resolve_doubts()
    Notification.objects.update(safe_at=timezone.now() - timedelta(seconds=1))

    evidence.resolve_doubts()
    consume()

    assert len(aws.accepted) == 2


@IN_PROCESS
def test_doubt_waits_as_long_as_the_channel_of_events_is_down(aws, consume):
    notification = owed(place())
    states.doubt(claimed(notification), InDoubt("lost"))
    consume()
    Notification.objects.update(attempt_started_at=timezone.now() - timedelta(hours=6))
    evidence.saw([timezone.now() - timedelta(hours=7)])

    for _ in range(3):
        assert evidence.resolve_doubts() == 0

    assert (only().state, only().safe_at) == (State.IN_DOUBT, None)


@IN_THREADS
def test_slow_answers_of_ses_make_emails_late_and_not_double(aws, around_ses, settings):
    settings.QUEUE_VISIBILITY_SECONDS = 1
    for _ in range(2):
        place()
    relay.publish_pending()
    around_ses("after-call", lambda **kwargs: time.sleep(5))
    consumers = [Consumer(sqs.queues(["orders"]), concurrency=2) for _ in range(2)]
    running = [threading.Thread(target=consumer.run) for consumer in consumers]
    for thread in running:
        thread.start()

    sent = Notification.objects.filter(state=State.SENT)
    wait_until(lambda: sent.count() == 2, what="two emails")
    for consumer in consumers:
        consumer.stopping = True
    for thread in running:
        thread.join(10)

    assert len(aws.accepted) == 2


@IN_PROCESS
def test_disk_that_takes_no_journal_leaves_a_doubt_and_no_second_email(
    aws, consume, settings, tmp_path
):
    (tmp_path / "file").write_text("")
    settings.JOURNAL_DIR = str(tmp_path / "file" / "journal")
    event = place()

    def go_away(execute, sql, params, many, context):
        if sql.startswith('UPDATE "emails_attempt"'):
            raise OperationalError("the database is gone")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(go_away), pytest.raises(OperationalError):
        notifying.notify(event, template="order_confirmation", recipient="ada@example.com")
    Notification.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    consume()

    assert only().state == State.IN_DOUBT
    assert len(aws.accepted) == 1


@IN_THREADS
def test_acceptance_that_the_database_missed_is_not_sent_again_with_the_message_in_hand(
    aws, consume, settings, tmp_path
):
    settings.JOURNAL_DIR = str(tmp_path)
    place()
    misses = iter(range(1))

    def go_away(execute, sql, params, many, context):
        if sql.startswith('UPDATE "emails_attempt"') and next(misses, None) is not None:
            raise OperationalError("the database is gone")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(go_away):
        consume()
    assert HandlingFailure.objects.get().code == "InOtherHands"
    assert only().state == State.SENDING

    assert journal.replay() == 1
    OutboxEvent.objects.update(state=OutboxEvent.State.PENDING)
    consume()

    assert only().state == State.SENT
    assert OutboxEvent.objects.get().state == OutboxEvent.State.HANDLED
    assert len(aws.accepted) == 1


@IN_PROCESS
def test_email_cancelled_while_its_message_waits_is_not_sent(aws, consume):
    owed(place())
    relay.publish_pending()

    assert states.cancel(Notification.objects.all()) == 1
    consume()

    assert aws.accepted == []
    assert sqs.queue("orders").depth() == sqs.Depth(0, 0, 0)
    assert OutboxEvent.objects.get().state == OutboxEvent.State.HANDLED


@IN_PROCESS
def test_email_cancelled_right_before_its_claim_is_not_sent(aws):
    event = place()
    owed(event)

    def cancel(execute, sql, params, many, context):
        if sql.startswith('UPDATE "emails_sendrate"'):
            states.cancel(Notification.objects.all())
        return execute(sql, params, many, context)

    with connection.execute_wrapper(cancel):
        notifying.notify(event, template="order_confirmation", recipient="ada@example.com")

    assert aws.accepted == []
    assert only().state == State.CANCELLED


@IN_PROCESS
@pytest.mark.parametrize("state", [State.CANCELLED, State.SUPPRESSED])
def test_email_that_is_not_to_be_sent_any_more_is_not_sent(aws, consume, state):
    notification = owed(place())
    Notification.objects.update(state=state)

    consume()

    assert claims.claim(notification) is None
    assert aws.accepted == []
    assert only().state == state
    assert OutboxEvent.objects.get().state == OutboxEvent.State.HANDLED


@IN_PROCESS
def test_clock_that_steps_while_an_email_is_sent_delays_and_doubles_nothing(
    aws, consume, monkeypatch
):
    right, steps = timezone.now, itertools.cycle([-3600, 3600, 0])
    monkeypatch.setattr(timezone, "now", lambda: right() + timedelta(seconds=next(steps)))
    place()

    consume()
    consume()

    assert len(aws.accepted) == 1
    assert only().state == State.SENT
