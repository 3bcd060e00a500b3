import re
import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone
from moto import mock_aws

from emails.models import Breaker, Notification, Suppression
from emails.rendering.mime import Email
from emails.sending import breakers
from notifier.alerts import alerts, costs, sns
from queues import registry
from queues.consumer import pausing
from queues.models import DeadLetter
from queues.models.live import Duty
from tests.support.living import make_consumer, make_silent
from tests.support.owed import owed, place
from tests.support.threads import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def living(db):
    return make_consumer()


UNVERIFIED = (
    "Email address is not verified. The following identities failed the check in region EU-WEST-1: "
    "zoe@example.org"
)


def die(
    *,
    count=1,
    fingerprint="f",
    code="MessageRejected",
    reason="Address ada@example.com.",
    **fields,
):
    for number in range(count):
        if "amount_cents" in fields:
            fields["customer"] = f"customer-{fingerprint}-{number}"
        DeadLetter.objects.create(
            **fields,
            queue="orders",
            sqs_message_id=f"m-{DeadLetter.objects.count()}",
            body="{}",
            code=code,
            reason=reason,
            fingerprint=fingerprint,
        )


def look():
    """Do what a consumer does half a minute later."""
    Duty.objects.filter(pk=alerts.DUTY).delete()
    return alerts.check()


def told():
    """Return the texts of the alerts, oldest first."""
    return [str(sent.body) for sent in mail.outbox]


def html_part():
    """Return the HTML of the only alert and its type; None if it has text alone."""
    [sent] = mail.outbox
    parts: list[tuple[str, str]] = getattr(sent, "alternatives", [])
    return parts[0] if parts else None


def hour_passes():
    for duty in Duty.objects.all():
        Duty.objects.filter(pk=duty.pk).update(taken_at=duty.taken_at - timedelta(hours=1))
    for letter in DeadLetter.objects.all():
        earlier = letter.collected_at - timedelta(hours=1)
        DeadLetter.objects.filter(pk=letter.pk).update(collected_at=earlier)


def test_when_all_is_well_nobody_is_called():
    assert look() == 0
    assert mail.outbox == []


def test_suppressed_admin_is_left_out_and_the_others_are_told_of_that(settings, caplog):
    settings.ADMINS = [("ops", "ops@example.com"), ("gone", "Gone@example.com")]
    Suppression.objects.create(address="gone@example.com", source="bounce", since=timezone.now())
    die()

    look()

    [sent] = mail.outbox
    assert sent.to == ["ops@example.com"]
    assert "Alerts do not reach all of ADMINS" in str(sent.body)
    assert "suppressed count=1" in caplog.text
    assert "example.com" not in caplog.text


def test_alert_that_suppression_keeps_from_everybody_is_tried_again_later(caplog):
    Suppression.objects.create(address="ops@example.com", source="bounce", since=timezone.now())
    die()

    assert look() == 0
    assert mail.outbox == []
    Suppression.objects.update(state=Suppression.State.LIFTED)

    assert look() == 1


@pytest.mark.usefixtures("web")
def test_new_cause_of_dead_letters_is_told_with_the_page_to_look_at(client, admin_user):
    die(count=3)

    assert look() == 1

    [sent] = mail.outbox
    assert sent.to == ["ops@example.com"]
    assert sent.subject == "[Notifier] 3 emails not sent – SES rejected the email for good"
    assert "New." in sent.body
    [link] = re.findall(r"https://shop\.example\.com(\S+)", str(sent.body))
    client.force_login(admin_user)
    assert client.get(link).context["group"].count == 3


def test_subject_says_what_it_costs_and_why():
    die(
        count=26,
        reason=UNVERIFIED,
        type="order.placed.v1",
        amount_cents=28508,
        currency="USD",
    )

    look()

    [sent] = mail.outbox
    assert sent.subject == "[Notifier] 26 confirmations not sent ($7,412) – address not verified"
    assert "26 customers wait, $7,412" in sent.body


def test_what_costs_customers_most_is_said_first_and_what_is_over_last():
    breakers.trip(breakers.QUOTA, code="Quota", reason="used up")
    look()
    Breaker.objects.update(is_open=False)
    pausing.pause("orders", by="grace", reason="r")
    make_silent(host="gone")
    die(fingerprint="a", count=3, code="A")
    die(fingerprint="b", type="order.placed.v1", amount_cents=100, currency="EUR", code="B")

    look()

    sent = mail.outbox[1]
    assert "1 confirmation not sent (€1) – " in sent.subject
    titles = ["1 confirmation not sent", "3 emails not sent", "1 silent consumer", "Resolved: "]
    places = [str(sent.body).index(title) for title in titles]
    assert places == sorted(places)


def test_messages_that_nobody_handles_are_no_emails():
    die(count=2, code="UnknownType", reason="order.shipped.v1", type="order.shipped.v1")

    look()

    assert mail.outbox[0].subject.startswith("[Notifier] 2 messages not handled – ")


@pytest.mark.parametrize(
    ("cents", "currency", "amount"),
    [(741_249, "USD", "$7,412"), (999, "EUR", "€9.99"), (500, "GBP", "£5"), (500, "CHF", "CHF 5")],
)
def test_money_is_said_as_short_as_a_subject_needs(cents, currency, amount):
    assert costs.amount(cents, currency) == amount


def test_alert_is_text_and_html_with_a_link_to_each_page():
    make_silent(host="gone")
    die(reason="Address <b>ada@example.com</b>.")

    look()

    html, kind = html_part()
    assert kind == "text/html"
    assert "https://shop.example.com/admin/queues/deadletter/groups/f/" in html
    assert "https://shop.example.com/admin/#consumers" in html
    assert "a***@e***.com" in html
    assert "<b>" not in html
    assert "Notifier" in html


def test_alert_goes_out_as_text_when_its_template_fails(monkeypatch, caplog):
    monkeypatch.setattr("notifier.alerts.alert_email.TEMPLATE", "nothing")
    die()

    assert look() == 1

    assert html_part() is None
    assert "alert has no HTML" in caplog.text


def test_alert_has_no_personal_data():
    die()

    look()

    assert "ada@" not in f"{mail.outbox[0].subject} {told()[0]}"
    assert "MessageRejected: Address a***@e***.com." in told()[0]


def test_cause_is_told_once_an_hour_however_often_somebody_looks():
    breakers.trip(breakers.QUOTA, code="Quota", reason="used up")

    assert [look(), look(), look()] == [1, 0, 0]
    hour_passes()
    assert look() == 1

    assert [sent.subject for sent in mail.outbox] == ["[Notifier] Sending has stopped: quota"] * 2


def test_dead_letters_that_lie_there_are_told_once_and_again_when_more_come():
    die(count=2)
    look()
    hour_passes()
    assert look() == 0
    die(count=3)

    assert look() == 1

    assert "[Notifier] 5 emails not sent" in mail.outbox[1].subject
    assert "3 more since" in told()[1]


def test_causes_that_are_due_together_are_told_in_one_alert():
    die(fingerprint="a", code="A")
    die(fingerprint="b", code="B", count=2)

    assert look() == 2

    [sent] = mail.outbox
    assert sent.subject.startswith("[Notifier] 2 emails not sent – ")
    assert sent.subject.endswith(", and 1 more")
    assert sent.body.count("https://") == 2


def test_silent_consumer_is_told_by_another_one(living):
    make_silent(host="gone")

    look()

    assert "consumer gone:17, last heard" in told()[0]
    assert "https://shop.example.com/admin/#consumers" in told()[0]


@pytest.mark.parametrize(("in_doubt", "is_told"), [("park", True), ("resend", False)])
def test_doubt_is_told_when_nothing_but_a_person_ends_it(settings, in_doubt, is_told):
    settings.SES_EVENTS_TOPIC, settings.IN_DOUBT = "", in_doubt
    notification = owed(place())
    Notification.objects.filter(pk=notification.pk).update(
        state="in_doubt", attempt_started_at=timezone.now()
    )

    assert bool(look()) == is_told


def test_doubt_that_events_should_have_ended_is_told():
    notification = owed(place())
    rows = Notification.objects.filter(pk=notification.pk)
    rows.update(state="in_doubt", attempt_started_at=timezone.now())
    assert look() == 0
    rows.update(attempt_started_at=timezone.now() - timedelta(hours=1))

    assert look() == 1


def test_nobody_is_called_for_what_somebody_did():
    pausing.pause("orders", by="grace", reason="r")

    assert look() == 0


def test_without_anybody_to_call_nothing_is_asked(settings, django_assert_num_queries):
    settings.ADMINS = []
    die()

    with django_assert_num_queries(0):
        assert alerts.check() == 0
        alerts.check_soon()


def test_consumers_look_every_half_minute_one_of_them_for_all():
    die()

    assert alerts.check() == 1
    die(fingerprint="g")
    assert alerts.check() == 0


def test_alert_says_that_a_program_wrote_it():
    die()

    alerts.check()

    # RFC 3834, section 5.
    assert mail.outbox[0].extra_headers["Auto-Submitted"] == "auto-generated"


def test_consumers_run_it_beside_the_sweeper():
    assert alerts.check in registry.watches
    assert alerts.check not in registry.sweeps


def test_alert_that_cannot_be_sent_is_logged_and_tried_again(monkeypatch, caplog):
    def fail(*args):
        raise OSError("no route to ada@example.com")

    die()
    with monkeypatch.context() as patch:
        patch.setattr(Email, "send", fail)
        assert look() == 0
        assert alerts.check() == 0
    assert "alert not mailed: OSError" in caplog.text

    assert look() == 1
    assert "New." in told()[0]


def test_alert_goes_to_the_deliverable_address_of_each_admin(settings):
    settings.ADMINS = [("", "Ada@Bücher.example"), ("", "eve@straße.example")]
    Suppression.objects.create(
        address="eve@xn--strae-oqa.example", source="staff", since=timezone.now()
    )
    die()

    look()

    [sent] = mail.outbox
    assert sent.to == ["Ada@xn--bcher-kva.example"]


def test_topic_gets_the_same_whether_named_or_by_its_arn(settings):
    settings.ADMINS = []
    with mock_aws():
        sns._client.cache_clear()
        arn = sns.client().create_topic(Name="alerts")["TopicArn"]
        published = []
        sns.client().meta.events.register(
            "before-parameter-build.sns.Publish", lambda params, **rest: published.append(params)
        )
        for number, topic in enumerate(("alerts", arn)):
            settings.ALERTS_TOPIC = topic
            die(fingerprint=f"f{number}")

            assert look() == 1
    sns._client.cache_clear()

    assert [params["TopicArn"] for params in published] == [arn, arn]
    assert (
        published[0]["Subject"] == "[Notifier] 1 email not sent - SES rejected the email for good"
    )
    assert "New." in published[0]["Message"]


def test_email_reaches_somebody_even_when_the_topic_does_not(settings, caplog):
    settings.ALERTS_TOPIC = "arn:aws:sns:eu-west-1:123456789012:nowhere"
    die()

    with mock_aws():
        sns._client.cache_clear()
        assert look() == 1
    sns._client.cache_clear()

    assert len(mail.outbox) == 1
    assert "alert not published: topic arn:" in caplog.text


def test_provisioning_makes_the_topic(settings):
    settings.ALERTS_TOPIC = "alerts"
    said: list[str] = []
    with mock_aws():
        sns._client.cache_clear()
        sns.provision(said.append)
        topics = sns.client().list_topics()["Topics"]
    sns._client.cache_clear()

    assert [topic["TopicArn"].rpartition(":")[2] for topic in topics] == ["alerts"]
    assert said == ["topic alerts exists; subscribe everybody who should get alerts"]


@pytest.mark.locking
@pytest.mark.django_db(transaction=True)
def test_of_many_consumers_that_look_at_once_one_tells():
    die()
    breakers.trip(breakers.QUOTA, code="Quota", reason="used up")

    def look_past_the_first_gate():
        Duty.objects.filter(pk=alerts.DUTY).delete()
        return alerts.check()

    assert sum(at_once(4, look_past_the_first_gate)) == 2

    said = " ".join(told())
    assert said.count("New.") == said.count("Quota: used up") == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("web")
def test_overview_makes_the_web_process_tell_when_no_consumer_lives(admin_client, living):
    living.delete()

    admin_client.get("/admin/")
    for thread in threading.enumerate():
        if thread.name == "alerts":
            thread.join(30)

    assert mail.outbox[0].subject == "[Notifier] No consumer runs"
