import base64
import json
import threading
import uuid
from email import message_from_bytes

import pytest
from botocore.config import Config
from django.db import DatabaseError, OperationalError, connection, transaction
from django.utils import timezone
from django_ses import signals

from emails.models import Attempt, Notification, Suppression
from emails.sending import claims, journal, limiter, notifying, states
from emails.ses import ses_api
from queues import outbox, registry
from queues.aws import sqs
from queues.consumer.loop import Consumer
from queues.events import tracing
from queues.models import HandlingFailure, OutboxEvent
from queues.outbox import relay
from queues.upkeep import sweeping
from tests.support.aws.scripted_server import ScriptedServer, cut, said, silent
from tests.support.owed import only, owed, place, placed

State = Notification.State
pytestmark = pytest.mark.django_db

THROTTLED = {"message": "Maximum sending rate exceeded."}
REFUSED = {"message": "Illegal content"}


@pytest.fixture
def ses(aws, settings):
    """SES as it answers our lean client, and its sending rate known."""
    server = ScriptedServer()
    server.answer = said(200, {"MessageId": "ses-1"})
    settings.AWS_SES_REGION_ENDPOINT_URL = server.url
    settings.USE_SES_V2, settings.SES_CLIENT = True, "lean"
    settings.AWS_SES_CONFIG = Config(
        connect_timeout=0.5,
        read_timeout=0.5,
        retries={"total_max_attempts": 1},
        max_pool_connections=64,
    )
    limiter.refresh()
    yield server
    server.stop()
    ses_api.forget_clients()


def error(code, content, status=400):
    return said(status, content, x_amzn_errortype=code)


def place_for(*names):
    for name in names:
        place(recipient=f"{name}@example.com")


def states_of():
    return {row.recipient.partition("@")[0]: State(row.state) for row in Notification.objects.all()}


def recipients(server):
    """To whom the requests that came were, in the order of their names."""
    return sorted(
        json.loads(request.partition(b"\r\n\r\n")[2])["Destination"]["ToAddresses"][0].partition(
            "@"
        )[0]
        for request in server.requests
    )


def is_empty():
    depth = sqs.queue("orders").depth()
    return (depth.visible, depth.in_flight) == (0, 0)


def commits(monkeypatch, name):
    """Count the calls of one of the writes that emails share."""
    calls = []
    group_commit = getattr(notifying, name)
    perform = group_commit._perform

    def counted(items):
        calls.append(len(items))
        return perform(items)

    monkeypatch.setattr(group_commit, "_perform", counted)
    return calls


def test_ten_events_become_ten_emails_with_one_claim_and_one_acceptance(ses, consume, monkeypatch):
    names = [f"customer{n}" for n in range(10)]
    place_for(*names)
    claimed, accepted = commits(monkeypatch, "claim"), commits(monkeypatch, "accept")

    assert consume("orders") == 10

    assert claimed == accepted == [10]
    assert recipients(ses) == names
    assert set(states_of().values()) == {State.SENT}
    assert set(Attempt.objects.values_list("outcome", "number")) == {("accepted", 1)}
    assert not OutboxEvent.objects.exclude(state=OutboxEvent.State.HANDLED).exists()
    assert is_empty()


def test_no_claim_waits_longer_than_a_second_for_its_slot(ses, consume, monkeypatch, settings):
    monkeypatch.setattr(limiter, "slots_a_second", lambda: 3)
    monkeypatch.setattr(notifying.claim, "_most", lambda: 3)
    place_for(*"abcdefg")
    claimed = commits(monkeypatch, "claim")

    consume("orders")

    assert claimed == [3, 3, 1]
    assert recipients(ses) == list("abcdefg")


def test_each_email_meets_its_own_error(ses, consume, caplog):
    place_for("ada", "busy", "bad", "cut", "silent", "down", "eve")
    ses.answers = {
        "busy@": [error("TooManyRequestsException", THROTTLED, 429)],
        "bad@": [error("MessageRejected", REFUSED)],
        "cut@": [cut()],
        "silent@": [silent],
        "down@": [error("ServiceUnavailable", {"message": "later"}, 503)],
    }

    consume("orders")

    assert states_of() == {
        "ada": State.SENT,
        "eve": State.SENT,
        # Throttled emails are sent again in place.
        "busy": State.SENT,
        "bad": State.FAILED,
        "cut": State.IN_DOUBT,
        "silent": State.IN_DOUBT,
        "down": State.IN_DOUBT,
    }
    assert recipients(ses).count("busy") == 2
    assert all(recipients(ses).count(name) == 1 for name in ("cut", "silent", "down", "bad"))
    assert HandlingFailure.objects.get().code == "MessageRejected"


def test_what_ses_accepted_is_on_disk_if_the_database_does_not_take_it(
    ses, consume, monkeypatch, settings, tmp_path
):
    settings.JOURNAL_DIR = str(tmp_path)
    place_for("ada", "bob")

    def gone(accepted):
        raise OperationalError("the database is gone")

    with monkeypatch.context() as patch:
        patch.setattr(states, "accept_many", gone)
        consume("orders")
    assert len(list(tmp_path.iterdir())) == 2
    assert set(states_of().values()) == {State.SENDING}

    assert journal.replay() == 2
    assert set(states_of().values()) == {State.SENT}
    assert len(ses.requests) == 2


def test_acceptance_and_the_end_of_the_event_are_saved_together_or_not_at_all(
    ses, consume, monkeypatch, settings, tmp_path
):
    settings.JOURNAL_DIR = str(tmp_path)
    place_for("ada")

    def gone(event_ids):
        raise DatabaseError("the database is gone")

    monkeypatch.setattr("queues.consumer.handling.mark_handled", gone)
    consume("orders")

    assert only().state == State.SENDING
    assert len(list(tmp_path.iterdir())) == 1


def test_claims_that_fail_give_their_slots_back_and_nothing_is_sent(ses, consume, monkeypatch):
    place_for("ada", "bob")
    real, tries = claims.claim_owed, []

    def fails_once(owed):
        tries.append(len(owed))
        if len(tries) == 1:
            raise DatabaseError("not now")
        return real(owed)

    monkeypatch.setattr(claims, "claim_owed", fails_once)
    consume("orders")

    # Then each alone, with the slots that were given back.
    assert tries == [2, 1, 1]
    assert not limiter._unused
    assert recipients(ses) == ["ada", "bob"]


def test_event_that_is_there_twice_is_sent_once(ses, consume, monkeypatch):
    event = place()
    OutboxEvent.objects.all().delete()
    for _ in range(2):
        sqs.queue("orders").send_batch([sqs.Outgoing(uuid.uuid4().hex, event.to_json())])

    assert consume("orders") == 2

    assert recipients(ses) == ["ada"]
    assert is_empty()


def test_email_that_cannot_be_rendered_fails_alone(ses, consume):
    place_for("ada")
    broken = placed(recipient="bob@example.com")
    data = {name: value for name, value in broken.data.items() if name != "lines"}
    body = broken.model_copy(update={"data": data}).to_json()
    sqs.queue("orders").send_batch([sqs.Outgoing("1", body)])

    consume("orders")

    assert states_of().get("ada") == State.SENT
    assert recipients(ses) == ["ada"]
    assert HandlingFailure.objects.count() == 1


def test_suppressed_address_gets_no_email(ses, consume):
    Suppression.objects.create(address="bob@example.com", source="bounce", since=timezone.now())
    place_for("ada", "bob")

    consume("orders")

    assert recipients(ses) == ["ada"]
    assert states_of() == {"ada": State.SENT, "bob": State.SUPPRESSED}
    assert is_empty()


def test_email_that_was_sent_before_is_not_sent_again(ses, consume):
    event = place()
    row = owed(event)
    states.accept(row.pk, 1, "ses-0")

    consume("orders")

    assert ses.requests == []
    assert is_empty()


def test_email_that_was_recorded_with_other_data_is_sent_as_recorded(ses, consume):
    event = place()
    row = owed(event)
    Notification.objects.filter(pk=row.pk).update(
        context={**event.data, "order_number": "ORD-999999"}
    )

    consume("orders")

    [request] = ses.requests
    raw = json.loads(request.partition(b"\r\n\r\n")[2])["Content"]["Raw"]["Data"]
    assert "ORD-999999" in message_from_bytes(base64.b64decode(raw))["Subject"]


def test_type_with_a_second_handler_is_handled_event_by_event(ses, consume):
    seen = []

    @registry.handles("order.placed.v1")
    def second(event):
        seen.append(event.data["customer"]["email"])

    try:
        place_for("ada", "bob")
        consume("orders")
    finally:
        registry._handlers["order.placed.v1"].remove(second)

    assert sorted(seen) == ["ada@example.com", "bob@example.com"]
    assert recipients(ses) == ["ada", "bob"]


def test_lease_that_ends_too_soon_keeps_an_email_from_leaving(ses, consume, monkeypatch):
    monkeypatch.setattr(claims, "outlasts_a_call", lambda held: False)
    monkeypatch.setattr(claims, "_renewed", lambda held: False)
    place_for("ada")

    consume("orders")

    assert ses.requests == []
    assert HandlingFailure.objects.get().code == "LeaseLost"


def test_slot_that_is_missed_is_replaced_and_the_email_sent_once(ses, consume, monkeypatch):
    place_for("ada", "bob")
    missed = iter([True])
    monkeypatch.setattr(
        limiter.Slot, "is_missed", property(lambda slot: next(missed, False)), raising=False
    )

    consume("orders")

    assert recipients(ses) == ["ada", "bob"]
    assert set(states_of().values()) == {State.SENT}


def test_listeners_of_django_ses_hear_of_each_email_whatever_one_of_them_does(ses, consume, caplog):
    heard = []

    def listen(message, **kwargs):
        heard.append((message.to, message.extra_headers["message_id"]))
        raise ZeroDivisionError

    signals.message_sent.connect(listen)
    try:
        place_for("ada")
        consume("orders")
    finally:
        signals.message_sent.disconnect(listen)

    assert heard == [(["ada@example.com"], "ses-1")]
    assert only().state == State.SENT
    assert "a receiver of message_sent failed" in caplog.text


def test_call_of_each_email_is_a_span_in_its_own_trace(ses, consume, spans):
    for name in ("ada", "bob"):
        event = placed(recipient=f"{name}@example.com")
        with transaction.atomic():
            outbox.record(event.model_copy(update={"traceparent": tracing.traceparent()}))
    ses.answers = {"bob@": [error("MessageRejected", REFUSED)]}

    consume("orders")

    calls = [span for span in spans() if span.name == "SES SendEmail"]
    work = {span.context.span_id: span for span in spans() if span.name == "process orders"}
    assert {call.context.trace_id for call in calls} == {
        int(row.traceparent[3:35], 16) for row in OutboxEvent.objects.all()
    }
    assert all(
        work[call.parent.span_id].context.trace_id == call.context.trace_id for call in calls
    )
    assert sorted(call.status.description or "" for call in calls) == ["", "MessageRejected"]


def test_sender_that_dies_in_the_middle_leaves_doubts_and_sends_nothing_twice(
    ses, consume, monkeypatch
):
    class Killed(BaseException):
        pass

    def die(accepted):
        raise Killed

    place_for("ada", "bob")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(notifying, "_save_accepted", die)
        consume("orders")
    assert len(ses.requests) == 2
    with connection.cursor() as cursor:
        cursor.execute("UPDATE emails_notification SET lease_until = '2026-01-01 00:00:00+00:00'")
    sqs.queue("orders")
    sweeping.sweep()

    assert set(states_of().values()) == {State.IN_DOUBT}
    assert len(ses.requests) == 2


@pytest.mark.django_db(transaction=True)
def test_consumer_that_stops_while_emails_wait_for_slots_gives_their_messages_back(
    ses, monkeypatch
):
    place_for("ada", "bob")
    relay.publish_pending()
    monkeypatch.setattr(limiter, "reserve", lambda count: None)
    consumer = Consumer(sqs.queues(["orders"]))
    stopping = threading.Timer(0.3, setattr, (consumer, "stopping", True))
    stopping.start()

    consumer.run_until_empty(between=lambda: 0)

    assert sqs.queue("orders").depth().visible == 2
    assert ses.requests == []
