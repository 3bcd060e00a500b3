import json
import uuid
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.processes

SHOP = "Shop <shop@example.com>"
HELLO = {"Subject": {"Data": "Hello"}, "Body": {"Html": {"Data": "<b>Héllo</b>"}}}


@pytest.fixture(scope="module")
def ses(local_aws):
    return local_aws.client("ses")


@pytest.fixture(scope="module")
def sesv2(local_aws):
    return local_aws.client("sesv2")


@pytest.fixture(scope="module")
def sns(local_aws):
    return local_aws.client("sns")


@pytest.fixture(scope="module")
def sqs(local_aws):
    return local_aws.client("sqs")


def send_raw(ses, *recipients, raw=b"Subject: Hello\r\n\r\nHi", source=SHOP):
    answer = ses.send_raw_email(
        Source=source, Destinations=list(recipients), RawMessage={"Data": raw}
    )
    return answer["MessageId"]


def refused(url):
    with pytest.raises(HTTPError) as refusal:
        urlopen(url)
    with refusal.value as answer:
        return answer.code, answer.read()


def new_address():
    return f"{uuid.uuid4().hex}@example.net"


@pytest.fixture
def events(ses, sns, sqs):
    """A configuration set whose events end in a queue: its name, and a function that reads them."""
    name = f"set-{uuid.uuid4().hex[:8]}"
    topic = sns.create_topic(Name=name)["TopicArn"]
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=attributes["QueueArn"])
    ses.create_configuration_set(ConfigurationSet={"Name": name})
    ses.create_configuration_set_event_destination(
        ConfigurationSetName=name,
        EventDestination={
            "Name": "sns",
            "Enabled": True,
            "MatchingEventTypes": ["send", "delivery", "bounce", "complaint"],
            "SNSDestination": {"TopicARN": topic},
        },
    )

    def read(count):
        messages: list[str] = []
        while len(messages) < count:
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)
            assert "Messages" in answer, f"{len(messages)} of {count} came"
            messages += [json.loads(each["Body"])["Message"] for each in answer["Messages"]]
        return messages

    return name, read


def test_raw_mail_in_any_bytes_is_in_the_mailbox(local_aws, ses):
    message_id = send_raw(
        ses, "ada@example.com", raw=b"Subject: =?utf-8?q?H=C3=A9?=\r\n\r\n\xff\xfe"
    )

    mail = local_aws.mail_detail(message_id)

    assert (mail["subject"], mail["from"], mail["to"]) == ("Hé", SHOP, ["ada@example.com"])
    assert mail["text"] == "\ufffd\ufffd"


def test_simple_mail_of_both_versions_is_in_the_mailbox(local_aws, ses, sesv2):
    to = {"ToAddresses": ["ada@example.com"]}
    ids = [
        ses.send_email(Source=SHOP, Destination=to, Message=HELLO)["MessageId"],
        sesv2.send_email(FromEmailAddress=SHOP, Destination=to, Content={"Simple": HELLO})[
            "MessageId"
        ],
    ]

    for message_id in ids:
        mail = local_aws.mail_detail(message_id)
        assert (mail["subject"], mail["html"].strip()) == ("Hello", "<b>Héllo</b>")


def test_raw_mail_of_version_2_is_in_the_mailbox(local_aws, sesv2):
    message_id = sesv2.send_email(
        FromEmailAddress=SHOP,
        Destination={"ToAddresses": ["ada@example.com"]},
        Content={"Raw": {"Data": b"Subject: Hello\r\n\r\n\xff"}},
    )["MessageId"]

    assert local_aws.mail_detail(message_id)["subject"] == "Hello"


def test_unverified_recipient_is_rejected_by_both_versions(ses, sesv2):
    address = new_address()
    sends = [
        lambda: send_raw(ses, address),
        lambda: sesv2.send_email(
            FromEmailAddress=SHOP,
            Destination={"ToAddresses": [address]},
            Content={"Simple": HELLO},
        ),
    ]

    for send in sends:
        with pytest.raises(ClientError) as refusal:
            send()
        assert refusal.value.response["Error"]["Code"] == "MessageRejected"
        assert refusal.value.response["Error"]["Message"] == (
            "Email address is not verified. The following identities failed the check in region "
            f"EU-WEST-1: {address}"
        )


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ada@bücher.example", "Domain contains illegal character"),
        ("müller@example.com", "Local address contains control or whitespace"),
    ],
)
def test_address_outside_ascii_is_refused_by_both_versions(ses, sesv2, address, words):
    destination = {"ToAddresses": [address]}
    mail = {"FromEmailAddress": SHOP, "Content": {"Raw": {"Data": b"Subject: Hello\r\n\r\nHi"}}}
    calls = {
        "InvalidParameterValue": [
            lambda: send_raw(ses, address),
            lambda: send_raw(ses, "ada@example.com", source=address),
            lambda: ses.send_email(Source=SHOP, Destination=destination, Message=HELLO),
            lambda: ses.verify_email_identity(EmailAddress=address),
        ],
        "BadRequestException": [
            lambda: sesv2.send_email(Destination=destination, **mail),
            lambda: sesv2.put_suppressed_destination(EmailAddress=address, Reason="BOUNCE"),
            lambda: sesv2.create_email_identity(EmailIdentity=address),
        ],
    }

    for code, refused_calls in calls.items():
        for call in refused_calls:
            with pytest.raises(ClientError, match=words) as refusal:
                call()
            assert refusal.value.response["Error"]["Code"] == code


def test_rule_can_be_switched_off_and_on(local_aws, ses):
    address = new_address()
    local_aws.set_sandbox_rules(False)
    try:
        send_raw(ses, address)
    finally:
        local_aws.set_sandbox_rules(True)

    with pytest.raises(ClientError):
        send_raw(ses, address)


def test_address_is_pending_until_its_link_is_opened(local_aws, ses, sesv2):
    address = new_address()
    ses.verify_email_identity(EmailAddress=address)
    (pending,) = [each for each in local_aws.pending() if each["identity"] == address]
    assert pending["link"] in local_aws.wait_for_mail(to=address)["text"]
    assert sesv2.get_email_identity(EmailIdentity=address)["VerificationStatus"] == "PENDING"

    with urlopen(pending["link"]) as page:
        assert address in page.read().decode()

    attributes = ses.get_identity_verification_attributes(Identities=[address])
    assert attributes["VerificationAttributes"][address]["VerificationStatus"] == "Success"
    assert sesv2.get_email_identity(EmailIdentity=address)["VerifiedForSendingStatus"] is True
    assert send_raw(ses, address.upper())


def test_wrong_link_verifies_nothing(local_aws):
    status, page = refused(f"{local_aws.endpoint}/_sandbox/verify?token=wrong")

    assert (status, b"not valid" in page) == (404, True)


def test_domain_is_pending_until_its_dns_records_are_found(local_aws, ses):
    domain = f"{uuid.uuid4().hex}.example"
    tokens = ses.verify_domain_dkim(Domain=domain)["DkimTokens"]
    before = ses.get_identity_dkim_attributes(Identities=[domain])["DkimAttributes"][domain]

    local_aws.verify(domain)

    after = ses.get_identity_dkim_attributes(Identities=[domain])["DkimAttributes"][domain]
    assert (before["DkimVerificationStatus"], after["DkimVerificationStatus"]) == (
        "Pending",
        "Success",
    )
    assert after["DkimTokens"] == tokens and len(tokens) == 3
    assert send_raw(ses, f"anybody@{domain}")


def test_both_versions_list_and_forget_the_same_identities(ses, sesv2):
    address = new_address()
    sesv2.create_email_identity(EmailIdentity=address)
    assert address in ses.list_identities(IdentityType="EmailAddress")["Identities"]
    assert address not in ses.list_identities(IdentityType="Domain")["Identities"]

    ses.delete_identity(Identity=address)

    listed = [each["IdentityName"] for each in sesv2.list_email_identities()["EmailIdentities"]]
    assert address not in listed
    with pytest.raises(sesv2.exceptions.NotFoundException):
        sesv2.get_email_identity(EmailIdentity=address)


def test_identities_are_listed_at_the_address_of_older_sdks_too(sesv2, request):
    def ask_as_older_sdks_do(params, **kwargs):
        url = params["url"].replace("list-identities", "identities?PageSize=1")
        params.update(method="GET", body=b"", url=url)

    event = "before-call.sesv2.ListEmailIdentities"
    sesv2.meta.events.register(event, ask_as_older_sdks_do)
    request.addfinalizer(lambda: sesv2.meta.events.unregister(event, ask_as_older_sdks_do))
    for _ in range(2):
        sesv2.create_email_identity(EmailIdentity=new_address())

    answer = sesv2.list_email_identities()

    assert [each["VerificationStatus"] for each in answer["EmailIdentities"]]
    assert len(answer["EmailIdentities"]) == 1
    assert answer["NextToken"]


def test_events_follow_a_mail_with_a_configuration_set(ses, events):
    name, read = events
    raw = f"X-SES-CONFIGURATION-SET: {name}\r\nX-SES-MESSAGE-TAGS: attempt=7\r\n\r\n".encode()

    message_id = send_raw(ses, "complaint@simulator.amazonses.com", raw=raw)

    validation, *records = read(4)
    records = [json.loads(record) for record in records]
    assert validation.startswith("Successfully validated SNS topic")
    assert [each["eventType"] for each in records] == ["Send", "Delivery", "Complaint"]
    assert {each["mail"]["messageId"] for each in records} == {message_id}
    assert records[0]["mail"]["tags"]["attempt"] == ["7"]


def test_destination_gets_only_the_events_it_asked_for(ses, events):
    name, read = events
    described = ses.describe_configuration_set(
        ConfigurationSetName=name, ConfigurationSetAttributeNames=["eventDestinations"]
    )
    (destination,) = described["EventDestinations"]
    ses.update_configuration_set_event_destination(
        ConfigurationSetName=name,
        EventDestination=destination | {"MatchingEventTypes": ["bounce"]},
    )

    ses.send_email(
        Source=SHOP,
        Destination={"ToAddresses": ["bounce@simulator.amazonses.com"]},
        Message=HELLO,
        ConfigurationSetName=name,
    )

    records = [json.loads(message) for message in read(3) if message.startswith("{")]
    assert [record["eventType"] for record in records] == ["Bounce"]


def test_version_2_knows_the_same_event_destinations(ses, sesv2, events):
    name, _ = events
    found = sesv2.get_configuration_set_event_destinations(ConfigurationSetName=name)
    (destination,) = found["EventDestinations"]
    assert destination["MatchingEventTypes"] == ["SEND", "DELIVERY", "BOUNCE", "COMPLAINT"]

    sesv2.delete_configuration_set_event_destination(
        ConfigurationSetName=name, EventDestinationName="sns"
    )

    described = ses.describe_configuration_set(
        ConfigurationSetName=name, ConfigurationSetAttributeNames=["eventDestinations"]
    )
    assert described.get("EventDestinations", []) == []


def test_unknown_configuration_set_is_refused_by_both_versions(ses, sesv2):
    with pytest.raises(ses.exceptions.ConfigurationSetDoesNotExistException):
        send_raw(ses, "ada@example.com", raw=b"X-SES-CONFIGURATION-SET: none\r\n\r\n")
    with pytest.raises(sesv2.exceptions.NotFoundException):
        sesv2.send_email(
            FromEmailAddress=SHOP,
            Destination={"ToAddresses": ["ada@example.com"]},
            Content={"Simple": HELLO},
            ConfigurationSetName="none",
        )


def test_event_destination_of_an_unknown_topic_is_refused(ses, events):
    name, _ = events
    destination = {
        "Name": "other",
        "MatchingEventTypes": ["send"],
        "SNSDestination": {"TopicARN": "arn:aws:sns:eu-west-1:123456789012:none"},
    }

    with pytest.raises(ses.exceptions.InvalidSNSDestinationException):
        ses.create_configuration_set_event_destination(
            ConfigurationSetName=name, EventDestination=destination
        )


def test_account_says_that_the_sandbox_rules_hold(sesv2):
    account = sesv2.get_account()

    assert account["ProductionAccessEnabled"] is False
    assert account["SendQuota"]["MaxSendRate"] == 14


def test_action_that_is_not_available_is_an_error_of_aws(ses):
    with pytest.raises(ClientError) as refusal:
        ses.put_configuration_set_delivery_options(ConfigurationSetName="none")

    assert refusal.value.response["Error"]["Code"] == "InvalidAction"


def test_control_api_answers_unknown_paths_with_json(local_aws):
    status, answer = refused(f"{local_aws.endpoint}/_sandbox/nothing")

    assert status == 404
    assert "error" in json.loads(answer)
