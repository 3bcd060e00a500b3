"""Rehearsals: what a draft changes for real events, and what bars its publication."""

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.utils import timezone

from emails.errors import Barred, StaleTemplate
from emails.models import Notification, Rehearsal, RehearsalCase
from emails.rehearsal import acts, barring, corpus, jobs, subjects
from emails.rendering import templates
from emails.versions import drafts, in_force, publishing
from queues.events.envelope import Event
from queues.models import DeadLetter, Redrive
from queues.uuid7 import first_of
from tests.support.dead_letters import make_dead_letter, placed
from tests.support.rows import make_notification, rehearsed

pytestmark = pytest.mark.django_db

ORDER = "order_confirmation"
ALERT = "transaction_alert"
Outcome = RehearsalCase.Outcome
# It fails where the template has no such field.
BROKEN = "{{customer.nickname}}"


def drafted(name=ORDER, **files):
    """A draft that differs from what is in force in these files."""
    before = publishing.own_files(in_force.sources(name))
    changed = before | {file.replace("_", "."): text for file, text in files.items()}
    return drafts.save(name, changed, by="ada", why="", revision=0)


def alert(number, **data):
    sample = templates.sample(ALERT)
    return make_notification(
        event_type=sample.type,
        subject=f"TXN-{number:06}",
        template=ALERT,
        context=dict(sample.data) | data,
        state=Notification.State.SENT,
    )


def publish(draft):
    return drafts.publish(draft.name, by="ada", why="", revision=draft.revision)


def test_a_draft_that_was_not_rehearsed_is_not_published():
    draft = drafted(subject_hbs="New")

    with pytest.raises(Barred, match="Rehearse this draft first"):
        publish(draft)
    assert in_force.decided(ORDER) is None
    assert drafts.publish(ORDER, by="ada", why="", revision=draft.revision, force=True).number


def test_a_draft_that_changes_nothing_for_the_worse_is_published():
    make_notification()
    draft = drafted(subject_hbs="New {{order_number}}")

    rehearsal = rehearsed(draft)

    assert rehearsal.count(Outcome.CHANGED) == 1
    assert rehearsal.count(Outcome.BROKEN) == rehearsal.count(Outcome.BROKEN, is_made=True) == 0
    assert rehearsal.count(Outcome.CHANGED, is_made=True) > 20
    assert publish(draft).number


def test_a_draft_that_is_broken_for_a_rare_branch_is_barred_and_the_transaction_is_named():
    for number in range(30):
        alert(number)
        alert(100 + number, kind="withdrawal", description="")
    rare = alert(7000, kind="withdrawal", currency="EUR", description="A note")
    rare_branch = (
        '{{#ifeq kind "withdrawal"}}{{#ifeq currency "EUR"}}{{#if description}}{{account.iban}}'
        "{{/if}}{{/ifeq}}{{/ifeq}}Alert"
    )
    draft = drafted(ALERT, subject_hbs=rare_branch)

    rehearsal = rehearsed(draft)

    assert rehearsal.count(Outcome.BROKEN) == 1
    case = rehearsal.cases.get(outcome=Outcome.BROKEN, kind="event")
    assert (case.source, case.words) == (
        rare.pk,
        "TXN-007000 (withdrawal, EUR, with description)",
    )
    with pytest.raises(Barred, match=r"TXN-007000 \(withdrawal, EUR, with description\).*iban"):
        publish(draft)


def test_an_email_that_came_after_the_rehearsal_bars_too(monkeypatch):
    draft = drafted(subject_hbs="{{#ifeq currency 'GBP'}}" + BROKEN + "{{/ifeq}}New")
    rehearsal = rehearsed(draft)
    late = make_notification(
        subject="ORD-000777", context=dict(templates.sample(ORDER).data) | {"currency": "GBP"}
    )

    with pytest.raises(Barred, match="ORD-000777"):
        publish(draft)
    assert barring.catch_up(rehearsal)
    rehearsal.refresh_from_db()
    assert rehearsal.cases.filter(source=late.pk, outcome=Outcome.BROKEN).exists()
    monkeypatch.setattr(barring, "MOST_BEFORE", 0)
    with pytest.raises(Barred, match="Too many events"):
        acts.publish(ORDER, by=User.objects.create_user("ada"), why="", revision=draft.revision)


def test_a_later_save_or_publication_makes_a_rehearsal_stale():
    draft = drafted(subject_hbs="New")
    rehearsed(draft)
    draft = drafts.save(ORDER, draft.files, by="bob", why="", revision=draft.revision)
    with pytest.raises(Barred, match="Rehearse again"):
        publish(draft)
    rehearsed(draft)
    publishing.publish("partials/layout", {"source.hbs": "{{> @partial-block}}"}, by="bob", why="")
    with pytest.raises(Barred, match="Rehearse again"):
        publish(draft)


def dead(number=0, **data):
    """A dead letter whose template fails, with its unsent email."""
    event = placed(order_number=f"ORD-{number:06}", **data)
    make_notification(
        event_id=event.id,
        context=event.data,
        state=Notification.State.PENDING,
        reason_code="RenderError",
    )
    return make_dead_letter(event)


def break_order_template():
    files = templates.own_sources(ORDER) | {"subject.hbs": BROKEN}
    publishing.publish(ORDER, files, by="ada", why="a mistake")


def test_publish_and_redrive_sends_back_exactly_the_dead_letters_that_the_draft_fixes():
    break_order_template()
    letters = {dead(number).pk for number in range(12)}
    other = make_dead_letter(placed(), body="{}")
    draft = drafted(subject_hbs="Order {{order_number}}")
    rehearsal = rehearsed(draft)
    ada = User.objects.create_user("ada")

    version, redrive = acts.publish_and_redrive(rehearsal, by=ada, why="fixed", key="k")

    # Their unsent emails are not counted a second time.
    assert rehearsal.count(Outcome.FIXED) == 12
    assert set(redrive.items.values_list("letter", flat=True)) == letters
    assert other.state == DeadLetter.State.OPEN
    assert in_force.version_id(ORDER) == version.pk
    # Consumers that have not yet seen the version would let them fail again.
    assert not Redrive.objects.due().exists()


def test_nothing_is_redriven_if_the_draft_is_not_published():
    break_order_template()
    dead()
    rehearsal = rehearsed(drafted(subject_hbs="Order {{order_number}}"))
    drafts.discard(ORDER, revision=rehearsal.revision)

    with pytest.raises(StaleTemplate):
        acts.publish_and_redrive(rehearsal, by=User.objects.create_user("ada"), why="", key="k")
    assert not Redrive.objects.exists()


def test_a_draft_of_a_partial_is_rehearsed_with_each_template_that_uses_it():
    make_notification()
    alert(1)
    layout = in_force.sources("partials/layout")["source.hbs"]
    files = {"source.hbs": BROKEN + layout}
    draft = drafts.save("partials/layout", files, by="ada", why="", revision=0)

    rehearsal = rehearsed(draft)

    assert set(rehearsal.plan) == set(templates.names())
    broken = rehearsal.cases.filter(outcome=Outcome.BROKEN, kind="event")
    assert set(broken.values_list("template", flat=True)) == {ORDER, ALERT}
    with pytest.raises(Barred, match="2 real events"):
        publish(draft)


def test_events_of_the_last_days_are_rendered_and_older_ones_are_not():
    old = timezone.now() - subjects.WINDOW - timedelta(hours=1)
    make_notification(pk=first_of(old))
    make_notification(
        pk=uuid.UUID(int=first_of(old).int + 1),
        state=Notification.State.FAILED,
        reason_code="RenderError",
    )
    make_notification()

    rehearsal = rehearsed(drafted(subject_hbs="New"))

    # The old one that was never rendered is tried again.
    assert rehearsal.counts["event/changed"] == 2


def test_a_killed_step_is_repeated_and_counts_nothing_twice(monkeypatch):
    for _ in range(6):
        make_notification()
    rehearsal = jobs.ask(drafted(subject_hbs="New"), by="ada")
    monkeypatch.setattr(jobs, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(corpus, "of", lambda name, files: [])
    taken = jobs._step

    def die(*_):
        raise KeyboardInterrupt

    while True:
        monkeypatch.setattr(jobs, "_step", die)
        try:
            jobs.advance()
        except KeyboardInterrupt:
            assert not jobs.advance(), "its lease has not ended"
            Rehearsal.objects.update(next_at=Now())
        monkeypatch.setattr(jobs, "_step", taken)
        if not jobs.advance():
            break

    rehearsal.refresh_from_db()
    assert rehearsal.is_done
    assert rehearsal.counts == {"event/changed": 6}
    assert rehearsal.cases.count() == 3


def test_a_consumer_that_lost_its_lease_changes_nothing():
    make_notification()
    rehearsal = jobs.ask(drafted(subject_hbs="New"), by="ada")
    Rehearsal.objects.update(claim=uuid.uuid4())

    jobs._step(rehearsal, uuid.uuid4())

    rehearsal.refresh_from_db()
    assert (rehearsal.stage, rehearsal.counts) == ("letters", {})


def test_asking_twice_is_one_rehearsal_and_the_last_one_stays():
    draft = drafted(subject_hbs="New")
    assert jobs.ask(draft, by="ada") == jobs.ask(draft, by="bob")
    rehearsed(draft)
    jobs.ask(draft, by="bob")
    assert Rehearsal.objects.count() == 1


def test_a_bug_ends_the_rehearsal_and_says_so(monkeypatch):
    draft = drafted(subject_hbs="New")
    rehearsal = jobs.ask(draft, by="ada")
    monkeypatch.setattr(subjects, "letters", lambda *_, **__: 1 / 0)

    assert jobs.advance() == 1
    assert jobs.advance() == 0

    rehearsal.refresh_from_db()
    assert "ZeroDivisionError" in rehearsal.error
    with pytest.raises(Barred, match="The rehearsal failed"):
        publish(draft)


def test_events_of_other_types_are_left_out():
    make_dead_letter(Event(source="/x", type="unknown.v1", data={}))
    make_dead_letter(placed(), queue="ses-events")
    alert(1)

    rehearsal = rehearsed(drafted(subject_hbs="New"))

    assert not [name for name in rehearsal.counts if not name.startswith("made/")]
