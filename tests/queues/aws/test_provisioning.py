import json
from contextlib import contextmanager

import pytest
from django.core.management import CommandError, call_command
from moto import mock_aws

from emails.ses import ses_api
from queues.aws import provisioning, sns, sqs
from queues.errors import QueueUnavailable


@pytest.fixture
def lines():
    with mock_aws():
        said: list[str] = []
        provisioning.provision(said.append)
        yield said


def test_first_run_makes_every_queue_with_its_dead_letter_queue(lines):
    made = {line.removeprefix("made queue ") for line in lines if line.startswith("made queue")}

    assert made == {
        "notifier-orders",
        "notifier-orders-dlq",
        "notifier-transactions.fifo",
        "notifier-transactions-dlq.fifo",
        "notifier-ses-events",
        "notifier-ses-events-dlq",
    }


def test_redrive_policy_names_the_dead_letter_queue_and_the_limit(lines, settings):
    attributes = sqs.queue("transactions").attributes()

    policy = json.loads(attributes["RedrivePolicy"])
    assert policy["deadLetterTargetArn"].endswith(":notifier-transactions-dlq.fifo")
    assert int(policy["maxReceiveCount"]) == settings.QUEUE_MAX_RECEIVE_COUNT
    assert attributes["FifoQueue"] == "true"
    assert attributes["SqsManagedSseEnabled"] == "true"


def test_second_run_changes_nothing(lines):
    again: list[str] = []

    provisioning.provision(again.append)

    assert [line for line in again if line.startswith(("made", "fixed", "let", "subscribed"))] == []


def test_changed_attribute_is_fixed_and_named(lines):
    sqs.queue("orders").set_attributes({"VisibilityTimeout": "7"})
    again: list[str] = []

    provisioning.provision(again.append)

    assert "fixed queue notifier-orders: VisibilityTimeout" in again
    assert sqs.queue("orders").attributes()["VisibilityTimeout"] == "90"


def test_unreachable_aws_is_a_command_error(settings):
    settings.AWS_ENDPOINT_URL = "http://127.0.0.1:9"

    with pytest.raises(CommandError, match="Could not connect"):
        call_command("provision")


@contextmanager
def lacking(client, operation, *, code, status):
    """Let SES answer this operation as an emulator that has not got it."""

    def lack(http_response, parsed, **kwargs):
        http_response.status_code = status
        parsed.clear()
        parsed["Error"] = {"Code": code, "Message": "Unknown action"}
        parsed["ResponseMetadata"] = {"HTTPStatusCode": status}

    events, name = client.meta.events, f"after-call.{operation}"
    events.register(name, lack)
    try:
        yield
    finally:
        events.unregister(name, lack)


# LocalStack answers InternalFailure with status 501, moto with a status alone.
LACKING = [("InvalidAction", 400), ("InternalFailure", 501), ("501", 501), ("404", 404)]


@pytest.mark.parametrize(("code", "status"), LACKING)
@pytest.mark.parametrize(
    "operation", ["CreateConfigurationSet", "CreateConfigurationSetEventDestination"]
)
def test_endpoint_without_event_destinations_is_told_and_goes_on(operation, code, status):
    said: list[str] = []

    with lacking(ses_api.api(), f"ses.{operation}", code=code, status=status), mock_aws():
        provisioning.provision(said.append)

    assert said[-1].startswith("not available at this endpoint (events from SES: ")
    assert "Unknown action" in said[-1]


@pytest.mark.parametrize(("code", "status"), LACKING)
def test_endpoint_without_version_2_is_asked_by_version_1(code, status):
    said: list[str] = []
    operation = "sesv2.GetConfigurationSetEventDestinations"

    with lacking(ses_api.api_v2(), operation, code=code, status=status), mock_aws():
        provisioning.provision(said.append)

    assert said[-1] == "made event destination notifier-events"


def test_failure_of_ses_is_not_taken_for_a_lack():
    operation = "ses.CreateConfigurationSet"

    with (
        lacking(ses_api.api(), operation, code="InternalFailure", status=500),
        mock_aws(),
        pytest.raises(QueueUnavailable),
    ):
        provisioning.provision(lambda line: None)


def statements(alias):
    return json.loads(sqs.queue(alias).attributes()["Policy"])["Statement"]


def test_every_queue_refuses_whoever_comes_without_tls(lines):
    for queue in sqs.queues():
        for each in (queue, sqs.dead_letter_queue(queue.alias)):
            policy = json.loads(each.attributes()["Policy"])
            (deny,) = [one for one in policy["Statement"] if one["Effect"] == "Deny"]

            assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_statement_of_somebody_else_stays_in_a_policy(lines):
    theirs = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sqs:SendMessage"}
    sqs.queue("orders").set_attributes({"Policy": json.dumps({"Statement": theirs})})

    provisioning.provision(lambda line: None)

    assert [one.get("Sid") for one in statements("orders")] == [None, "TlsOnly"]


def test_statement_that_an_earlier_release_made_without_a_name_is_replaced(lines):
    old = [{key: one[key] for key in one if key != "Sid"} for one in statements("ses-events")]
    sqs.queue("ses-events").set_attributes({"Policy": json.dumps({"Statement": old})})

    provisioning.provision(lambda line: None)

    assert sorted(one["Sid"] for one in statements("ses-events")) == ["SesEventsTopic", "TlsOnly"]


def test_topic_of_ses_events_takes_from_our_configuration_set_alone(lines):
    topic = sns.Topic("ses-events", "notifier-ses-events")
    (only,) = json.loads(topic.attributes()["Policy"])["Statement"]

    source = only["Condition"]["StringEquals"]["aws:SourceArn"]
    assert only["Principal"] == {"Service": "ses.amazonaws.com"}
    assert source == "arn:aws:ses:eu-west-1:123456789012:configuration-set/notifier"


def test_subscription_of_the_events_queue_that_somebody_changed_is_brought_in_line(lines):
    topic = sns.Topic("ses-events", "notifier-ses-events")
    arn = topic.subscription(sqs.queue("ses-events").attributes()["QueueArn"])
    assert arn
    topic.set_subscription_attribute(arn, "RawMessageDelivery", "false")
    topic.set_subscription_attribute(arn, "FilterPolicy", '{"kind": ["Bounce"]}')
    again: list[str] = []

    provisioning.provision(again.append)

    after = topic.subscription_attributes(arn)
    assert after["RawMessageDelivery"] == "true"
    assert json.loads(after.get("FilterPolicy", "{}")) == {}
    assert (
        "fixed subscription of notifier-ses-events to notifier-ses-events: "
        "RawMessageDelivery, FilterPolicy"
    ) in again


THEIRS = {
    "Sid": "OpsSubscribe",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::222222222222:root"},
    "Action": ["sns:Subscribe", "sns:Receive"],
}


def test_topic_of_ses_events_keeps_statements_of_others_that_let_nobody_publish(lines):
    topic = sns.Topic("ses-events", "notifier-ses-events")
    open_one = THEIRS | {"Sid": "Open", "Action": "sns:Pub*"}
    sns.client().set_topic_attributes(
        TopicArn=topic.arn,
        AttributeName="Policy",
        AttributeValue=json.dumps({"Statement": [THEIRS, open_one]}),
    )
    again: list[str] = []

    provisioning.provision(again.append)

    after = json.loads(topic.attributes()["Policy"])["Statement"]
    assert [one["Sid"] for one in after] == ["OpsSubscribe", "SesPublishes"]
    assert any("let others publish" in line and '"Open"' in line for line in again)


@pytest.mark.parametrize("alias", ["orders", "transactions"])
@pytest.mark.parametrize("which", [sqs.queue, sqs.dead_letter_queue])
def test_provision_leaves_a_kms_key_in_place(lines, alias, which):
    queue = which(alias)
    queue.set_attributes({"KmsMasterKeyId": "alias/our-own", "SqsManagedSseEnabled": "false"})
    again: list[str] = []

    provisioning.provision(again.append)

    assert queue.attributes()["SqsManagedSseEnabled"] == "false"
    assert queue.attributes()["KmsMasterKeyId"] == "alias/our-own"
    assert (
        f"left SqsManagedSseEnabled of queue {queue.name} alone: the KMS key alias/our-own "
        "encrypts it"
    ) in again


def test_provision_leaves_the_kms_key_of_the_archive_in_place(lines, settings):
    settings.TOPICS, settings.ARCHIVE_QUEUE = {"orders": "facts"}, "archive"
    provisioning.provision(lambda line: None)
    archive = sqs.archive_queue()
    assert archive
    archive.set_attributes({"KmsMasterKeyId": "alias/our-own", "SqsManagedSseEnabled": "false"})

    provisioning.provision(lambda line: None)

    assert archive.attributes()["SqsManagedSseEnabled"] == "false"


def test_provision_leaves_longer_times_in_place(lines):
    longer = {"MessageRetentionPeriod": "1209600", "VisibilityTimeout": "600"}
    sqs.queue("orders").set_attributes(longer)
    again: list[str] = []

    provisioning.provision(again.append)

    after = sqs.queue("orders").attributes()
    assert {name: after[name] for name in longer} == longer
    assert (
        "left VisibilityTimeout of queue notifier-orders alone: its 600 seconds are more than our 90"
        in again
    )


def test_provision_leaves_tags_and_what_it_does_not_know_in_place(lines):
    queue = sqs.queue("orders")
    sqs.client().tag_queue(QueueUrl=queue.url, Tags={"team": "shop"})
    queue.set_attributes({"DelaySeconds": "3", "ReceiveMessageWaitTimeSeconds": "7"})

    provisioning.provision(lambda line: None)

    after = queue.attributes()
    assert (after["DelaySeconds"], after["ReceiveMessageWaitTimeSeconds"]) == ("3", "7")
    assert sqs.client().list_queue_tags(QueueUrl=queue.url)["Tags"] == {"team": "shop"}


def test_provision_leaves_a_queue_of_another_account_alone(lines, settings):
    elsewhere = "https://sqs.eu-west-1.amazonaws.com/222222222222/notifier-orders"
    settings.QUEUES = settings.QUEUES | {"orders": elsewhere}
    settings.TOPICS = {"orders": "arn:aws:sns:eu-west-1:123456789012:facts"}
    sns.client().create_topic(Name="facts")
    before = sqs.urls("")
    again: list[str] = []

    provisioning.provision(again.append)

    said = [line for line in again if line.startswith("left")]
    assert said == [
        "left queue notifier-orders alone: account 222222222222 owns it and its DLQ",
        "left the policy of queue notifier-orders alone: account 222222222222 owns it",
        "left queue notifier-orders alone: let its owner subscribe it to "
        "arn:aws:sns:eu-west-1:123456789012:facts",
    ]
    assert sqs.urls("") == before
