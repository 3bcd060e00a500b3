"""The stub is called with boto3, as Notifier calls it."""

import json
import re
import ssl
import subprocess
import sys
import urllib.request
from contextlib import nullcontext
from typing import Any, Literal

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError

from benchmarks.crash.judge import read_acceptances
from tests.support.aws.local_aws import REGION, ROOT

MAIL = b"""To: ada@example.com\r\nSubject: Your order ORD-000017 is confirmed\r
X-SES-MESSAGE-TAGS: nid=11111111-1111-1111-1111-111111111111, att=1\r\n\r\nthanks"""


def client(service: Literal["sqs", "ses", "sesv2"], endpoint: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=5),
    )


class Stub:
    """The process, its clients and its files."""

    def __init__(self, folder, *options):
        self.accepted = folder / "accepted"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.aws_stub", f"--acceptances={self.accepted}"]
            + list(options),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.endpoint, *self.trusted = self.process.stdout.readline().split()
        self.sqs = client("sqs", self.endpoint)
        self.ses = client("ses", self.endpoint)

    def send_by_v2(self):
        answer = client("sesv2", self.endpoint).send_email(Content={"Raw": {"Data": MAIL}})
        return answer["MessageId"]

    def rates(self, **rates):
        body = json.dumps(rates).encode()
        with urllib.request.urlopen(f"{self.endpoint}/control", body):
            pass

    def queue(self, name, **attributes):
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def put(self, url, *bodies, **fields):
        entries = [
            {"Id": str(number), "MessageBody": body}
            | {name: value.format(body) for name, value in fields.items()}
            for number, body in enumerate(bodies)
        ]
        return self.sqs.send_message_batch(QueueUrl=url, Entries=entries)

    def take(self, url, *, limit=10, visibility=30):
        found = self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=limit, VisibilityTimeout=visibility
        )
        return found.get("Messages", [])

    def empty(self, url):
        """Hide for good what others have left there."""
        while self.take(url, visibility=40_000):
            pass

    def send(self, raw=MAIL):
        return self.ses.send_raw_email(RawMessage={"Data": raw})["MessageId"]


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    stub = Stub(tmp_path_factory.mktemp("stub"))
    yield stub
    stub.process.terminate()
    stub.process.communicate()


@pytest.fixture
def stub(process):
    yield process
    with urllib.request.urlopen(f"{process.endpoint}/control") as answer:
        process.rates(**dict.fromkeys(json.load(answer)["rates"], 0))


def bodies(messages):
    return [message["Body"] for message in messages]


def test_received_message_is_hidden_until_it_is_shown_or_deleted(stub):
    url = stub.queue("standard")
    stub.put(url, "a")

    [message] = stub.take(url)
    assert stub.take(url) == []
    stub.sqs.change_message_visibility(
        QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
    )
    [again] = stub.take(url)
    stub.sqs.delete_message_batch(
        QueueUrl=url, Entries=[{"Id": "0", "ReceiptHandle": again["ReceiptHandle"]}]
    )

    attributes = stub.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessages"] == "0"
    assert attributes["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_long_poll_ends_when_a_message_comes(stub):
    url = stub.queue("poll")
    stub.put(url, "a")
    stub.take(url, visibility=1)

    found = stub.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=4)

    assert bodies(found["Messages"]) == ["a"]


def test_fifo_group_waits_for_its_message_in_flight_and_others_go_on(stub):
    url = stub.queue("groups.fifo")
    stub.put(url, "a1", "a2", MessageGroupId="a", MessageDeduplicationId="{}")
    stub.put(url, "b1", MessageGroupId="b", MessageDeduplicationId="{}")

    first = stub.take(url, limit=1)

    assert bodies(first) == ["a1"]
    assert bodies(stub.take(url)) == ["b1"]


def test_fifo_group_keeps_its_order_when_a_message_comes_back(stub):
    url = stub.queue("order.fifo")
    stub.put(url, "a1", "a2", MessageGroupId="a", MessageDeduplicationId="{}")
    for message in reversed(stub.take(url)):
        stub.sqs.change_message_visibility(
            QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
        )

    assert bodies(stub.take(url)) == ["a1", "a2"]


def test_entry_with_a_character_outside_xml_fails_alone(stub):
    url = stub.queue("xml")

    answer = stub.put(url, "fine", "odd\uffff")

    assert [entry["Id"] for entry in answer["Successful"]] == ["0"]
    assert [entry["Code"] for entry in answer["Failed"]] == ["InvalidMessageContents"]


def test_deduplication_id_is_taken_once(stub):
    url = stub.queue("once.fifo")
    for _ in range(2):
        stub.put(url, "a", MessageGroupId="a", MessageDeduplicationId="same")

    assert bodies(stub.take(url)) == ["a"]


def test_message_that_used_up_its_receives_goes_to_the_dead_letter_queue(stub):
    dead = stub.queue("jobs-dlq")
    policy = {"deadLetterTargetArn": "arn:aws:sqs:x:0:jobs-dlq", "maxReceiveCount": 2}
    url = stub.queue("jobs", RedrivePolicy=json.dumps(policy))
    stub.put(url, "a")

    received = [bodies(stub.take(url, visibility=0)) for _ in range(3)]

    assert received == [["a"], ["a"], []]
    assert bodies(stub.take(dead)) == ["a"]


@pytest.mark.parametrize(
    ("fault", "found"),
    [("message_lost", []), ("entry_failed", []), ("message_doubled", ["a", "a"])],
)
def test_faults_of_a_standard_queue(stub, fault, found):
    url = stub.queue(fault)
    stub.rates(**{fault: 1})
    stub.put(url, "a")

    first = stub.take(url)
    stub.rates(**{fault: 0})
    second = stub.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=3 if first else 0)

    assert bodies([*first, *second.get("Messages", [])]) == found


def test_message_that_comes_three_times_has_three_ids(stub):
    url = stub.queue("tripled")
    stub.rates(message_tripled=1)
    stub.put(url, "a")

    messages = stub.take(url)

    assert bodies(messages) == ["a", "a", "a"]
    assert len({message["MessageId"] for message in messages}) == 3


def test_lost_delete_says_that_it_deleted_and_the_message_comes_again(stub):
    url = stub.queue("undeleted")
    stub.put(url, "a")
    stub.rates(delete_lost=1)
    [message] = stub.take(url, visibility=0)

    entry = {"Id": "0", "ReceiptHandle": message["ReceiptHandle"]}
    answer = stub.sqs.delete_message_batch(QueueUrl=url, Entries=[entry])

    assert [done["Id"] for done in answer["Successful"]] == ["0"]
    assert bodies(stub.take(url)) == ["a"]


def test_lost_answer_of_a_batch_has_sent_the_messages(stub):
    url = stub.queue("cut")
    stub.rates(send_cut=1)

    with pytest.raises(HTTPClientError):
        stub.put(url, "a")

    assert bodies(stub.take(url)) == ["a"]


def test_accepted_email_is_written_down_and_told_of(stub):
    url = stub.queue("notifier-ses-events")
    stub.empty(url)

    message_id = stub.send()

    written = read_acceptances(stub.accepted)[-1]
    assert (written.number, written.recipient) == ("ORD-000017", "ada@example.com")
    events = [json.loads(body) for body in bodies(stub.take(url))]
    assert [event["eventType"] for event in events] == ["Send", "Delivery"]
    assert {event["mail"]["messageId"] for event in events} == {message_id}
    assert events[0]["mail"]["tags"]["nid"] == [written.nid]


@pytest.mark.parametrize(
    ("fault", "error", "accepted"),
    [
        ("ses_cut_before", HTTPClientError, 0),
        ("ses_cut_after", HTTPClientError, 1),
        ("ses_503_before", ClientError, 0),
        ("ses_503_after", ClientError, 1),
        ("ses_throttled", ClientError, 0),
    ],
)
def test_faults_of_ses_accept_or_not(stub, fault, error, accepted):
    stub.send()
    before = len(read_acceptances(stub.accepted))
    stub.rates(**{fault: 1})

    with pytest.raises(error):
        stub.send()

    assert len(read_acceptances(stub.accepted)) - before == accepted


@pytest.mark.parametrize(
    ("fault", "error", "accepted"),
    [("", None, 1), ("ses_503_before", ClientError, 0), ("ses_cut_after", HTTPClientError, 1)],
)
def test_second_version_of_ses_has_the_same_faults(stub, fault, error, accepted):
    before = len(read_acceptances(stub.accepted))
    stub.rates(**({fault: 1} if fault else {}))

    with pytest.raises(error) if error else nullcontext():
        assert stub.send_by_v2()

    assert len(read_acceptances(stub.accepted)) - before == accepted


def test_recipient_who_is_never_verified_is_refused_as_ses_does(stub):
    with pytest.raises(ClientError, match=re.escape("failed the check")) as caught:
        stub.send(MAIL.replace(b"example.com", b"refused.example"))

    assert caught.value.response["Error"]["Code"] == "MessageRejected"


def test_acceptance_has_the_number_of_a_transaction_from_its_text(stub):
    stub.send(b"To: a@example.com\r\nSubject: Transaction Alert\r\n\r\nReference: TXN-000004")

    assert read_acceptances(stub.accepted)[-1].number == "TXN-000004"


def test_sqs_that_is_down_answers_nothing_until_it_is_back(stub):
    url = stub.queue("down")
    stub.put(url, "a")
    stub.rates(sqs_down=1)

    with pytest.raises(HTTPClientError):
        stub.take(url)
    stub.rates(sqs_down=0)

    assert bodies(stub.take(url)) == ["a"]


def test_paused_account_says_so_when_it_is_asked_and_when_it_is_used(stub):
    before = len(read_acceptances(stub.accepted)) if stub.accepted.exists() else 0
    stub.rates(ses_paused=1)

    with pytest.raises(ClientError, match="AccountSendingPausedException"):
        stub.send()

    assert stub.ses.get_account_sending_enabled()["Enabled"] is False
    stub.rates(ses_paused=0)
    assert stub.ses.get_account_sending_enabled()["Enabled"] is True
    assert len(read_acceptances(stub.accepted)) == before


def test_events_that_are_held_come_when_they_are_let_go(stub):
    url = stub.queue("notifier-ses-events")
    stub.empty(url)
    stub.rates(events_held=1)
    message_id = stub.send()

    held = stub.take(url)
    stub.rates(events_held=0)

    events = [json.loads(body) for body in bodies(stub.take(url))]
    assert held == []
    assert [event["mail"]["messageId"] for event in events] == [message_id] * 2


def test_limit_is_enforced_after_a_burst_and_told_to_who_asks(tmp_path):
    stub = Stub(tmp_path, "--max-send-rate=0.5", "--burst=3")
    try:
        for _ in range(3):
            stub.send()
        with pytest.raises(ClientError, match="Maximum sending rate exceeded"):
            stub.send()

        assert stub.ses.get_send_quota()["MaxSendRate"] == 0.5
        assert len(read_acceptances(stub.accepted)) == 3
    finally:
        stub.process.terminate()
        stub.process.communicate()


def test_stub_with_a_certificate_speaks_https(tmp_path):
    stub = Stub(tmp_path, f"--tls={tmp_path}")
    context = ssl.create_default_context(cafile=stub.trusted[0])

    try:
        with urllib.request.urlopen(f"{stub.endpoint}/control", context=context) as answer:
            standing = json.load(answer)
    finally:
        stub.process.terminate()
        stub.process.communicate()

    assert stub.endpoint.startswith("https://")
    assert standing["accepted"] == 0
