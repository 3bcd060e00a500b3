"""Names, URLs and ARNs of queues and topics, in every form that AWS gives them."""

import botocore.session
import pytest

from queues.aws import names, sqs
from queues.aws.names import AwsName
from queues.consumer import lambda_batch

ACCOUNT = "123456789012"
LOADER = botocore.session.get_session().get_component("data_loader")
PARTITIONS = LOADER.load_data("endpoints")["partitions"]


def hosts():
    """The hosts of SQS that botocore knows, with their regions: legacy, FIPS and dual-stack ones too."""
    for partition in PARTITIONS:
        suffix = partition["dnsSuffix"]
        both = {"amazonaws.com": "api.aws", "amazonaws.com.cn": "api.amazonwebservices.com.cn"}
        for region in partition["regions"]:
            yield f"sqs.{region}.{suffix}", region
            yield f"sqs-fips.{region}.{suffix}", region
            yield f"{region}.queue.{suffix}", region
            yield f"vpce-0a1b2c3d4e5f60718-abcdefgh.sqs.{region}.vpce.{suffix}", region
            yield f"vpce-0a1b-abc-{region}a.sqs.{region}.vpce.{suffix}", region
            yield f"sqs.{region}.{both.get(suffix, suffix)}", region
            yield f"sqs-fips.{region}.{both.get(suffix, suffix)}", region
        for endpoint in partition["services"].get("sqs", {}).get("endpoints", {}).values():
            for variant in (endpoint, *endpoint.get("variants", ())):
                region = endpoint.get("credentialScope", {}).get("region", "")
                if "hostname" in variant and region:
                    yield variant["hostname"], region
    yield "queue.amazonaws.com", "us-east-1"


def test_region_is_read_from_every_host_that_aws_has():
    wrong = {
        host: found.region
        for host, region in hosts()
        if (found := names.read(f"https://{host}/{ACCOUNT}/q")) != AwsName("q", region, ACCOUNT)
    }

    assert len(list(hosts())) > 200
    assert wrong == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("notifier-orders", AwsName("notifier-orders")),
        (f"http://127.0.0.1:4566/{ACCOUNT}/q.fifo", AwsName("q.fifo", "", ACCOUNT)),
        (f"http://localhost:4566/queue/eu-west-1/{ACCOUNT}/q", AwsName("q", "", ACCOUNT)),
        (
            f"http://sqs.eu-west-1.localhost.localstack.cloud:4566/{ACCOUNT}/q",
            AwsName("q", "eu-west-1", ACCOUNT),
        ),
        (f"arn:aws:sns:eu-west-1:{ACCOUNT}:facts", AwsName("facts", "eu-west-1", ACCOUNT)),
        (f"arn:aws-cn:sqs:cn-north-1:{ACCOUNT}:q", AwsName("q", "cn-north-1", ACCOUNT)),
        ("arn:short", AwsName("arn:short")),
    ],
)
def test_name_url_or_arn_is_taken_apart(text, expected):
    assert names.read(text) == expected


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("notifier-orders", True),
        ("a" * 80, True),
        ("a" * 81, False),
        # SQS API reference, CreateQueue: the suffix counts towards the 80 characters.
        ("a" * 75 + ".fifo", True),
        ("a" * 76 + ".fifo", False),
        ("", False),
        (".fifo", False),
        ("notifier.orders", False),
        ("notifier orders", False),
        ("notifier-orders ", False),
        ("notifier-orders/", False),
        (f"arn:aws:sqs:eu-west-1:{ACCOUNT}:notifier-orders", False),
        (f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/q.fifo", True),
        (f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/q.fifo/", False),
        (f"https://sqs.eu-west-1.amazonaws.com/{ACCOUNT}/q?x=1", False),
        ("https://sqs.eu-west-1.amazonaws.com", False),
        ("https:///q", False),
        ("http://:4566/q", False),
        ("http://host:port/q", False),
        ("http://[::1/q", False),
        (f"sqs://host/{ACCOUNT}/q", False),
        (f"sqs.eu-west-1.amazonaws.com/{ACCOUNT}/q", False),
    ],
)
def test_queue_is_a_name_or_a_url(text, is_one):
    assert names.is_queue(text) is is_one


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("facts", True),
        ("a" * 256, True),
        ("a" * 257, False),
        ("facts.fifo", True),
        ("facts.orders", False),
        (f"arn:aws:sns:eu-west-1:{ACCOUNT}:facts", True),
        (f"arn:aws-us-gov:sns:us-gov-west-1:{ACCOUNT}:facts.fifo", True),
        (f"arn:aws:sqs:eu-west-1:{ACCOUNT}:facts", False),
        ("arn:aws:sns:eu-west-1:1234:facts", False),
        (f"arn:aws:sns:eu-west-1:{ACCOUNT}:facts:0b1c2d3e", False),
        ("https://sns.eu-west-1.amazonaws.com/facts", False),
    ],
)
def test_topic_is_a_name_or_an_arn(text, is_one):
    assert names.is_topic(text) is is_one


@pytest.mark.parametrize(
    ("named", "dead"),
    [
        ("notifier-orders", "notifier-orders-dlq"),
        ("notifier-transactions.fifo", "notifier-transactions-dlq.fifo"),
        (
            "https://sqs.eu-west-1.amazonaws.com/222222222222/notifier-orders",
            "https://sqs.eu-west-1.amazonaws.com/222222222222/notifier-orders-dlq",
        ),
        (
            "https://eu-west-1.queue.amazonaws.com/222222222222/q.fifo",
            "https://eu-west-1.queue.amazonaws.com/222222222222/q-dlq.fifo",
        ),
    ],
)
def test_dead_letters_are_in_the_account_of_their_queue(settings, named, dead):
    settings.QUEUES = settings.QUEUES | {"orders": named}

    assert sqs.dead_letter_queue("orders").named == dead


@pytest.mark.parametrize(
    ("arn", "alias"),
    [
        ("arn:aws:sqs:eu-west-1:222222222222:notifier-orders", "orders"),
        ("arn:aws:sqs:eu-west-1:111111111111:notifier-orders", None),
        ("arn:aws:sqs:us-east-1:222222222222:notifier-orders", None),
        ("arn:aws:sqs:eu-west-1:111111111111:notifier-transactions.fifo", "transactions"),
        ("arn:aws:sqs:us-east-1:111111111111:notifier-transactions.fifo", None),
    ],
)
def test_lambda_takes_no_queue_of_another_account_or_region_for_ours(settings, arn, alias):
    url = "https://sqs.eu-west-1.amazonaws.com/222222222222/notifier-orders"
    settings.QUEUES = settings.QUEUES | {"orders": url}

    if alias is None:
        with pytest.raises(ValueError, match="no QUEUE_<ALIAS> setting names the queue"):
            lambda_batch._alias(arn)
    else:
        assert lambda_batch._alias(arn) == alias
