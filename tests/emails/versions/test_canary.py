"""Canaries: how many emails get the version, when the next stage begins, and how a bad version goes back."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.utils import timezone

from emails.errors import NoCanary, NotSent, RenderError, StaleTemplate
from emails.models import Canary, CanaryEmail, EmailTemplate, Notification, Suppression
from emails.sending import claims, statements, states
from emails.sending.planning import Owed
from emails.versions import canary, in_force, places, publishing
from queues.models import HandlingFailure
from tests.support.builders import make_order
from tests.support.owed import placed

pytestmark = pytest.mark.django_db

State = Canary.State
Emails = Notification.State
NAME = "order_confirmation"
NEW = {
    "subject.hbs": "New {{order_number}}",
    "body.html.hbs": "{{#*inline 'preheader'}}x{{/inline}}"
    "{{#> layout title=order_number reason='x'}}<p>{{order_number}}</p>{{/layout}}",
    "body.txt.hbs": "{{order_number}}",
}
# It compiles, and no event of ours has what it wants.
BROKEN = NEW | {"subject.hbs": "New {{no_such_field}}"}


@pytest.fixture
def emails(aws, consume):
    """Place orders and handle them; returns their subjects as SES got them."""
    aws.verify("ada@example.com")

    def run(count=1):
        for _ in range(count):
            make_order()
        consume("orders")
        found = [mail.raw_data.partition("Subject: ")[2].splitlines()[0] for mail in aws.accepted]
        return found[len(found) - count :]

    return run


def start(files=NEW, **others):
    return canary.start(NAME, files, by="ada", why="shorter", **others)


def news(subjects):
    return sum(subject.startswith("New") for subject in subjects)


def version_of(email: Any) -> Any:
    return email.edition.version


def latest():
    return Canary.objects.latest("id")


def test_one_email_then_ten_then_a_hundred_get_the_version_and_then_all(emails, monkeypatch):
    monkeypatch.setattr(canary, "STAGES", (1, 3, 5))
    started = start()

    stages = []
    for _ in range(5):
        assert news(emails()) == 1
        stages.append(latest().stage)
    assert stages == [3, 3, 5, 5, 5]

    row = EmailTemplate.objects.get(name=NAME)
    assert (latest().state, row.published, row.canary) == (State.PUBLISHED, started.version, None)
    assert news(emails(2)) == 2


def test_the_edition_of_each_email_is_what_ses_got(emails, aws, monkeypatch, settings):
    settings.SES_EVENTS_TOPIC = "arn:aws:sns:eu-west-1:1:events"
    monkeypatch.setattr(canary, "STAGES", (3, 100))
    version = start(needs="delivered").version
    emails(5)

    for row in Notification.objects.all():
        raw = next(mail.raw_data for mail in aws.accepted if str(row.pk) in mail.raw_data)
        assert ("Subject: New" in raw) is (version_of(row) == version)
        assert in_force.render_recorded(row).subject in raw.replace("\n ", " ")
    assert CanaryEmail.objects.count() == 3


def test_a_version_that_does_not_render_goes_back_and_its_email_goes_out_by_the_old_one(emails):
    start(BROKEN)

    assert news(emails(3)) == 0

    ended = latest()
    first = Notification.objects.get(event_id=ended.event_id)
    assert ended.state == State.WENT_BACK
    assert "no_such_field" in ended.note
    assert (first.state, first.attempts) == (Emails.SENT, 1)
    assert {version_of(row).origin for row in Notification.objects.all()} == {"code"}
    assert not HandlingFailure.objects.exists()
    assert EmailTemplate.objects.get(name=NAME).canary is None


def test_a_version_that_ses_refuses_goes_back_and_its_email_is_sent_once_by_the_old_one(
    emails, refuses
):
    start()
    refuses("MessageRejected", "Bad content", times=1)

    assert news(emails()) == 0

    row = Notification.objects.get()
    assert [each.outcome for each in row.attempt_rows.all()] == ["refused", "accepted"]
    assert (row.state, version_of(row).origin) == (Emails.SENT, "code")
    assert (latest().state, latest().event_id) == (State.WENT_BACK, row.event_id)
    assert "Bad content" in latest().note
    assert not HandlingFailure.objects.exists()


def test_an_email_that_both_versions_cannot_be_sent_by_fails_as_ever(emails, refuses):
    start()
    refuses("MessageRejected", "Address is blacklisted")
    make_order()

    emails(0)

    assert Notification.objects.get().state == Emails.FAILED
    assert latest().state == State.WENT_BACK
    assert HandlingFailure.objects.get().code == "MessageRejected"


@pytest.mark.parametrize("text", ["Email address is not verified: ada@example.com"])
def test_an_email_that_waits_for_ses_keeps_the_version_and_ends_no_canary(emails, refuses, text):
    start()
    refuses("MessageRejected", text, times=1)

    make_order()
    emails(0)

    row = Notification.objects.get()
    assert row.state == Emails.PENDING
    assert latest().is_open
    held = claimed_again(row)
    assert (held.canary, held.notification.edition.version) == (latest().pk, latest().version)


def claimed(*owed: Owed) -> list[Any]:
    return claims.claim_owed(owed)


def claimed_again(row: Notification) -> Any:
    Notification.objects.filter(pk=row.pk).update(next_at=timezone.now() - timedelta(hours=1))
    return claims.claim(row, edition=in_force.edition(NAME), offer=places.offer(NAME))


def wanted(recipient="ada@example.com"):
    event = placed(recipient=recipient)
    return Owed(event, NAME, recipient, edition=in_force.edition(NAME), offer=places.offer(NAME))


def in_canary(**fields):
    """The first email of a new canary, with these columns."""
    start()
    [held] = claimed(wanted())
    Notification.objects.filter(pk=held.notification.pk).update(**fields)
    return held


def test_an_email_that_is_not_claimed_takes_no_place():
    start()
    Suppression.objects.create(address="bob@example.com", source="bounce", since=timezone.now())

    assert claimed(wanted("bob@example.com")) == [None]
    assert latest().left == 1
    [held] = claimed(wanted())
    assert held.canary == latest().pk
    assert latest().left == 0


def test_a_claim_that_fails_takes_no_place(monkeypatch):
    start()

    def fail(*args, **kwargs):
        raise DatabaseError("gone")

    with monkeypatch.context() as patched, pytest.raises(DatabaseError):
        patched.setattr(statements, "insert_claimed", fail)
        claimed(wanted())

    assert latest().left == 1
    assert not CanaryEmail.objects.exists()


def test_a_process_that_knows_an_older_stage_takes_no_place_that_is_not_there():
    start()
    late = wanted()
    claimed(wanted())
    in_force.forget()

    assert claimed(late, wanted())[0].canary is None
    assert CanaryEmail.objects.count() == 1


def test_a_process_that_knows_no_roll_back_gives_its_emails_no_version_that_went_back():
    started = start()
    late = wanted()
    canary.go_back(started, by="bob", why="a typo")

    [held] = claimed(late)

    assert held.canary is None
    assert held.notification.edition.version.origin == "code"
    assert latest().note == "bob: a typo"


def test_an_email_that_is_claimed_again_after_a_roll_back_gets_the_version_in_force():
    held = in_canary()
    states.let_go(held, NotSent("stopped"))
    canary.go_back(latest(), by="bob", why="a typo")

    again = claimed_again(held.notification)

    assert (again.canary, again.notification.edition.version.origin) == (None, "code")


DONE: dict[str, dict[str, Any]] = {
    "accepted": {"state": Emails.SENT},
    "delivered": {"delivery_status": "delivered"},
}


@pytest.mark.parametrize("needs", DONE)
def test_the_next_stage_waits_for_what_was_chosen(settings, needs):
    settings.SES_EVENTS_TOPIC = "arn:aws:sns:eu-west-1:1:events"
    start(needs=needs)
    [held] = claimed(wanted())
    emails = Notification.objects.filter(pk=held.notification.pk)

    assert not canary.look(latest().pk)
    if needs == "delivered":
        emails.update(state=Emails.SENT)
        assert not canary.look(latest().pk)
    emails.update(**DONE[needs])
    assert canary.look_at_all() == 1
    assert (latest().stage, latest().left) == (10, 9)


def test_deliveries_cannot_be_waited_for_without_events_of_ses(settings):
    settings.SES_EVENTS_TOPIC = ""
    with pytest.raises(NoCanary, match="does not tell us"):
        start(needs="delivered")


@pytest.mark.parametrize("state", [Emails.CANCELLED, Emails.SUPPRESSED, Emails.KEPT, "old"])
def test_the_place_of_an_email_that_is_not_sent_goes_to_another(state):
    long_ago = timezone.now() - timedelta(hours=1)
    old = {"state": Emails.PENDING, "attempt_started_at": long_ago}
    in_canary(**(old if state == "old" else {"state": state}))

    assert canary.look(latest().pk)

    assert (latest().stage, latest().left) == (1, 1)
    assert not CanaryEmail.objects.exists()


@pytest.mark.parametrize("state", [Emails.SENDING, Emails.IN_DOUBT])
def test_an_email_in_doubt_keeps_its_place_and_is_not_accepted_yet(state):
    in_canary(state=state)

    assert not canary.look(latest().pk)

    assert (latest().stage, latest().left) == (1, 0)
    assert canary.progress(latest())["done"] == 0


def test_a_bounce_parks_the_canary_until_a_person_decides():
    held = in_canary(
        state=Emails.SENT, delivery_status="bounced_hard", delivery_reason="No such user."
    )

    assert canary.look(latest().pk)
    assert (latest().state, latest().event_id) == (State.PARKED, held.notification.event_id)
    assert latest().note == "Hard bounce: No such user."
    assert claimed(wanted())[0].canary is None

    assert canary.go_on(latest(), by="bob")
    assert (latest().state, latest().stage, latest().note) == (State.RUNNING, 1, "")
    assert canary.look(latest().pk)
    assert latest().stage == 10


def test_a_version_that_ses_rejects_after_all_goes_back():
    in_canary(state=Emails.SENT, delivery_status="rejected")

    assert canary.look(latest().pk)

    assert latest().state == State.WENT_BACK


def test_a_person_may_begin_the_next_stage_at_once_and_publish_so():
    started = start()
    for stage in (10, 100):
        assert canary.go_on(latest(), by="bob")
        assert (latest().stage, latest().left) == (stage, stage)

    assert canary.go_on(latest(), by="bob")

    assert EmailTemplate.objects.get(name=NAME).published == started.version
    assert not canary.go_on(latest(), by="bob")
    assert not canary.go_back(latest(), by="bob", why="")


def test_every_other_decision_about_the_template_ends_the_canary():
    decisions = {
        "another version": lambda: publishing.roll_back(NAME, None, by="bob", why=""),
        "started another": lambda: start(NEW | {"subject.hbs": "Newer"}),
        "partials/layout": lambda: publishing.publish(
            "partials/layout", {"source.hbs": "{{> @partial-block}}"}, by="bob", why=""
        ),
    }
    for note, decide in decisions.items():
        started = start(NEW | {"body.txt.hbs": note})
        decide()
        started.refresh_from_db()
        assert started.state == State.ENDED
        assert note in started.note


def test_templates_without_a_canary_cost_no_query(aws, django_assert_num_queries):
    in_force.edition(NAME)
    with django_assert_num_queries(0):
        assert places.offer(NAME) is None


def test_files_that_are_in_force_need_no_canary():
    publishing.publish(NAME, NEW, by="ada", why="")
    with pytest.raises(NoCanary, match="in force already"):
        start()


def test_a_canary_needs_a_template_valid_files_and_the_latest_revision():
    with pytest.raises(NoCanary, match="partial"):
        canary.start("partials/layout", {"source.hbs": "x"}, by="ada", why="")
    with pytest.raises(RenderError):
        start(NEW | {"subject.hbs": "{{#if x}}"})
    with pytest.raises(StaleTemplate):
        start(revision=7)
    assert not Canary.objects.exists()
