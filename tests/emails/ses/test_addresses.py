"""What each transport is told.

SES API reference, Destination: ASCII, the domain in Punycode, the name in encoded words.
"""

import email
import email.policy
import json
from base64 import b64decode

import pytest
from django.utils import timezone

from emails.models import Notification, Suppression
from emails.reputation.suppressions import Source
from emails.sending import by_hand, direct_emails, notifying
from emails.ses import ses_api
from tests.emails.ses.test_smtp import server as smtp_server  # noqa: F401  # a fixture
from tests.emails.ses.test_smtp import tmp_trust  # noqa: F401  # a fixture
from tests.support.aws.scripted_server import ScriptedServer, said
from tests.support.owed import only, owed, place, placed

pytestmark = pytest.mark.django_db

State = Notification.State
SENDER = '"Café Ünï, Ltd." <shop@bücher.example>'
ASCII_SENDER = "=?utf-8?b?Q2Fmw6kgw5xuw68sIEx0ZC4=?= <shop@xn--bcher-kva.example>"


def seen_by_version_1(settings, request):
    """Keep the parameters of each call of version 1."""
    settings.USE_SES_V2 = False
    bodies = []
    events = ses_api.connection().connection.meta.events

    def keep(params, **kwargs):
        bodies.append(params["body"])

    events.register("before-call.ses.SendRawEmail", keep)
    request.addfinalizer(lambda: events.unregister("before-call.ses.SendRawEmail", keep))
    return bodies


def content_of(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("Ada@Mañana.example", "Ada@xn--maana-pta.example"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@example\u2060.com\u200b", "ada@example.com"),
        ("Ada@EXAMPLE.com", "Ada@example.com"),
    ],
)
def test_version_1_is_told_the_deliverable_address(aws, settings, consume, request, typed, sent):
    bodies = seen_by_version_1(settings, request)
    place(recipient=typed)

    consume()

    assert [body["Destinations.member.1"] for body in bodies] == [sent]
    assert b64decode(bodies[0]["RawMessage.Data"]).split(b"\r\n\r\n")[0].isascii()
    assert (only().state, only().recipient) == (State.SENT, typed)


def test_version_1_is_told_the_sender_in_ascii(aws, settings, consume, request):
    settings.SES_FROM_EMAIL = settings.DEFAULT_FROM_EMAIL = SENDER
    aws.verify("shop@xn--bcher-kva.example")
    bodies = seen_by_version_1(settings, request)
    place()

    consume()

    assert bodies[0]["Source"] == ASCII_SENDER
    [mail] = aws.accepted
    assert mail.source == ASCII_SENDER


@pytest.mark.parametrize("client", ["boto3", "lean"])
def test_version_2_is_told_ascii(aws, settings, consume, client):
    server = ScriptedServer()
    server.answer = said(200, {"MessageId": "ses-1"})
    settings.AWS_SES_REGION_ENDPOINT_URL = server.url
    settings.USE_SES_V2, settings.SES_CLIENT = True, client
    settings.SES_FROM_EMAIL = settings.DEFAULT_FROM_EMAIL = SENDER
    place(recipient="ada@straße.example")

    consume()
    server.stop()

    [asked] = server.requests
    told = json.loads(asked.partition(b"\r\n\r\n")[2])
    assert told["FromEmailAddress"] == ASCII_SENDER
    assert told["Destination"] == {"ToAddresses": ["ada@xn--strae-oqa.example"]}


def test_smtp_is_told_ascii_in_envelope_and_headers(smtp_server, aws, settings, consume):  # noqa: F811
    settings.SES_FROM_EMAIL = settings.DEFAULT_FROM_EMAIL = SENDER
    place(recipient="ada@straße.example")

    consume()

    [raw] = smtp_server.accepted
    assert smtp_server.recipients == ["ada@xn--strae-oqa.example"]
    assert smtp_server.senders == ["shop@xn--bcher-kva.example"]
    assert raw.split(b"\r\n\r\n")[0].isascii()
    assert str(content_of(raw)["From"]) == '"Café Ünï, Ltd." <shop@xn--bcher-kva.example>'


def test_direct_email_goes_to_the_deliverable_address(aws, settings, request):
    bodies = seen_by_version_1(settings, request)

    direct_emails.send_test("ada@bücher.example")

    assert bodies[0]["Destinations.member.1"] == "ada@xn--bcher-kva.example"


@pytest.mark.parametrize("recipient", ["müller@example.com", "ada@\u202eexample.com"])
def test_impossible_address_fails_and_ses_is_not_called(aws, settings, consume, request, recipient):
    bodies = seen_by_version_1(settings, request)
    notification = owed(placed(recipient=recipient))

    with pytest.raises(Exception, match="no email can be sent with the address in"):
        notifying.notify(
            placed(recipient=recipient), template="order_confirmation", recipient=recipient
        )

    assert bodies == []
    assert notification.state == State.PENDING
    assert Notification.objects.filter(state=State.FAILED).count() == 1


@pytest.mark.parametrize(
    ("listed", "ordered"),
    [
        ("ada@example.com", "ada@ｅxample.com"),
        ("ada@example.com", "ada@example.com\u200b"),
        ("ada@example.com", "ada@example\u2060.com"),
        ("ada@example.com", "ada@ｅｘａｍｐｌｅ.com"),
        ("ada@example.com", "ada@exam\u00adple.com"),
        ("ada@example.com", "\ufeffADA@example.com"),
        ("ada@xn--bcher-kva.example", "ada@bücher.example"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@bücher.example", "ada@BÜCHER.example"),
        ("ada@bu\u0308cher.example", "ada@bücher.example"),
        ("ada@straße.example", "ADA@straße.example"),
    ],
)
def test_suppressed_address_gets_no_email_however_it_is_spelled(aws, consume, listed, ordered):
    Suppression.objects.create(address=listed, source=Source.COMPLAINT, since=timezone.now())
    place(recipient=ordered)

    consume()

    assert aws.accepted == []
    assert only().state == State.SUPPRESSED


def test_suppressed_address_gets_no_second_try_however_it_is_spelled(aws, consume):
    notification = owed(placed(recipient="ada@bücher.example"))
    Suppression.objects.create(
        address="ada@xn--bcher-kva.example", source=Source.COMPLAINT, since=timezone.now()
    )
    Notification.objects.update(state=State.FAILED)

    by_hand.send_again(Notification.objects.all())
    consume()

    notification.refresh_from_db()
    assert (notification.state, aws.accepted) == (State.SUPPRESSED, [])


def test_domain_of_somebody_else_is_not_suppressed(aws, consume):
    Suppression.objects.create(
        address="ada@strasse.example", source=Source.COMPLAINT, since=timezone.now()
    )
    place(recipient="ada@straße.example")

    consume()

    assert only().state == State.SENT
