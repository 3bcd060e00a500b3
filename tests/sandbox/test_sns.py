"""The local SNS, as the API shows it."""

import boto3
import pytest
from moto import mock_aws
from moto.sns import models

from sandbox import sns as sandbox_sns

REGION = "eu-west-1"


@pytest.fixture
def clients(monkeypatch):
    monkeypatch.setattr(models, "Topic", sandbox_sns.SandboxTopic)
    monkeypatch.setattr(models, "Subscription", sandbox_sns.SandboxSubscription)
    with mock_aws():
        yield boto3.client("sns", region_name=REGION), boto3.client("sqs", region_name=REGION)


def subscribed(clients, topic, name):
    sns, sqs = clients
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn["QueueArn"],
        Attributes={"RawMessageDelivery": "true"},
    )
    return url


def bodies(clients, url):
    found = clients[1].receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [message["Body"] for message in found.get("Messages", [])]


def test_topic_delivers_to_the_queues_that_are_there(clients):
    sns, sqs = clients
    topic = sns.create_topic(Name="facts")["TopicArn"]
    gone, there = subscribed(clients, topic, "gone"), subscribed(clients, topic, "there")
    sqs.delete_queue(QueueUrl=gone)

    answer = sns.publish_batch(
        TopicArn=topic, PublishBatchRequestEntries=[{"Id": "1", "Message": "hello"}]
    )

    assert len(answer["Successful"]) == 1
    assert bodies(clients, there) == ["hello"]


def test_fifo_topic_drops_a_repeat_for_five_minutes_for_a_standard_queue_too(clients, monkeypatch):
    sns, _ = clients
    topic = sns.create_topic(Name="facts.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    queue = subscribed(clients, topic, "archive")

    def publish(body):
        return sns.publish(
            TopicArn=topic, Message=body, MessageGroupId="g", MessageDeduplicationId="d"
        )["MessageId"]

    first = publish("one")
    assert publish("two") == first
    monkeypatch.setattr(sandbox_sns, "DEDUPLICATION_SECONDS", -1)
    assert publish("three") != first

    assert bodies(clients, queue) == ["one", "three"]


def test_message_that_no_queue_could_be_given_is_refused(clients):
    sns, sqs = clients
    topic = sns.create_topic(Name="t")["TopicArn"]
    url = subscribed(clients, topic, "q")

    with pytest.raises(
        sns.exceptions.InvalidParameterException, match="was found in the message body"
    ):
        sns.publish(TopicArn=topic, Message="a\uffffb")
    answer = sns.publish_batch(
        TopicArn=topic,
        PublishBatchRequestEntries=[
            {"Id": "1", "Message": "fine"},
            {"Id": "2", "Message": "a\ufffe"},
        ],
    )

    assert [entry["Id"] for entry in answer["Successful"]] == ["1"]
    assert [(entry["Id"], entry["SenderFault"]) for entry in answer["Failed"]] == [("2", True)]
    assert bodies(clients, url) == ["fine"]
