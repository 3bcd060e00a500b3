"""The pages of rehearsals: ask for one, see what it found, publish, and redrive what it fixes."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from emails.models import Notification, Rehearsal, TemplateDraft, TemplateVersion
from emails.rehearsal import jobs
from emails.rendering import templates
from emails.versions import drafts, publishing
from queues.models import Redrive
from tests.support.dead_letters import make_dead_letter, placed
from tests.support.rows import make_notification, staff

pytestmark = pytest.mark.django_db

NAME = "order_confirmation"
RIGHTS = ("preview_email", "edit_template", "publish_template", "redrive_deadletter")


def url(page, *arguments):
    name = f"admin:emails_emailtemplate_rehearsal{'' if page == 'show' else f'_{page}'}"
    return reverse(name, args=[NAME, *arguments])


def make_draft(**files):
    changed = templates.own_sources(NAME) | files
    return TemplateDraft.objects.create(name=NAME, files=changed, by="ada", why="shorter")


def make_letters(count):
    for number in range(count):
        event = placed(order_number=f"ORD-{number:06}")
        make_notification(
            event_id=event.id, context=event.data, state="pending", reason_code="RenderError"
        )
        make_dead_letter(event)


def rehearse(client):
    client.post(url("start"))
    while jobs.advance():
        pass
    return client.get(url("show")).content.decode()


@pytest.fixture
def writer(client):
    client.force_login(staff(*RIGHTS, "view_redrive", "view_notification", "view_pii"))
    return client


def test_page_offers_to_rehearse_shows_progress_and_then_publishes(writer):
    make_notification()
    make_draft(**{"subject.hbs": "New {{order_number}}"})
    assert "has not been rehearsed" in writer.get(url("show")).content.decode()

    assert writer.post(url("start")).status_code == 302
    page = writer.get(url("show")).content.decode()
    assert f'data-refresh="{url("progress")}"' in page
    while jobs.advance():
        assert writer.get(url("progress")).status_code == 200
    page = writer.get(url("show")).content.decode()

    assert "<strong>1</strong> changed" in page
    form = {"rehearsal": Rehearsal.objects.get().pk, "reason": "shorter", "key": Rehearsal().pk}
    answer = writer.post(url("publish"), form, follow=True).content.decode()
    assert "Version 1 of order_confirmation is in force" in answer
    assert "was published or discarded" in answer
    assert LogEntry.objects.filter(change_message="Published version 1: shorter").exists()


def test_page_says_if_nobody_goes_on_and_offers_to_start_again(writer):
    make_draft(**{"subject.hbs": "New"})
    writer.post(url("start"))
    assert "No process goes on" not in writer.get(url("show")).content.decode()

    Rehearsal.objects.update(next_at=timezone.now() - timedelta(minutes=1))

    page = writer.get(url("show")).content.decode()
    assert "No process goes on with it" in page
    assert "Rehearse again" in page


def test_what_would_break_bars_and_is_shown_with_its_event(writer):
    row = make_notification(subject="ORD-000777")
    make_draft(**{"subject.hbs": "{{nickname}}"})

    page = rehearse(writer)

    assert "A real event that is rendered today would not be: ORD-000777" in page
    assert 'name="reason"' not in page
    cases = writer.get(url("cases", "broken")).content.decode()
    assert reverse("admin:emails_notification_change", args=[row.pk]) in cases
    assert "the data has no nickname" in cases
    form = {"rehearsal": Rehearsal.objects.get().pk, "reason": "all the same", "key": row.pk}
    assert (
        "Nothing was published." in writer.post(url("publish"), form, follow=True).content.decode()
    )
    assert not TemplateVersion.objects.exists()


def test_cases_show_what_changes_in_each_part_of_the_email(writer):
    make_notification()
    make_draft(**{"subject.hbs": "Brand new"})
    rehearse(writer)

    cases = writer.get(url("cases", "changed")).content.decode()
    made = writer.get(url("cases", "changed") + "?made=1").content.decode()

    assert "+Brand new" in cases
    assert "markup" in made
    assert "&lt;script&gt;" in made
    assert "<script>alert" not in made


def test_publish_and_redrive_is_one_act_and_leads_to_the_redrive(writer):
    files = templates.own_sources(NAME) | {"subject.hbs": "{{nickname}}"}
    publishing.publish(NAME, files, by="bob", why="a mistake")
    make_letters(3)
    make_draft(**{"subject.hbs": "Order {{order_number}}"})
    page = rehearse(writer)
    assert "Publish and redrive the 3" in page

    form = {"rehearsal": Rehearsal.objects.get().pk, "reason": "fixed", "redrive": "yes"}
    form["key"] = form["rehearsal"]
    answer = writer.post(url("publish"), form)

    redrive = Redrive.objects.get()
    assert answer.url == reverse("admin:queues_redrive_change", args=[redrive.pk])
    assert (redrive.total, redrive.reason) == (3, "fixed")
    assert drafts.of(NAME) is None
    # The same form again leads to the same redrive.
    assert writer.post(url("publish"), form).url == answer.url


def test_who_may_not_redrive_may_publish_only(client):
    files = templates.own_sources(NAME) | {"subject.hbs": "{{nickname}}"}
    publishing.publish(NAME, files, by="bob", why="a mistake")
    make_letters(1)
    make_draft(**{"subject.hbs": "Order {{order_number}}"})
    client.force_login(staff("preview_email", "edit_template", "publish_template"))

    page = rehearse(client)

    assert "Publish and redrive" not in page
    rehearsal = Rehearsal.objects.get()
    form = {"rehearsal": rehearsal.pk, "reason": "x", "redrive": "yes", "key": rehearsal.pk}
    assert (
        "You may publish, but not"
        in client.post(url("publish"), form, follow=True).content.decode()
    )
    assert not Redrive.objects.exists()


def test_a_form_of_an_older_rehearsal_publishes_nothing(writer):
    make_draft(**{"subject.hbs": "New"})
    rehearse(writer)
    old = Rehearsal.objects.get().pk
    rehearse(writer)

    form = {"rehearsal": old, "reason": "x", "key": old}
    assert "look at the newest" in writer.post(url("publish"), form, follow=True).content.decode()


def test_without_the_right_to_see_customers_nothing_of_them_is_shown(client):
    sample = templates.sample(NAME).data
    customer = {"name": "Zebedee", "email": "zebedee@example.com"}
    make_notification(context={**sample, "customer": customer}, state=Notification.State.SENT)
    make_draft(**{"subject.hbs": "{{customer.email}} {{customer.name}}"})
    client.force_login(staff(*RIGHTS))

    rehearse(client)
    cases = client.get(url("cases", "changed")).content.decode()

    assert "ORD-000001" in cases
    assert "zebedee" not in cases.lower()


def test_who_may_only_look_changes_nothing(client):
    make_draft(**{"subject.hbs": "New"})
    client.force_login(staff("preview_email"))

    assert client.post(url("start")).status_code == 403
    assert client.post(url("publish")).status_code == 403
    assert "Rehearse<" not in client.get(url("show")).content.decode()
    assert client.get(url("show").replace(NAME, "nothing")).status_code == 404


def test_a_draft_without_valid_syntax_is_not_rehearsed(writer):
    make_draft(**{"subject.hbs": "{{#if x}}"})

    page = writer.post(url("start"), follow=True).content.decode()

    assert "This draft cannot be rehearsed" in page
    assert not Rehearsal.objects.exists()
