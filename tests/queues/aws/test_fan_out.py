import json
from collections import Counter
from datetime import timedelta

import pytest
from botocore.exceptions import EndpointConnectionError
from django.core.checks import run_checks
from django.utils import timezone

from notifier.alerts import concerns
from queues.aws import provisioning, sns, sqs, subscriptions
from queues.consumer import fifo_groups
from queues.dead_letters import collecting, decisions
from queues.errors import QueueMissing
from queues.events.envelope import Event
from queues.models import DeadLetter, OutboxEvent
from queues.models.live import QueueDepth
from queues.outbox import lost, relay
from queues.upkeep import depths
from tests.support.builders import make_account, make_order, make_transaction
from tests.support.parcels import ParcelWeighed, record

State = OutboxEvent.State
MISSING = "arn:aws:sns:eu-west-1:123456789012:nowhere"


@pytest.fixture
def topics(settings):
    """Named in settings, before anything is provisioned."""
    settings.TOPICS = {"orders": "orders-facts", "transactions": "transactions-facts.fifo"}
    settings.ARCHIVE_QUEUE = "facts-archive"


@pytest.fixture
def fan_out(topics, aws):
    """Topics that deliver to the queues and to an archive."""
    return aws


def topic_of(alias):
    topic = sns.topic(alias)
    assert topic is not None
    return topic


def provisioned():
    said: list[str] = []
    provisioning.provision(said.append)
    return said


def received(queue, limit=10):
    return queue.receive(limit=limit, wait_seconds=0)


def count(queue):
    return queue.depth().visible


def publish(body="{}", **attributes):
    """Publish as somebody who is not of this project."""
    sns.client().publish(
        TopicArn=topic_of("orders").arn,
        Message=body,
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
    )


def subscription(alias, queue):
    topic = topic_of(alias)
    arn = topic.subscription(queue.attributes()["QueueArn"])
    assert arn is not None
    return arn, topic.subscription_attributes(arn)


@pytest.fixture
def sns_answers(request):
    """Change what SNS answers to PublishBatch."""

    def install(answer):
        events = sns.client().meta.events
        events.register("after-call.sns.PublishBatch", answer)
        request.addfinalizer(lambda: events.unregister("after-call.sns.PublishBatch", answer))

    return install


@pytest.mark.django_db
def test_event_goes_by_the_topic_to_its_queue_and_to_the_archive(fan_out):
    row = record("hello")

    assert relay.publish_pending() == 1

    [message], [copy] = received(sqs.queue("orders")), received(sqs.archive_queue())
    assert message.body == copy.body == row.body
    assert message.event_id == copy.event_id == str(row.event_id)
    assert message.message_attributes["event_type"] == "parcel.packed.v1"
    row.refresh_from_db()
    assert row.state == State.PUBLISHED
    assert row.sqs_message_id.startswith("sns:")


@pytest.mark.django_db
def test_order_becomes_one_email_by_way_of_the_topic(fan_out, consume):
    fan_out.verify("ada@example.com")
    make_order()

    assert consume() == 1

    assert len(fan_out.accepted) == 1
    assert OutboxEvent.objects.get().state == State.HANDLED
    assert count(sqs.archive_queue()) == 1


@pytest.mark.django_db
def test_what_is_published_again_goes_to_the_queue_alone(fan_out):
    record(), record(data_type=ParcelWeighed)
    relay.publish_pending()

    relay.publish_again(OutboxEvent.objects.all())
    relay.publish_pending()

    assert count(sqs.queue("orders")) == count(sqs.queue("transactions")) == 2
    assert count(sqs.archive_queue()) == 2


@pytest.mark.django_db
def test_redriven_letter_goes_to_the_queue_alone(fan_out, consume, settings):
    settings.RETRY_BASE_SECONDS = 0
    publish("rubbish", event_type="order.placed.v9")
    while not collecting.collect("orders"):
        consume("orders")

    decisions.redrive(DeadLetter.objects.all())
    relay.publish_pending()

    [message] = received(sqs.queue("orders"))
    assert message.body == "rubbish"
    assert count(sqs.archive_queue()) == 1


@pytest.mark.django_db
def test_lease_of_a_relay_that_died_is_published_by_the_topic_once_more(fan_out):
    row = record(data_type=ParcelWeighed)
    relay.publish_pending()
    OutboxEvent.objects.update(
        state=State.CLAIMED, lease_until=timezone.now() - timedelta(seconds=1), published_at=None
    )

    assert relay.publish_pending() == 1

    # The same deduplication id.
    [message] = received(sqs.queue("transactions"))
    assert message.event_id == str(row.event_id)


@pytest.mark.django_db
def test_what_the_topic_lost_is_published_again_and_sent_once(fan_out, consume):
    fan_out.verify("ada@example.com")
    arn, _ = subscription("orders", sqs.queue("orders"))
    sns.client().unsubscribe(SubscriptionArn=arn)
    make_order()
    assert consume() == 0
    OutboxEvent.objects.update(published_at=timezone.now() - timedelta(days=1))

    lost.republish_lost("orders")

    assert consume() == 1
    assert len(fan_out.accepted) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("raw", ["true", "false"])
def test_alerts_of_one_account_keep_their_order_by_way_of_the_topic(fan_out, consume, raw):
    fan_out.verify("ada@example.com")
    arn, _ = subscription("transactions", sqs.queue("transactions"))
    topic_of("transactions").set_subscription_attribute(arn, "RawMessageDelivery", raw)
    account = make_account()
    for amount in ("1.17", "2.17", "3.17"):
        make_transaction(account=account, amount=amount)

    assert [consume("transactions") for _ in range(4)] == [1, 1, 1, 0]

    subjects = [str(mail.raw_data) for mail in fan_out.accepted]
    assert [f"{n}.17" in subject for n, subject in enumerate(subjects, start=1)] == [True] * 3


@pytest.mark.django_db
def test_message_by_the_topic_is_known_as_the_latest_of_its_event(fan_out, consume):
    first, second = record("0", data_type=ParcelWeighed), record("1", data_type=ParcelWeighed)
    relay.publish_pending(), relay.publish_pending()
    queue = sqs.queue("transactions")
    queue.delete_batch(received(queue, limit=1))
    OutboxEvent.objects.filter(pk=first.pk).update(
        deduplication_id=OutboxEvent._meta.get_field("deduplication_id").get_default(),
        published_at=timezone.now() - timedelta(minutes=1),
    )
    [message] = received(queue)

    assert message.event_id == str(second.event_id)
    assert not fifo_groups.must_wait(queue, message)


@pytest.mark.django_db
def test_wrapper_of_sns_is_read_as_raw_delivery(fan_out):
    arn, _ = subscription("orders", sqs.queue("orders"))
    topic_of("orders").set_subscription_attribute(arn, "RawMessageDelivery", "false")
    row = record("hello")

    relay.publish_pending()

    [message] = received(sqs.queue("orders"))
    assert Event.from_json(message.body).id == row.event_id
    assert message.event_id == str(row.event_id)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body",
    [
        '{"Type": "Notification", "TopicArn": "t", "Message": 7}',
        '{"Type": "Notification", "TopicArn": "t"',
        '["Notification", {"TopicArn": "t"}]',
        '{"Type": "Other", "TopicArn": "t", "Message": "x", "is": "Notification"}',
    ],
)
def test_what_only_looks_like_a_wrapper_is_left_as_it_is(aws, body):
    sqs.queue("orders").send_batch([sqs.Outgoing(key="1", body=body)])

    [message] = received(sqs.queue("orders"))

    assert message.body == body


@pytest.mark.parametrize(
    ("attributes", "arrives"),
    [
        ({"event_type": "parcel.packed.v1"}, True),
        ({"event_type": "order.placed.v999"}, True),
        ({}, True),
        ({"event_type": "parcel.weighed.v1"}, False),
    ],
)
def test_queue_gets_all_but_the_types_of_other_queues(fan_out, attributes, arrives):
    publish(**attributes)

    assert count(sqs.queue("orders")) == arrives
    assert count(sqs.archive_queue()) == 1


def test_archive_gets_the_types_that_settings_name(topics, settings, aws):
    settings.ARCHIVE_TYPES = ["order.*", "parcel.packed.v1"]
    provisioned()

    for name in ("order.placed.v1", "order.lost.v2", "parcel.packed.v1", "parcel.lost.v1"):
        publish(event_type=name)

    assert count(sqs.archive_queue()) == 3
    assert count(sqs.queue("orders")) == 4


@pytest.mark.django_db
def test_entry_that_sns_could_not_take_waits_and_one_that_it_never_takes_is_refused(
    fan_out, sns_answers
):
    rows = [record(str(number)) for number in range(3)]

    def answer(parsed, **kwargs):
        failed, parsed["Successful"] = parsed["Successful"][:2], parsed["Successful"][2:]
        parsed["Failed"] = [
            {"Id": entry["Id"], "Code": code, "Message": "no", "SenderFault": fault}
            for entry, code, fault in zip(
                failed, ["InternalError", "InvalidParameter"], [False, True], strict=True
            )
        ]

    sns_answers(answer)

    assert relay.publish_pending() == 1

    for row in rows:
        row.refresh_from_db()
    assert [row.state for row in rows] == [State.PENDING, State.REFUSED, State.PUBLISHED]
    assert rows[1].error == "InvalidParameter: no"


@pytest.mark.django_db
def test_topic_without_an_answer_leaves_its_events_and_publishes_the_others(fan_out, sns_answers):
    record(), record()
    relay.publish_pending()
    relay.publish_again(OutboxEvent.objects.filter(pk=OutboxEvent.objects.latest("pk").pk))
    record()

    def cut(**kwargs):
        raise EndpointConnectionError(endpoint_url="sns")

    sns_answers(cut)

    assert relay.publish_pending() == 1

    assert Counter(OutboxEvent.objects.values_list("state", flat=True)) == {
        State.PUBLISHED: 2,
        State.PENDING: 1,
    }


@pytest.mark.django_db
def test_missing_topic_leaves_the_event_pending_and_says_what_to_run(fan_out):
    row = record()
    sns.client().delete_topic(TopicArn=topic_of("orders").arn)

    assert relay.publish_pending() == 0

    row.refresh_from_db()
    assert row.state == State.PENDING
    assert row.error == "there is no topic orders-facts; run: manage.py provision"


@pytest.mark.django_db
@pytest.mark.parametrize("gone", ["topic", "subscription"])
def test_overview_is_told_that_nothing_can_come_by_the_topic(fan_out, gone):
    topic = topic_of("orders")
    if gone == "topic":
        sns.client().delete_topic(TopicArn=topic.arn)
    else:
        sns.client().unsubscribe(SubscriptionArn=subscription("orders", sqs.queue("orders"))[0])

    depths.measure()

    told = dict(QueueDepth.objects.values_list("alias", "error"))
    assert "orders-facts" in told["orders"]
    assert "manage.py provision" in told["orders"]
    assert told["transactions"] == ""
    assert [each.key for each in concerns.current() if "lacking" in each.key] == ["lacking orders"]


def test_second_provisioning_changes_nothing(fan_out):
    again = provisioned()

    assert not [line for line in again if line.startswith(("made", "fixed", "let", "subscribed"))]
    found = sns.client().list_subscriptions()["Subscriptions"]
    ours = [each for each in found if "-facts" in each["TopicArn"]]
    assert len(ours) == len({(each["TopicArn"], each["Endpoint"]) for each in ours}) == 4


def test_subscription_that_somebody_changed_is_brought_in_line(fan_out):
    queue, topic = sqs.queue("orders"), topic_of("orders")
    arn, before = subscription("orders", queue)
    topic.set_subscription_attribute(arn, "RawMessageDelivery", "false")
    topic.set_subscription_attribute(arn, "FilterPolicy", '{"event_type": ["x"]}')

    lines = provisioned()

    assert (
        "fixed subscription of notifier-orders to orders-facts: RawMessageDelivery, FilterPolicy"
        in lines
    )
    _, after = subscription("orders", queue)
    assert json.loads(after["FilterPolicy"]) == json.loads(before["FilterPolicy"])


def test_only_the_topic_may_write_to_its_queue_and_statements_of_others_stay(fan_out):
    queue = sqs.queue("orders")
    theirs = {"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "sqs:*"}
    queue.set_attributes({"Policy": json.dumps({"Version": "2012-10-17", "Statement": [theirs]})})

    provisioned()

    statements = json.loads(queue.attributes()["Policy"])["Statement"]
    assert theirs in statements
    [ours] = [each for each in statements if each["Sid"] == subscriptions.STATEMENT]
    assert ours["Principal"] == {"Service": "sns.amazonaws.com"}
    assert ours["Condition"] == {"ArnEquals": {"aws:SourceArn": [topic_of("orders").arn]}}


def test_topic_that_is_given_by_its_arn_is_never_made(settings, aws):
    settings.TOPICS = {"orders": MISSING}

    with pytest.raises(QueueMissing, match="no topic nowhere"):
        provisioned()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"TOPICS": {"orders": "facts.fifo"}}, "queues.E011"),
        ({"TOPICS": {"transactions": "facts"}}, "queues.E011"),
        ({"TOPICS": {"orders": "facts"}, "ARCHIVE_QUEUE": "a.fifo"}, "queues.E012"),
        ({"TOPICS": {"orders": "facts"}, "ARCHIVE_QUEUE": "notifier-orders"}, "queues.E012"),
        ({"ARCHIVE_QUEUE": "archive"}, "queues.E013"),
    ],
)
def test_settings_that_cannot_work_together_are_refused(settings, values, expected):
    for name, value in values.items():
        setattr(settings, name, value)

    assert expected in [found.id for found in run_checks(tags=["delivery"])]
