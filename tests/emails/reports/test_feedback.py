import itertools
import json

import pytest

from emails.errors import InDoubt
from emails.models import DeliveryEvent, Notification
from emails.reports import feedback
from emails.reports.ses_events import parsed
from emails.sending import states
from queues.aws import sqs
from queues.errors import BadData, BadEnvelope
from tests.support.owed import claimed, only, owed, place

Delivery = Notification.Delivery


def ses_event(
    kind, *, message_id="ses-1", notification=None, moment="2026-11-22T10:00:05.000Z", **detail
):
    tags = {"ses:configuration-set": ["notifier"]}
    if notification:
        tags |= {"nid": [str(notification.pk)], "att": ["1"]}
    mail = {
        "timestamp": "2026-11-22T10:00:00.000Z",
        "messageId": message_id,
        "source": "shop@example.com",
        "destination": ["ada@example.com"],
        "tags": tags,
    }
    return {"eventType": kind, "mail": mail, kind.lower(): {"timestamp": moment} | detail}


def bounce(kind="Permanent", **options):
    return ses_event(
        "Bounce",
        bounceType=kind,
        bouncedRecipients=[{"emailAddress": "ada@example.com"}],
        **options,
    )


@pytest.fixture
def sent(aws, consume):
    place()
    consume()
    return only()


def told(*events):
    for event in events:
        feedback.take(json.dumps(event))
    return only()


@pytest.mark.django_db
def test_delivery_moves_a_sent_notification_to_delivered(sent):
    after = told(ses_event("Delivery", notification=sent, message_id=sent.provider_message_id))

    assert after.delivery_status == Delivery.DELIVERED
    assert after.delivered_at.isoformat() == "2026-11-22T10:00:05+00:00"


@pytest.mark.django_db
def test_wrapper_of_sns_is_read_as_well(sent, consume):
    event = ses_event("Delivery", notification=sent)
    wrapper = {"Type": "Notification", "TopicArn": "t", "Message": json.dumps(event)}
    sqs.queue("ses-events").send_batch([sqs.Outgoing(key="1", body=json.dumps(wrapper))])

    consume("ses-events")

    assert only().delivery_status == Delivery.DELIVERED


@pytest.mark.django_db
def test_event_told_twice_is_recorded_once(sent):
    told(*[ses_event("Delivery", notification=sent)] * 2)

    assert DeliveryEvent.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_order_of_events_ends_at_the_highest(sent, order):
    complaint = ses_event(
        "Complaint", notification=sent, complainedRecipients=[{"emailAddress": "ada@example.com"}]
    )
    events = [
        ses_event("Send", notification=sent),
        ses_event("Delivery", notification=sent),
        complaint,
    ]

    after = told(*(events[index] for index in order))

    assert after.delivery_status == Delivery.COMPLAINED


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "status"), [("Permanent", Delivery.BOUNCED_HARD), ("Transient", Delivery.BOUNCED_SOFT)]
)
def test_bounce_is_hard_or_soft(sent, kind, status):
    assert told(bounce(kind, notification=sent)).delivery_status == status


@pytest.mark.django_db
def test_event_proves_that_an_email_in_doubt_was_sent(aws):
    notification = owed(place())
    states.doubt(claimed(notification), InDoubt("lost"))

    after = told(ses_event("Send", notification=notification, message_id="ses-9"))

    assert (after.state, after.provider_message_id) == (Notification.State.SENT, "ses-9")


@pytest.mark.django_db
def test_event_of_a_stranger_is_kept_and_changes_nothing(sent):
    after = told(ses_event("Delivery", message_id="somebody-else"))

    assert after.delivery_status == Delivery.NONE
    assert DeliveryEvent.objects.get().provider_message_id == "somebody-else"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("nothing", BadEnvelope),
        ("[]", BadEnvelope),
        ("{}", BadData),
        ('{"eventType": "Eaten"}', BadData),
        ('{"eventType": "Send"}', BadData),
        ('{"eventType": "Bounce", "mail": {"messageId": "x", "timestamp": "now"}}', BadData),
        ('{"eventType": "Send", "mail": 3}', BadData),
        ('{"eventType": ["Send"]}', BadData),
        (json.dumps(ses_event("Send", message_id=None)), BadData),
        (json.dumps(ses_event("Send", message_id="x" * 101)), BadData),
        (json.dumps(ses_event("Send", moment="0001-01-01T00:00:00+14:00")), BadData),
        (json.dumps(ses_event("Send", moment="2026-11-22T10:00:00")), BadData),
        (json.dumps(ses_event("Send", moment="\0")), BadData),
    ],
)
def test_what_ses_does_not_send_is_rejected(body, error):
    with pytest.raises(error):
        feedback.take(body)


def test_greeting_of_ses_to_a_new_topic_is_no_event(caplog):
    feedback.take("Successfully validated SNS topic for Amazon SES event publishing.")

    assert "can publish" in caplog.text


def test_body_that_only_contains_the_greeting_is_no_greeting():
    with pytest.raises(BadEnvelope):
        feedback.take("{} Successfully validated SNS topic for Amazon SES event publishing.")


@pytest.mark.django_db
def test_events_told_together_come_to_the_same_as_one_by_one(sent):
    about = {"notification": sent, "message_id": sent.provider_message_id}
    raws = [
        bounce("Transient", moment="2026-11-22T10:00:04.000Z", **about),
        ses_event("Complaint", moment="2026-11-22T10:00:09.000Z", **about),
        ses_event("Delivery", **about),
        ses_event("Delivery", **about),
        ses_event("Send", **about),
        ses_event("Delivery", message_id="of nobody's"),
    ]

    feedback.record([(parsed(raw), raw) for raw in raws])

    assert only().delivery_status == Delivery.COMPLAINED
    assert str(only().delivered_at) == "2026-11-22 10:00:05+00:00"
    assert DeliveryEvent.objects.count() == 5
