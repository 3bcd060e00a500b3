from __future__ import annotations

import pytest
from django.urls import reverse

from emails.models import Notification
from emails.sending import planning
from emails.ses import ses_api
from queues.answers import Bucket
from queues.models import DeadLetter
from queues.redrives import preflight
from tests.support.dead_letters import make_dead_letter, placed
from tests.support.owed import notification_of

pytestmark = pytest.mark.django_db


def owed_in(event, state, **fields):
    notification = notification_of(event, "order_confirmation", event.data["customer"]["email"])
    Notification.objects.filter(pk=notification.pk).update(state=state, **fields)


def look():
    return preflight.sort(DeadLetter.objects.all())


@pytest.mark.parametrize(
    ("state", "bucket"),
    [
        ("pending", Bucket.SENDS),
        ("failed", Bucket.SENDS),
        ("sending", Bucket.IN_DOUBT),
        ("in_doubt", Bucket.IN_DOUBT),
        ("sent", Bucket.SENT),
        ("cancelled", Bucket.CANCELLED),
        ("suppressed", Bucket.SUPPRESSED),
    ],
)
def test_the_state_of_the_email_says_what_would_come(account, state, bucket):
    event = placed()
    owed_in(event, state)
    make_dead_letter(event)

    assert list(look().buckets) == [bucket]


def test_an_event_that_nobody_has_handled_yet_will_send(account):
    make_dead_letter()

    assert list(look().buckets) == [Bucket.SENDS]


def test_in_the_sandbox_an_unverified_recipient_is_told(account, aws):
    account.kind = "sandbox"
    aws.verify("ada@example.org")
    letters = {
        email: make_dead_letter(placed(email=email)) for email in ("Ada@example.org", "b@x.net")
    }

    buckets = look().buckets

    assert buckets[Bucket.SENDS] == [letters["Ada@example.org"].pk]
    assert buckets[Bucket.NOT_VERIFIED] == [letters["b@x.net"].pk]


def test_a_verified_domain_covers_its_addresses(account):
    account.kind = "sandbox"
    ses_api.api().verify_domain_identity(Domain="example.org")
    make_dead_letter(placed(email="anybody@mail.example.org"))

    assert list(look().buckets) == [Bucket.SENDS]


def test_in_production_nobody_needs_to_be_verified(account):
    make_dead_letter(placed(email="b@x.net"))

    assert list(look().buckets) == [Bucket.SENDS]


def test_ses_is_asked_once_for_any_number_of_batches(account, monkeypatch):
    monkeypatch.setattr(preflight, "BATCH_SIZE", 2)
    for _ in range(6):
        make_dead_letter()

    look()

    assert account.asked == 1


def test_ses_is_not_asked_where_nothing_would_be_sent(account):
    event = placed()
    owed_in(event, "sent")
    make_dead_letter(event)

    look()

    assert account.asked == 0


def test_where_ses_does_not_answer_the_look_says_so_and_goes_on(account):
    account.kind = "silent"
    make_dead_letter(placed(email="b@x.net"))

    forecast = look()

    assert list(forecast.buckets) == [Bucket.SENDS]
    [note] = forecast.notes
    assert note.startswith("Could not ask SES which recipients are verified.")


@pytest.mark.parametrize("answer", [{}, {"x": 1}, {"ProductionAccessEnabled": "false"}, [], None])
def test_what_ses_answers_oddly_could_not_be_found_out(account, answer):
    account.kind = answer
    make_dead_letter(placed(email="b@x.net"))

    forecast = look()

    assert list(forecast.buckets) == [Bucket.SENDS]
    [note] = forecast.notes
    assert note.startswith("Could not ask SES which recipients are verified.")


def test_redrive_page_opens_whatever_ses_answers(account, admin_client):
    account.kind = {"x": 1}
    make_dead_letter(placed(email="b@x.net"))

    page = admin_client.get(reverse("admin:queues_redrive_start"))

    assert page.status_code == 200
    assert "Could not ask SES" in page.content.decode()


def test_what_still_cannot_be_rendered_will_fail_again(account, settings, tmp_path):
    event = placed()
    owed_in(event, "failed", reason_code="RenderError")
    make_dead_letter(event)

    fixed = list(look().buckets)
    templates = [dict(engine) for engine in settings.TEMPLATES]
    templates[1]["DIRS"] = [tmp_path]
    settings.TEMPLATES = templates
    broken = list(look().buckets)

    assert (fixed, broken) == ([Bucket.SENDS], [Bucket.FAILS])


def test_planning_sends_nothing_and_writes_nothing(aws):
    event = placed()

    [owed] = planning.planned(event)

    assert (owed.template, owed.recipient) == ("order_confirmation", "ada@example.com")
    assert not Notification.objects.exists()
    assert aws.accepted == []
