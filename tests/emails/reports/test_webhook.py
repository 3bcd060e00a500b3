"""The webhook of SNS, against a key pair of our own: what is refused makes no request to anybody."""

import io
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.db import OperationalError
from django.test import Client

from emails import checks
from emails.models import DeliveryEvent, Notification
from emails.reports import feedback, sns_signature
from emails.ses import provisioning
from queues.errors import QueueUnavailable
from tests.emails.reports.test_feedback import bounce, ses_event
from tests.support.owed import only, place
from tests.support.rows import make_notification
from tests.support.ses_told import bounced, of_identity

TOPIC = "arn:aws:sns:eu-west-1:123456789012:notifier-ses-events"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b2c.pem"
SIGNED = (
    "Message",
    "MessageId",
    "SubscribeURL",
    "Subject",
    "Timestamp",
    "Token",
    "TopicArn",
    "Type",
)

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Certificates:
    """A server of certificates: what it serves at any address, and the addresses that were asked for."""

    def __init__(self, body):
        self.body, self.status = body, 200
        self.asked = []

    def request(self, method, url, *, redirect, **options):
        assert redirect is False
        self.asked.append(url)
        return urllib3.HTTPResponse(
            body=io.BytesIO(self.body), status=self.status, preload_content=False
        )


@pytest.fixture
def fetched(monkeypatch, key):
    """Serves ours; nothing else can be asked for."""
    sns_signature.forget_keys()
    served = Certificates(certificate(key))
    monkeypatch.setattr("emails.reports.sns_signature.urllib3.request", served.request)
    monkeypatch.setattr("socket.socket.connect", refuse_to_connect)
    return served


@pytest.fixture(autouse=True)
def allowed(settings):
    settings.SES_WEBHOOK_TOPICS = [TOPIC]


def refuse_to_connect(*args):
    raise AssertionError("a connection to somebody")


def certificate(key, *, name="sns.amazonaws.com", days=1):
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def posted(key, event=None, *, algorithm=None, **changes):
    """A message as SNS signs it."""
    message = {
        "Type": "Notification",
        "MessageId": "0a1b",
        "TopicArn": TOPIC,
        "Message": json.dumps(event or ses_event("Delivery")),
        "Timestamp": at(datetime.now(UTC)),
        "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE,
    } | changes
    lines = [f"{name}\n{message[name]}\n" for name in SIGNED if message.get(name) is not None]
    signature = key.sign("".join(lines).encode(), padding.PKCS1v15(), algorithm or hashes.SHA256())
    return message | {"Signature": b64encode(signature).decode()}


def at(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def post(client, message):
    body = message if isinstance(message, bytes | str) else json.dumps(message)
    return client.post("/ses/events/", body, content_type="text/plain")


def test_signed_notification_of_an_identity_moves_its_email_on(client, key, fetched):
    make_notification(state="sent", provider_message_id="ses-1")

    response = post(client, posted(key, of_identity("Bounce", "ses-1", **bounced())))

    assert response.status_code == 200
    assert only().delivery_status == Notification.Delivery.BOUNCED_HARD


def test_signed_event_moves_its_notification_on(client, aws, consume, key, fetched):
    place()
    consume()
    sent = only()
    event = bounce(notification=sent, message_id=sent.provider_message_id)

    response = post(client, posted(key, event))

    assert response.status_code == 200
    assert only().delivery_status == Notification.Delivery.BOUNCED_HARD


def test_replayed_event_is_recorded_once_and_its_certificate_fetched_once(client, key, fetched):
    message = posted(key)

    answers = [post(client, message).status_code for _ in range(3)]

    assert answers == [200, 200, 200]
    assert DeliveryEvent.objects.count() == 1
    assert fetched.asked == [CERTIFICATE]


def test_message_with_a_subject_is_signed_with_it(client, key, fetched):
    assert post(client, posted(key, Subject="Amazon SES Email Event")).status_code == 200
    assert post(client, posted(key) | {"Subject": "added"}).status_code == 403


FORGED = {
    "message": {"Message": json.dumps(ses_event("Complaint"))},
    "id": {"MessageId": "another"},
    "time": {"Timestamp": at(datetime.now(UTC) - timedelta(minutes=5))},
    "kind": {"Type": "UnsubscribeConfirmation", "Token": "t", "SubscribeURL": "https://x"},
    "signature": {"Signature": b64encode(b"x" * 256).decode()},
    "no base64": {"Signature": "not base64!"},
}


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED)
def test_changed_message_is_refused(client, key, fetched, change):
    assert post(client, posted(key) | change).status_code == 403
    assert not DeliveryEvent.objects.exists()


REFUSED = {
    "another topic": {"TopicArn": TOPIC.replace("notifier", "other")},
    "another account": {"TopicArn": TOPIC.replace("123456789012", "210987654321")},
    "no topic": {"TopicArn": ""},
    "version 1": {"SignatureVersion": "1"},
    "an old message": {"Timestamp": at(datetime.now(UTC) - timedelta(hours=2))},
    "a message of tomorrow": {"Timestamp": at(datetime.now(UTC) + timedelta(days=1))},
    "no time": {"Timestamp": "yesterday"},
    "an unknown type": {"Type": "Greeting"},
    "a number": {"MessageId": 7},
    "half a character": {"Message": "\ud800"},
    **{
        url: {"SigningCertURL": url}
        for url in (
            CERTIFICATE.replace("https", "http"),
            CERTIFICATE.replace("amazonaws.com", "amazonaws.com.evil.com"),
            CERTIFICATE.replace("sns.eu-west-1", "sns.us-east-1"),
            CERTIFICATE.replace("sns.eu-west-1", "evil.s3"),
            CERTIFICATE.replace("sns.", "user@sns."),
            CERTIFICATE.replace("amazonaws.com/", "amazonaws.com:8443/"),
            CERTIFICATE.replace("amazonaws.com/", "amazonaws.com:443/"),
            CERTIFICATE.replace("/Simple", "/../Simple"),
            CERTIFICATE.replace("/Simple", "//Simple"),
            CERTIFICATE.replace(".pem", ".pem?x=1"),
            CERTIFICATE.replace(".pem", ".pem#x"),
            CERTIFICATE.replace(".pem", ".pem\n"),
            CERTIFICATE.replace("https", "HTTPS"),
            "https://169.254.169.254/SimpleNotificationService-0a.pem",
            "https://[::1/SimpleNotificationService-0a.pem",
            "file:///etc/passwd",
            "",
        )
    },
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_what_is_not_for_us_is_refused_and_nobody_is_asked(client, key, fetched, change):
    body = json.dumps(posted(key) | change)

    assert post(client, body).status_code == 403
    assert not fetched.asked
    assert not DeliveryEvent.objects.exists()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"Type": "Notification"}']
)
def test_rubbish_is_refused_and_nobody_is_asked(client, fetched, body):
    assert post(client, body).status_code == 403
    assert not fetched.asked


def test_body_beyond_what_sns_carries_is_not_read(client, key, fetched):
    assert post(client, posted(key, Message="x" * 300_000)).status_code == 413
    assert not fetched.asked


def test_signature_by_sha_1_is_refused(client, key, fetched):
    assert post(client, posted(key, algorithm=hashes.SHA1())).status_code == 403  # noqa: S303


@pytest.mark.parametrize(
    "wrong", [{"name": "sns.example.com"}, {"name": "SNS.amazonaws.com"}, {"days": -1}]
)
def test_certificate_of_somebody_else_or_of_another_time_is_refused(client, key, fetched, wrong):
    fetched.body = certificate(key, **wrong)

    assert post(client, posted(key)).status_code == 403


@pytest.mark.parametrize(
    ("status", "body"), [(302, b""), (404, b"gone"), (200, b"no certificate"), (200, b"x" * 20_000)]
)
def test_certificate_that_is_not_to_be_had_lets_sns_try_again(client, key, fetched, status, body):
    good = fetched.body
    fetched.status, fetched.body = status, body
    assert post(client, posted(key)).status_code == 503

    fetched.status, fetched.body = 200, good
    assert post(client, posted(key)).status_code == 200


def test_database_that_is_away_lets_sns_try_again_and_the_queue_tells_meanwhile(
    client, aws, consume, key, fetched, monkeypatch
):
    place()
    consume()
    event = bounce(notification=only(), message_id=only().provider_message_id)

    def fail(told):
        raise OperationalError("the database is away")

    with monkeypatch.context() as away:
        away.setattr(feedback, "record", fail)
        refused = post(client, posted(key, event))
    feedback.take(json.dumps(event))
    late = post(client, posted(key, event))

    assert (refused.status_code, late.status_code) == (503, 200)
    assert only().delivery_status == Notification.Delivery.BOUNCED_HARD
    assert DeliveryEvent.objects.filter(type="Bounce").count() == 1


def test_signed_message_that_is_no_event_is_not_tried_again(client, key, fetched):
    assert post(client, posted(key, Message="hello")).status_code == 400


def test_subscription_is_confirmed_by_the_api_and_its_link_never_opened(
    client, key, fetched, monkeypatch
):
    confirmed = []
    monkeypatch.setattr(
        provisioning, "confirm_subscription", lambda topic, token: confirmed.append((topic, token))
    )
    message = posted(
        key,
        Type="SubscriptionConfirmation",
        Token="t0ken",
        SubscribeURL="https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
        Message="You have chosen to subscribe to the topic …",
    )

    assert post(client, message).status_code == 200
    assert confirmed == [(TOPIC, "t0ken")]


def test_without_topics_there_is_no_webhook(client, key, fetched, settings):
    settings.SES_WEBHOOK_TOPICS = []

    assert post(client, posted(key)).status_code == 404


def test_webhook_is_posted_to_and_asks_for_no_token(key, fetched):
    strict = Client(enforce_csrf_checks=True)

    assert strict.get("/ses/events/").status_code == 405
    assert post(strict, posted(key)).status_code == 200


@pytest.mark.parametrize(
    "topic", ["notifier-ses-events", TOPIC + "/x", TOPIC.replace("sns", "sqs")]
)
def test_topic_that_is_no_arn_is_found_before_anything_starts(settings, topic):
    settings.SES_WEBHOOK_TOPICS = [TOPIC, topic]

    [error] = checks.webhook_topics_are_arns(None)

    assert topic in error.msg


def test_subscription_is_confirmed_in_the_region_of_its_topic(aws):
    provisioning.confirm_subscription(TOPIC, "t0ken")


def test_confirmation_that_aws_refuses_lets_sns_try_again(client, key, fetched, monkeypatch):
    def refuse(topic, token):
        raise QueueUnavailable("ConfirmSubscription: InvalidParameter: Invalid token")

    monkeypatch.setattr(provisioning, "confirm_subscription", refuse)
    changes = {"Type": "SubscriptionConfirmation", "Token": "t", "SubscribeURL": "https://x"}

    assert post(client, posted(key, **changes)).status_code == 503
