import email
import email.policy
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from emails.errors import InDoubt
from emails.models import Attempt, Notification
from emails.sending import by_hand, claims, direct_emails, notifying, states
from emails.sending.planning import Owed
from emails.ses import ses_api
from queues.errors import Reject
from queues.models import HandlingFailure, OutboxEvent
from queues.outbox import recording
from tests.support.owed import claimed, only, owed, place, placed

State = Notification.State
Outcome = Attempt.Outcome


def due_now():
    # SQLite's time has no microseconds.
    Notification.objects.update(next_at=timezone.now() - timedelta(milliseconds=1))


@pytest.fixture
def ses_answers(aws, request):
    """Put an exception, or an HTTP answer, in the place of SES's answer to the next sends."""

    def install(answer, *, after_accepting=False):
        def intervene(**kwargs):
            raise answer

        name = "after-call.sesv2.SendEmail" if after_accepting else "before-send.sesv2.SendEmail"
        events = ses_api.connection().connection.meta.events
        events.register(name, intervene)
        request.addfinalizer(lambda: events.unregister(name, intervene))
        return lambda: events.unregister(name, intervene)

    return install


@pytest.mark.django_db
def test_event_becomes_one_accepted_email_with_both_parts(aws, consume):
    place()

    consume()

    [sent] = aws.accepted
    message = email.message_from_string(sent.raw_data, policy=email.policy.default)
    assert message["From"] == "Notifier Shop <shop@example.com>"
    assert message["To"] == "ada@example.com"
    assert "ORD-000123" in message["Subject"]
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.django_db
def test_email_carries_configuration_set_and_tags_for_its_attempt(aws, consume):
    place()

    consume()

    message = email.message_from_string(aws.accepted[0].raw_data)
    assert message["X-SES-CONFIGURATION-SET"] == "notifier"
    assert message["X-SES-MESSAGE-TAGS"] == f"nid={only().pk}, att=1"


@pytest.mark.django_db
def test_same_event_with_another_address_is_a_second_email_as_its_page_says(aws, consume):
    # One event may owe emails to several people, and a corrected dead letter keeps the id of its event.
    event = place()
    consume()
    again = event.model_copy(update={"data": placed(recipient="bob@example.com").data})
    OutboxEvent.objects.all().delete()
    with transaction.atomic():
        recording.record(again)

    consume()

    recipients = Notification.objects.order_by("pk").values_list("event_id", "recipient")
    assert list(recipients) == [(event.id, "ada@example.com"), (event.id, "bob@example.com")]


@pytest.mark.django_db
def test_emails_say_that_a_program_wrote_them(aws, consume):
    place()

    consume()
    direct_emails.send_canary()

    # RFC 3834, section 5.
    for sent in aws.accepted:
        assert email.message_from_string(sent.raw_data)["Auto-Submitted"] == "auto-generated"
    assert len(aws.accepted) == 2


@pytest.mark.django_db
def test_accepted_email_is_recorded_with_the_id_of_ses(aws, consume):
    place()

    consume()

    notification = only()
    assert notification.state == State.SENT
    assert notification.provider_message_id == aws.accepted[0].id
    attempt = notification.attempt_rows.get()
    assert (attempt.number, attempt.outcome) == (1, Outcome.ACCEPTED)
    assert attempt.provider_message_id == notification.provider_message_id


@pytest.mark.django_db
def test_redelivered_event_sends_no_second_email(aws, consume):
    event = place()
    consume()

    with transaction.atomic():
        recording.record_again(event)
    consume()

    assert len(aws.accepted) == 1
    assert set(OutboxEvent.objects.values_list("state", flat=True)) == {"handled"}


@pytest.mark.django_db
def test_second_consumer_waits_while_the_first_is_sending(aws, consume):
    event = place()
    notification = owed(event)
    assert claims.claim(notification)

    consume()

    assert aws.accepted == []
    assert HandlingFailure.objects.get().code == "InOtherHands"


@pytest.mark.django_db
def test_only_one_of_two_claims_is_granted(aws):
    notification = owed(place())

    assert [bool(claims.claim(notification)) for _ in range(2)] == [True, False]


@pytest.mark.django_db
def test_claim_of_a_dead_process_is_in_doubt_and_not_sent_again(aws, consume):
    notification = owed(place())
    claims.claim(notification)
    Notification.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

    consume()

    assert aws.accepted == []
    assert only().state == State.IN_DOUBT


@pytest.mark.django_db
def test_lost_claim_is_fenced_off_before_ses_is_called(aws):
    notification = owed(place())
    held = claimed(notification)
    Notification.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

    assert claims.fence(replace(held, since=held.since - 60)) is False


@pytest.fixture
def nothing_is_claimed_again():
    """The database fails where an email that has a row is claimed."""

    def fail(execute, sql, *rest):
        if sql.startswith('UPDATE "emails_notification"'):
            raise OperationalError("the database is gone")
        return execute(sql, *rest)

    return connection.execute_wrapper(fail)


@pytest.mark.django_db
def test_claims_of_new_emails_stand_when_those_of_others_fail(aws, nothing_is_claimed_again):
    new, *known = place(), place(), place()
    for event in known:
        owed(event)
    wanted = [Owed(event, "order_confirmation", "ada@example.com") for event in (new, *known)]

    with nothing_is_claimed_again:
        granted = claims.claim_owed(wanted)

    assert [bool(claim) for claim in granted] == [True, False, False]
    assert Notification.objects.get(state=State.SENDING).event_id == new.id
    assert all(claims.claim_owed(wanted[1:]))


@pytest.mark.django_db
def test_claims_that_all_fail_raise_and_may_be_tried_again(aws, nothing_is_claimed_again):
    event = place()
    owed(event)
    wanted = [Owed(event, "order_confirmation", "ada@example.com")]

    with nothing_is_claimed_again, pytest.raises(OperationalError):
        claims.claim_owed(wanted)

    assert all(claims.claim_owed(wanted))


@pytest.mark.django_db
def test_claim_that_is_too_old_for_a_call_is_renewed(aws, settings):
    held = claimed(owed(place()))
    rows = Notification.objects.filter(pk=held.notification.pk)
    before = rows.get().lease_until

    assert claims.fence(held)
    assert rows.get().lease_until == before
    assert claims.fence(replace(held, since=held.since - settings.LEASE_SECONDS + 13))
    assert rows.filter(lease_until__gt=before).exists()


@pytest.mark.django_db
def test_unverified_recipient_backs_off_with_the_words_of_ses(aws, consume, refuses):
    text = (
        "Email address is not verified. The following identities failed the check: bob@example.net"
    )
    refuses("MessageRejected", text)
    place(recipient="bob@example.net")

    consume()

    notification = only()
    assert (notification.state, notification.reason_code) == (State.PENDING, "MessageRejected")
    assert notification.reason == text
    assert notification.next_at > timezone.now()
    assert notification.attempt_rows.get().outcome == Outcome.NOT_SENT


@pytest.mark.django_db
def test_other_rejections_fail_for_good(aws, consume, refuses):
    refuses("MessageRejected", "Address is blacklisted")
    place()

    consume()

    assert only().state == State.FAILED
    assert HandlingFailure.objects.get().code == "MessageRejected"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url="http://ses"),
        ConnectionResetError("cut"),
        KeyError("MessageId"),
        ValueError("half an answer"),
    ],
)
def test_lost_answer_is_in_doubt_and_its_message_is_deleted(aws, consume, ses_answers, error):
    ses_answers(error, after_accepting=True)
    place()

    consume()
    consume()

    assert only().state == State.IN_DOUBT
    assert len(aws.accepted) == 1


@pytest.mark.django_db
def test_server_error_of_ses_is_in_doubt(aws, consume, refuses):
    refuses("InternalFailure", "sorry", status=500)
    place()

    consume()

    assert only().state == State.IN_DOUBT


@pytest.mark.django_db
def test_refused_connection_is_certainly_not_sent(aws, consume, ses_answers):
    heal = ses_answers(ConnectTimeoutError(endpoint_url="http://ses"))
    event = place()
    consume()
    assert only().state == State.PENDING

    heal()
    due_now()
    with transaction.atomic():
        recording.record_again(event)
    consume()

    assert len(aws.accepted) == 1
    assert [row.outcome for row in only().attempt_rows.all()] == [
        Outcome.NOT_SENT,
        Outcome.ACCEPTED,
    ]


@pytest.mark.django_db
def test_one_call_is_one_try_whatever_happens(aws, refuses):
    refuses("ServiceUnavailable", "later", status=503)
    calls = []
    events = ses_api.connection().connection.meta.events
    events.register(
        "before-send.sesv2.SendEmail", lambda **kwargs: calls.append(1), unique_id="count"
    )

    with pytest.raises(InDoubt):
        direct_emails.send_canary()

    events.unregister("before-send.sesv2.SendEmail", unique_id="count")
    assert len(calls) == 1


@pytest.mark.django_db
def test_data_that_does_not_fit_the_template_fails_before_its_claim(aws):
    event = place().model_copy(update={"data": {}})

    with pytest.raises(Reject):
        notifying.notify(event, template="order_confirmation", recipient="ada@example.com")

    assert aws.accepted == []
    notification = only()
    assert (notification.state, notification.reason_code) == (State.FAILED, "RenderError")
    assert notification.attempts == 0


@pytest.mark.django_db
def test_what_was_recorded_first_counts_and_may_not_fit_the_template(aws, consume):
    event = place()
    Notification.objects.create(
        event_id=event.id,
        event_type=event.type,
        template="order_confirmation",
        recipient="ada@example.com",
        context={},
        next_at=timezone.now(),
    )

    consume()

    assert aws.accepted == []
    notification = only()
    assert (notification.state, notification.reason_code) == (State.FAILED, "RenderError")


@pytest.mark.django_db
def test_email_in_doubt_is_sent_when_a_person_says_so(aws):
    notification = owed(place())
    states.doubt(claimed(notification), InDoubt("lost"))

    counts = [by_hand.mark_sent(Notification.objects.all()) for _ in range(2)]

    assert counts == [1, 0]
    assert only().state == State.SENT


@pytest.mark.django_db
def test_email_in_doubt_is_sent_again_when_a_person_asks(aws, consume):
    event = place()
    consume("transactions")
    notification = owed(event)
    states.doubt(claimed(notification), InDoubt("lost"))
    consume()

    counts = [by_hand.send_again(Notification.objects.all()) for _ in range(2)]
    consume()

    assert counts == [1, 0]
    assert len(aws.accepted) == 1
    assert only().state == State.SENT
