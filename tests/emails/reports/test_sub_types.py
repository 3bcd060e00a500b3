"""What SES says with the sub-type of a bounce or complaint, and what follows from it everywhere."""

import json
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from emails.figures import count
from emails.models import DeliveryEvent, Notification, Suppression
from emails.models.reputation import Incident
from emails.reports import feedback, reasons, report_words, sub_types
from tests.emails.reports.test_feedback import bounce, sent, ses_event, told  # noqa: F401  # a fixture
from tests.support.owed import only, place

pytestmark = pytest.mark.django_db

Delivery = Notification.Delivery
OURS = "ada@example.com"

# The developer guide's words on each are in ``sub_types``. A name from the future is taken by its sound.
UNTRIED = [
    # Sub-type, is it a bounce in SES's rate, is the address suppressed.
    ("Suppressed", True, True),
    ("OnAccountSuppressionList", False, True),
    ("OnTenantSuppressionList", False, True),
    ("EmailValidationSuppressed", False, False),
    ("UnsubscribedRecipient", False, False),
    ("OnSomeFutureSuppressionList", False, False),
    ("UnsubscribedFromTopic", False, False),
]
TRIED = ["General", "NoEmail", "", "SomethingNew"]


def counted():
    hour, now = timedelta(hours=1), timezone.now()
    found = count(now - hour, now + hour)
    return found["bounced"], found["complained"]


def is_suppressed():
    return Suppression.objects.active().filter(address=OURS).exists()


@pytest.mark.parametrize("bounce_type", ["Permanent", "Transient"])
@pytest.mark.parametrize(("name", "counts", "suppresses"), UNTRIED)
def test_what_ses_did_not_try_is_no_hard_bounce(sent, name, counts, suppresses, bounce_type):  # noqa: F811
    after = told(bounce(bounce_type, bounceSubType=name, notification=sent))

    assert (after.delivery_status, after.delivery_code) == (Delivery.SUPPRESSED, name)
    assert counted() == (int(counts and bounce_type == "Permanent"), 0)
    assert is_suppressed() == suppresses


@pytest.mark.parametrize("name", TRIED)
def test_what_a_mail_server_refused_for_good_is_a_hard_bounce(sent, name):  # noqa: F811
    after = told(bounce(bounceSubType=name, notification=sent))

    assert after.delivery_status == Delivery.BOUNCED_HARD
    assert counted() == (1, 0)
    assert is_suppressed()


@pytest.mark.parametrize(("name", "counts", "suppresses"), UNTRIED)
def test_complaint_of_what_ses_did_not_try_is_no_complaint(sent, name, counts, suppresses):  # noqa: F811
    after = told(
        ses_event(
            "Complaint", notification=sent, complaintSubType=name, complaintFeedbackType="abuse"
        )
    )

    assert (after.delivery_status, after.delivery_code) == (Delivery.SUPPRESSED, name)
    assert counted() == (0, 0)
    assert is_suppressed() == suppresses
    assert not Suppression.objects.filter(source=Suppression.Source.COMPLAINT).exists()


@pytest.mark.parametrize("name", [None, "", "SomethingNew", 7])
@pytest.mark.parametrize("feedback_type", ["abuse", None, "fraud"])
def test_any_other_complaint_is_one(sent, name, feedback_type):  # noqa: F811
    after = told(
        ses_event(
            "Complaint",
            notification=sent,
            complaintSubType=name,
            complaintFeedbackType=feedback_type,
        )
    )

    assert after.delivery_status == Delivery.COMPLAINED
    assert counted() == (0, 1)
    assert is_suppressed()


@pytest.mark.parametrize("feedback_type", ["not-spam", "Not-Spam"])
def test_what_a_recipient_calls_no_spam_is_no_complaint(sent, feedback_type):  # noqa: F811
    after = told(ses_event("Complaint", notification=sent, complaintFeedbackType=feedback_type))

    assert after.delivery_status == Delivery.NONE
    assert counted() == (0, 0)
    assert not is_suppressed()
    assert report_words.of(DeliveryEvent.objects.get(type="Complaint")).title == (
        "Marked as not spam by the recipient"
    )


@pytest.mark.parametrize("name", ["UnsubscribedRecipient", "EmailValidationSuppressed"])
def test_who_wants_no_newsletter_still_gets_the_alerts_of_the_bank(sent, aws, consume, name):  # noqa: F811
    told(bounce(bounceSubType=name, notification=sent))
    before = len(aws.accepted)

    place()
    consume()

    assert len(aws.accepted) == before + 1


def test_end_of_a_subscription_changes_nothing(sent):  # noqa: F811
    raw = ses_event(
        "Subscription", notification=sent, contactList="news", source="UnsubscribeHeader"
    )
    feedback.take(json.dumps(raw))

    assert only().delivery_status == Delivery.NONE
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("name", [name for name, *_ in UNTRIED])
def test_support_staff_and_customer_are_told_that_ses_did_not_try(
    sent,  # noqa: F811
    settings,
    admin_client,
    name,
):
    settings.SUPPORT_EMAIL = "help@example.com"
    told(bounce(bounceSubType=name, notification=sent))

    event = DeliveryEvent.objects.get(type="Bounce")
    words = report_words.of(event)
    incident = Incident.objects.get()
    page = admin_client.get(reverse("admin:emails_deliveryevent_change", args=[event.pk]))

    assert (words.title, words.detail[:16]) == ("Not tried by SES", "SES did not try:")
    assert (incident.kind, bool(incident.reason)) == (Incident.Kind.REFUSED, True)
    assert "Not tried by SES" in page.content.decode()


def test_each_sub_type_has_a_sentence_of_its_own():
    sentences = [reasons.sentence(name) for name in sub_types.TABLE]

    assert len(set(sentences)) == len(sentences)
    assert all(sentence.startswith("SES did not try: ") for sentence in sentences)
