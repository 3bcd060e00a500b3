import json
import re

import boto3
import pytest
from moto import mock_aws

from emails.ses import provisioning as emails_provisioning
from emails.ses import ses_api
from notifier.alerts import sns
from queues.aws import provisioning, sqs
from tests.support.aws.stack import Stack, as_listed, statements

QUEUES = {
    "OrdersQueue": "notifier-orders",
    "OrdersDeadLetterQueue": "notifier-orders-dlq",
    "TransactionsQueue": "notifier-transactions.fifo",
    "TransactionsDeadLetterQueue": "notifier-transactions-dlq.fifo",
    "SesEventsQueue": "notifier-ses-events",
    "SesEventsDeadLetterQueue": "notifier-ses-events-dlq",
}
# Of its life, not of how it was made.
LIVE = ("Approximate", "CreatedTimestamp", "LastModifiedTimestamp", "Policy")
TOPIC = "arn:aws:sns:eu-west-1:123456789012:notifier-ses-events"


@pytest.fixture(scope="module")
def deployed():
    """The stack, and the attributes of its queues; its AWS is gone before another begins."""
    with mock_aws():
        made = Stack(PlatformMetrics="on", AlertsEmail="ops@example.com")
        return made, {name: _attributes(name) for name in QUEUES.values()}


@pytest.fixture
def stack(deployed):
    return deployed[0]


@pytest.fixture
def attributes(deployed):
    return deployed[1]


@pytest.fixture
def provisioned(settings):
    """Provision an empty account with `manage.py provision`."""
    settings.QUEUE_MAX_RECEIVE_COUNT = 5
    settings.ALERTS_TOPIC = "notifier-alerts"
    sns._client.cache_clear()
    with mock_aws():
        provisioning.provision(lambda line: None)
        yield {name: _attributes(name) for name in QUEUES.values()}


def _attributes(name):
    return sqs.Queue("any", name).attributes()


def _made(attributes):
    kept = {key: value for key, value in attributes.items() if not key.startswith(LIVE)}
    return {
        key: json.loads(value) if value.startswith("{") else value for key, value in kept.items()
    }


def test_stack_is_deployed_and_tells_the_settings_of_the_platform(stack):
    assert stack.status == "CREATE_COMPLETE"
    assert stack.settings["QUEUE_TRANSACTIONS"] == "notifier-transactions.fifo"
    assert stack.settings["ALERTS_TOPIC"].startswith("arn:aws:sns:")


@pytest.mark.parametrize("name", QUEUES.values())
def test_provision_makes_each_queue_as_the_template_does(attributes, provisioned, name):
    assert _made(provisioned[name]) == _made(attributes[name])
    assert _made(provisioned[name])["SqsManagedSseEnabled"] == "true"


@pytest.mark.parametrize("name", QUEUES)
def test_provision_gives_each_queue_the_policy_of_the_template(stack, provisioned, name):
    policy = stack.properties(f"{name}Policy")["PolicyDocument"]

    assert statements(provisioned[QUEUES[name]]["Policy"]) == statements(policy)
    assert statements(policy)[-1]["Sid"] == "TlsOnly"


def test_provision_makes_the_way_back_from_ses_as_the_template_does(stack, provisioned):
    client = boto3.client("sns", region_name="eu-west-1")
    (subscription,) = client.list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]
    raw = client.get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"])
    wanted = stack.properties("SesEventsSubscription")
    topic = client.get_topic_attributes(TopicArn=TOPIC)["Attributes"]

    assert subscription["Endpoint"] == wanted["Endpoint"]
    assert (raw["Attributes"]["RawMessageDelivery"], wanted["RawMessageDelivery"]) == ("true", True)
    assert statements(topic["Policy"]) == statements(
        stack.properties("SesEventsTopicPolicy")["PolicyDocument"]
    )


def test_provision_lets_ses_publish_what_the_template_does(stack, provisioned):
    wanted = stack.properties("EventDestination")["EventDestination"]

    # CloudFormation writes deliveryDelay where the API has DELIVERY_DELAY.
    kinds = [re.sub(r"([A-Z])", r"_\1", kind).upper() for kind in wanted["MatchingEventTypes"]]
    assert kinds == emails_provisioning.EVENT_TYPES
    assert wanted["Name"] == emails_provisioning.DESTINATION
    assert stack.properties("ConfigurationSet")["Name"] == "notifier"
    assert ses_api.api().describe_configuration_set(ConfigurationSetName="notifier")
    assert wanted["SnsDestination"] == {"TopicARN": TOPIC}


def test_dead_letter_queue_outlasts_its_queue_and_takes_from_it_alone(attributes):
    for queue in ("Orders", "Transactions", "SesEvents"):
        source = attributes[QUEUES[f"{queue}Queue"]]
        dead = attributes[QUEUES[f"{queue}DeadLetterQueue"]]
        allowed = json.loads(dead["RedriveAllowPolicy"])

        assert int(dead["MessageRetentionPeriod"]) > int(source["MessageRetentionPeriod"])
        assert allowed == {
            "redrivePermission": "byQueue",
            "sourceQueueArns": [source["QueueArn"]],
        }


def test_each_alarm_tells_the_topic_when_it_comes_and_when_it_goes(stack):
    alarms = [stack.properties(name) for name in stack.names("AWS::CloudWatch::Alarm")]

    assert len(alarms) == 13
    for alarm in alarms:
        assert alarm["AlarmActions"] == alarm["OKActions"] == [stack.settings["ALERTS_TOPIC"]]
        assert alarm["AlarmDescription"]


def test_alarms_look_at_own_figures_only_where_they_are_written():
    with mock_aws():
        stack = Stack()
        alarms = [stack.properties(name) for name in stack.names("AWS::CloudWatch::Alarm")]

    assert "Notifier" not in {alarm.get("Namespace") for alarm in alarms}
    assert len(alarms) == 10


def test_nothing_of_lambda_is_made_unless_asked_for(stack):
    assert stack.names("AWS::Lambda::Function") == []


def test_lambda_reads_all_queues_and_names_what_failed():
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="code")
        stack = Stack(LambdaBucket="code", LambdaSecret="arn:aws:secretsmanager:eu:1:secret:n")
        mappings = [
            stack.properties(name) for name in stack.names("AWS::Lambda::EventSourceMapping")
        ]
        timeouts = [
            stack.properties(name)["Timeout"] for name in stack.names("AWS::Lambda::Function")
        ]

    assert len(mappings) == 3
    for mapping in mappings:
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert int(mapping["ScalingConfig"]["MaximumConcurrency"]) == 5
    assert min(timeouts) == 60


def test_web_role_has_no_rights_where_it_does_not_publish():
    with mock_aws():
        stack = Stack(PublishOnCommit="off")

        assert "WebPolicy" not in stack.names("AWS::IAM::ManagedPolicy")


def test_recipient_of_the_ses_sandbox_may_be_sent_to():
    with mock_aws():
        stack = Stack(SandboxRecipient="ada@example.org")
        send = next(one for one in stack.policy("consumer") if one["Sid"] == "Send")

    assert as_listed(send["Resource"])[-1].endswith(":identity/ada@example.org")
