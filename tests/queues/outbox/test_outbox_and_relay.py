import json
from collections import Counter
from datetime import timedelta

import pytest
from botocore.exceptions import EndpointConnectionError
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from queues import characters, outbox
from queues.aws import sqs
from queues.errors import EventTooLarge
from queues.events.envelope import Event
from queues.models import OutboxEvent
from queues.outbox import relay
from tests.support.parcels import ParcelPacked, ParcelWeighed, record
from tests.support.processes import wait_until

State = OutboxEvent.State


def notes(alias):
    bodies = [
        Event.from_json(message.body)
        for message in sqs.queue(alias).receive(limit=10, wait_seconds=0)
    ]
    return [event.data["note"] for event in bodies]


def states():
    return list(OutboxEvent.objects.order_by("id").values_list("state", flat=True))


@pytest.fixture
def refuse(request):
    """Answer SendMessageBatch with an error of SQS for the first entry, or for all of them."""

    def install(*, entries=None, error="ServiceUnavailable", sender_fault=False):
        client = sqs.client()

        def answer(parsed, **kwargs):
            failed = parsed["Successful"][:entries]
            parsed["Failed"] = [
                {"Id": entry["Id"], "Code": error, "Message": "no", "SenderFault": sender_fault}
                for entry in failed
            ]
            parsed["Successful"] = parsed["Successful"][entries:] if entries else []

        client.meta.events.register("after-call.sqs.SendMessageBatch", answer)
        request.addfinalizer(
            lambda: client.meta.events.unregister("after-call.sqs.SendMessageBatch", answer)
        )

    return install


@pytest.mark.django_db(transaction=True)
def test_record_outside_a_transaction_is_refused():
    with pytest.raises(RuntimeError, match="atomic"):
        outbox.record(Event.of(ParcelPacked(), subject="P-1", partition_key="g"))


@pytest.mark.django_db
def test_event_over_64_kib_is_refused_where_it_is_recorded():
    with pytest.raises(EventTooLarge, match=r"parcel.packed.v1 P-1: \d+ bytes"):
        record("x" * 70_000)


@pytest.mark.django_db
def test_published_message_carries_envelope_and_content_attributes(aws):
    row = record("hello")

    relay.publish_pending()

    [message] = sqs.queue("orders").receive(limit=10, wait_seconds=0)
    assert Event.from_json(message.body).id == row.event_id
    assert message.event_id == str(row.event_id)
    assert message.message_attributes["event_type"] == "parcel.packed.v1"
    assert message.message_attributes["traceparent"].startswith("00-")
    row.refresh_from_db()
    assert (row.state, row.sqs_message_id) == (State.PUBLISHED, message.id)


@pytest.mark.django_db
def test_one_step_publishes_a_bounded_number_of_events(aws):
    OutboxEvent.objects.bulk_create(
        OutboxEvent(queue="orders", body="{}", available_at="2020-01-01T00:00Z")
        for _ in range(relay.CLAIM_ROWS + 3)
    )

    counts = [relay.publish_pending() for _ in range(3)]

    assert counts == [relay.CLAIM_ROWS, 3, 0]


@pytest.mark.django_db
def test_each_batch_is_settled_by_its_own_answer(aws, refuse):
    for number in range(25):
        record(str(number))
    refuse(entries=2)

    assert relay.publish_pending() == 25 - 3 * 2

    assert Counter(states()) == {State.PUBLISHED: 19, State.PENDING: 6}
    message_ids = OutboxEvent.objects.exclude(sqs_message_id="").values_list("sqs_message_id")
    assert len(set(message_ids)) == 19


@pytest.mark.django_db
def test_batch_without_an_answer_leaves_the_others_published(aws, request):
    for number in range(25):
        record(str(number))
    events = sqs.client().meta.events

    def cut(params, **kwargs):
        if len(params["Entries"]) == 5:
            raise EndpointConnectionError(endpoint_url="sqs")

    events.register("provide-client-params.sqs.SendMessageBatch", cut)
    request.addfinalizer(
        lambda: events.unregister("provide-client-params.sqs.SendMessageBatch", cut)
    )

    assert relay.publish_pending() == 20

    assert Counter(states()) == {State.PUBLISHED: 20, State.PENDING: 5}


@pytest.mark.django_db(transaction=True)
def test_batch_that_hangs_does_not_keep_the_others_unsettled(aws, request):
    for number in range(12):
        record(str(number))
    events = sqs.client().meta.events

    def hang(params, **kwargs):
        if len(params["Entries"]) == 2:
            wait_until(lambda: states().count(State.PUBLISHED) == 10, what="the others", seconds=5)
            connection.close()

    events.register("provide-client-params.sqs.SendMessageBatch", hang)
    request.addfinalizer(
        lambda: events.unregister("provide-client-params.sqs.SendMessageBatch", hang)
    )

    assert relay.publish_pending() == 12


@pytest.mark.django_db
def test_fifo_group_is_published_one_by_one_in_order(aws):
    for number in range(3):
        record(str(number), data_type=ParcelWeighed)
    record("other", group="h", data_type=ParcelWeighed)

    counts = [relay.publish_pending() for _ in range(4)]

    assert counts == [2, 1, 1, 0]
    assert [note for note in notes("transactions") if note != "other"] == ["0", "1", "2"]


@pytest.mark.django_db
def test_claimed_head_keeps_its_fifo_group_back(aws):
    first = record("0", data_type=ParcelWeighed)
    record("1", data_type=ParcelWeighed)
    OutboxEvent.objects.filter(pk=first.pk).update(
        state=State.CLAIMED, lease_until=timezone.now() + timedelta(seconds=9)
    )

    assert relay.publish_pending() == 0


@pytest.mark.django_db
def test_expired_lease_of_a_dead_relay_is_published_again(aws):
    row = record()
    OutboxEvent.objects.filter(pk=row.pk).update(
        state=State.CLAIMED, lease_until=timezone.now() - timedelta(seconds=1)
    )

    assert relay.publish_pending() == 1


@pytest.mark.django_db
def test_entry_that_sqs_could_not_take_waits_and_is_tried_again(aws, refuse):
    record("0")
    record("1")
    refuse(entries=1)

    assert relay.publish_pending() == 1

    waiting = OutboxEvent.objects.get(state=State.PENDING)
    assert waiting.available_at > timezone.now()
    assert "ServiceUnavailable" in waiting.error


@pytest.mark.django_db
def test_entry_that_sqs_never_takes_is_refused_with_its_reason(aws, refuse):
    row = record()
    refuse(error="InvalidMessageContents", sender_fault=True)

    relay.publish_pending()

    row.refresh_from_db()
    assert (row.state, row.error) == (State.REFUSED, "InvalidMessageContents: no")


# SendMessageBatch, Errors: what ails the queue, its key or the account may heal, whoever SQS calls at fault.
@pytest.mark.django_db
@pytest.mark.parametrize(
    "code",
    [
        "AWS.SimpleQueueService.UnsupportedOperation",
        "AccessDenied",
        "InternalError",
        "InvalidSecurity",
        "KmsAccessDenied",
        "KmsDisabled",
        "KmsInvalidKeyUsage",
        "KmsInvalidState",
        "KmsNotFound",
        "KmsOptInRequired",
        "KmsThrottled",
        "OfTomorrow",
        "RequestThrottled",
        "ServiceUnavailable",
        "ThrottlingException",
    ],
)
def test_entry_that_fails_for_the_moment_waits_whoever_is_at_fault(aws, refuse, code):
    record("a")
    refuse(error=code, sender_fault=True)

    relay.publish_pending()

    assert states() == [State.PENDING]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "code", ["InvalidMessageContents", "InvalidParameterValue", "MessageTooLong"]
)
@pytest.mark.parametrize(
    ("sender_fault", "expected"), [(True, State.REFUSED), (False, State.PENDING)]
)
def test_entry_is_refused_only_if_sqs_blames_the_message_and_us(
    aws, refuse, code, sender_fault, expected
):
    record("a")
    refuse(error=code, sender_fault=sender_fault)

    relay.publish_pending()

    assert states() == [expected]


@pytest.mark.django_db
def test_missing_queue_leaves_the_event_pending_and_says_what_to_run(aws):
    row = record()
    sqs.client().delete_queue(QueueUrl=sqs.queue("orders").url)

    relay.publish_pending()

    row.refresh_from_db()
    assert row.state == State.PENDING
    assert "manage.py provision" in row.error


@pytest.mark.django_db
def test_publish_again_uses_a_new_deduplication_id_and_the_same_event(aws):
    row = record(data_type=ParcelWeighed)
    relay.publish_pending()

    relay.publish_again(OutboxEvent.objects.all())
    relay.publish_pending()

    again = OutboxEvent.objects.get()
    assert again.event_id == row.event_id
    assert again.deduplication_id != row.deduplication_id
    assert sqs.queue("transactions").depth().visible == 2


@pytest.mark.django_db
def test_each_event_that_is_published_again_gets_a_deduplication_id_of_its_own(aws):
    for group in "abc":
        record(group=group, data_type=ParcelWeighed)
    relay.publish_pending()

    assert relay.publish_again(OutboxEvent.objects.all()) == 3

    assert len(set(OutboxEvent.objects.values_list("deduplication_id"))) == 3
    assert relay.publish_again(OutboxEvent.objects.all()) == 0


@pytest.mark.django_db(transaction=True)
def test_rolled_back_event_is_neither_recorded_nor_published(aws, settings):
    settings.OUTBOX_PUBLISH_ON_COMMIT = True

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        outbox.record(Event.of(ParcelPacked(), subject="P-1", partition_key="g"))
        raise ZeroDivisionError

    assert states() == []
    assert sqs.queue("orders").depth().visible == 0


def test_batches_stay_below_the_limits_of_sqs():
    small = [sqs.Outgoing(key=str(number), body="x") for number in range(23)]
    large = [sqs.Outgoing(key=str(number), body="x" * 60_000) for number in range(10)]

    assert [len(batch) for batch in sqs.batches(small)] == [10, 10, 3]
    assert [len(batch) for batch in sqs.batches(large)] == [4, 4, 2]


@pytest.mark.django_db(transaction=True)
def test_committed_event_is_published_at_once(aws, settings):
    settings.OUTBOX_PUBLISH_ON_COMMIT = True

    record("now")

    wait_until(lambda: states() == [State.PUBLISHED], what="the event published", seconds=5)


@pytest.mark.django_db(transaction=True)
def test_publishing_on_commit_does_not_overtake_an_earlier_event_of_its_group(aws, settings):
    record("0", data_type=ParcelWeighed)
    settings.OUTBOX_PUBLISH_ON_COMMIT = True

    record("1", data_type=ParcelWeighed)
    record("2", group="other", data_type=ParcelWeighed)

    wait_until(lambda: State.PUBLISHED in states(), what="the other group published", seconds=5)
    assert states() == [State.PENDING, State.PENDING, State.PUBLISHED]


@pytest.mark.django_db
def test_relay_that_could_not_publish_everything_fails(aws, capsys):
    record()
    call_command("relay_outbox", "--until-empty")
    sqs.client().delete_queue(QueueUrl=sqs.queue("orders").url)
    record()

    with pytest.raises(CommandError, match=r"1 event\(s\) are not published"):
        call_command("relay_outbox", "--until-empty")

    assert capsys.readouterr().out.splitlines() == ["published 1 event(s)", "published 0 event(s)"]


@pytest.mark.django_db
def test_older_row_with_a_character_that_sqs_refuses_is_published(aws):
    row = record("a")
    OutboxEvent.objects.filter(pk=row.pk).update(
        type="odd\uffff", body=row.body.replace('"a"', '"a\uffff\ufffe"')
    )
    asked = []
    events = sqs.client().meta.events

    def keep(params, **kwargs):
        asked.append(json.loads(params["body"]))

    events.register("before-call.sqs.SendMessageBatch", keep)

    relay.publish_pending()
    events.unregister("before-call.sqs.SendMessageBatch", keep)

    [entry] = asked[0]["Entries"]
    assert characters.is_taken_by_sqs(entry["MessageBody"])
    assert json.loads(entry["MessageBody"])["data"]["note"] == "a\uffff\ufffe"
    assert entry["MessageAttributes"]["event_type"]["StringValue"] == "odd\ufffd"
