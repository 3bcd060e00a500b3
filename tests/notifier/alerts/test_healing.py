from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from emails.models import Breaker
from emails.sending import breakers
from notifier.alerts import alerts, concerns
from queues.dead_letters import decisions
from queues.models import DeadLetter
from queues.models.live import Duty, LiveConsumer
from tests.support import lanterns
from tests.support.lanterns import make_dead_letter, outcomes, start
from tests.support.living import make_consumer, make_silent

pytestmark = pytest.mark.django_db

BREAKER = "Resolved: sending has resumed (quota)"
DRAINED = "Resolved: no dead letter waits any more: SES sandbox: the recipient is not verified"


@pytest.fixture(autouse=True)
def living(db):
    lanterns.fix()
    return make_consumer()


def look():
    """Do what a consumer does half a minute later; return what it tells, by its subject."""
    Duty.objects.filter(pk=alerts.DUTY).delete()
    mail.outbox.clear()
    alerts.check()
    return [sent.subject.removeprefix("[Notifier] ") for sent in mail.outbox]


def pass_time(**span):
    for duty in Duty.objects.all():
        Duty.objects.filter(pk=duty.pk).update(taken_at=duty.taken_at - timedelta(**span))


def trip():
    breakers.trip(breakers.QUOTA, code="Quota", reason="used up")


def close():
    Breaker.objects.update(is_open=False)


def die(cause=("MessageRejected", "The address is not verified.")):
    return make_dead_letter(cause=cause)


def test_a_breaker_that_closed_is_told_once():
    trip()
    look()
    close()

    assert [look(), look()] == [[BREAKER], []]


def test_what_nobody_was_called_for_heals_in_silence():
    trip()
    close()

    assert look() == []


def test_a_cause_that_comes_and_goes_heals_at_most_once_an_hour():
    trip()
    look()
    close()
    look()
    pass_time(minutes=59)
    trip()
    pass_time(minutes=0.9)
    Duty.objects.filter(pk="alert breaker quota").delete()
    look()
    close()

    assert look() == []
    pass_time(minutes=1)
    assert look() == [BREAKER]


@pytest.mark.usefixtures("web")
def test_drained_letters_are_told_with_their_page_and_when_they_would_be_told_again(
    client, admin_user
):
    letter = die()
    look()
    DeadLetter.objects.update(state=DeadLetter.State.DISCARDED)

    assert look() == [DRAINED]

    [sent] = mail.outbox
    again = timezone.localtime() + timedelta(hours=1)
    assert f"the next alert is sent after {again:%Y-%m-%d %H}:" in str(sent.body)
    link = str(sent.body).splitlines()[-1].removeprefix("https://shop.example.com")
    assert letter.fingerprint in link
    client.force_login(admin_user)
    assert client.get(link).status_code == 200


def test_letters_are_not_drained_while_their_redrive_may_bring_them_back():
    die()
    look()
    redrive = start(canary=False)
    lanterns.advance()
    assert (look(), outcomes(redrive)) == ([], {"pending": 1})

    lanterns.handle_all()
    lanterns.advance()

    assert (look(), outcomes(redrive)) == (
        [DRAINED],
        {"handled": 1},
    )


def test_letters_that_were_parked_are_drained_for_now():
    letter = die()
    look()
    decisions.park(
        DeadLetter.objects.filter(pk=letter.pk),
        until=timezone.now() + timedelta(hours=1),
        note="later",
    )

    assert look() == [DRAINED]


def test_one_of_two_causes_heals_alone():
    die(("A", "a"))
    die(("B", "b"))
    look()
    DeadLetter.objects.filter(code="A").update(state=DeadLetter.State.DISCARDED)

    [told] = look()
    assert told.startswith("Resolved: no dead letter waits any more: ")


def test_a_cause_that_is_not_told_apart_any_more_is_not_taken_for_drained(monkeypatch):
    die(("A", "a"))
    look()
    for _ in range(2):
        die(("B", "b"))
    monkeypatch.setattr(concerns, "MOST_CAUSES", 1)

    [told] = look()
    assert told.startswith("2 emails not sent – ")


def test_a_consumer_of_any_queue_less_is_no_healing(living):
    LiveConsumer.objects.update(queues=["orders"])
    look()
    LiveConsumer.objects.update(queues=[])
    look()
    assert not any("run again" in subject for subject in look())

    LiveConsumer.objects.all().delete()
    make_consumer()

    assert look() == ["Resolved: consumers run again, and 1 more"]


def test_a_silent_consumer_that_speaks_again_is_told():
    silent = make_silent(host="gone")
    look()
    LiveConsumer.objects.filter(pk=silent.pk).update(beat_at=timezone.now())

    assert look() == ["Resolved: consumer gone:17 is no longer silent"]


def test_an_end_that_reaches_nobody_is_told_later(settings):
    trip()
    look()
    close()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_PORT = 1
    assert look() == []
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    assert look() == [BREAKER]
