"""Staff write a draft in the admin, publish it and roll back: every act through its page."""

import json
import re

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from emails.models import EmailTemplate, Notification, TemplateDraft
from emails.rendering import templates
from emails.sending import trials
from emails.versions import drafts, in_force, publishing
from queues.models import OutboxEvent
from tests.support.builders import make_order
from tests.support.rows import make_dead_letter, make_outbox_event, rehearsed, staff

pytestmark = pytest.mark.django_db

NAME = "order_confirmation"
SUBJECT = "file:subject.hbs"
ALL = ("preview_email", "edit_template", "publish_template", "roll_back_template")


def address(page, *args, name=NAME):
    return reverse(f"admin:emails_emailtemplate_{page}", args=[name, *args])


def sources(name=NAME):
    return publishing.own_files(in_force.sources(name))


def posted(*, revision=0, name=NAME, **files):
    fields = {f"file:{file}": text for file, text in {**sources(name), **files}.items()}
    return {"revision": revision, "save": "yes", "why": "friendlier", **fields}


def save(client, subject, *, revision=0):
    return client.post(address("edit"), posted(revision=revision, **{"subject.hbs": subject}))


def draft_of():
    draft = drafts.of(NAME)
    assert draft
    return draft


def text_of(response):
    return re.sub(r"\s+", " ", response.content.decode())


def log_of(name=NAME):
    return [
        entry.change_message for entry in LogEntry.objects.filter(object_id=name).order_by("id")
    ]


@pytest.fixture
def writer(client):
    client.force_login(staff(*ALL))
    return client


def test_a_draft_is_saved_published_and_rolled_back_and_the_log_tells_it(writer):
    data = templates.sample(NAME).data
    assert save(writer, "Thank you for {{order_number}}").status_code == 302
    assert in_force.render(NAME, data).subject == "Your order ORD-000123 is confirmed"

    rehearsed(NAME)
    writer.post(address("publish"), {"seen": 1, "reason": "friendlier"})
    assert in_force.render(NAME, data).subject == "Thank you for ORD-000123"
    assert not TemplateDraft.objects.exists()

    page = text_of(writer.get(address("versions")))
    assert "It goes before the files of the deployed code." in page
    revision = EmailTemplate.objects.get(name=NAME).revision
    writer.post(address("roll_back", 0), {"seen": revision, "reason": "too friendly"})
    assert in_force.render(NAME, data).subject == "Your order ORD-000123 is confirmed"
    assert log_of() == [
        "Saved a draft.",
        "Published version 2: friendlier",
        "Rolled back to the deployed code: too friendly",
    ]


def test_a_draft_that_was_not_rehearsed_is_not_published(writer):
    save(writer, "Thank you for {{order_number}}")

    page = text_of(writer.post(address("publish"), {"seen": 1, "reason": "now"}))

    assert "Rehearse this draft first" in page
    assert not EmailTemplate.objects.filter(published__isnull=False).exists()


def test_saving_and_rehearsing_is_one_click(writer):
    fields = posted(**{"subject.hbs": "Thank you for {{order_number}}"}) | {"save": "rehearse"}

    page = text_of(writer.post(address("edit"), fields, follow=True))

    assert "Rehearsing with open dead letters" in page


def test_an_error_is_refused_with_its_place_and_a_hint_and_the_text_stays(writer):
    response = save(writer, "Your order\n{{order_nubmer}}")

    page = text_of(response)
    assert "Nothing was saved: the draft has errors." in page
    assert "subject.hbs:2:3" in page
    assert "Did you mean &quot;order_number&quot;?" in page
    assert "{{order_nubmer}}" in page
    assert not TemplateDraft.objects.exists()


def test_whoever_saves_over_a_newer_draft_sees_both_and_loses_no_text(writer):
    save(writer, "First {{order_number}}")
    drafts.save(NAME, sources() | {"subject.hbs": "Bob"}, by="bob", why="", revision=1)

    page = text_of(save(writer, "Mine {{order_number}}", revision=1))

    assert "bob saved this draft in the meantime" in page
    assert "<del>Bob</del>" in page and "Mine {{order_number}}" in page
    assert draft_of().files["subject.hbs"] == "Bob"
    assert 'name="revision" value="2"' in page
    assert save(writer, "Mine {{order_number}}", revision=2).status_code == 302


def test_lines_that_a_browser_ends_with_crlf_are_saved_with_lf(writer):
    body = sources()["body.txt.hbs"]

    writer.post(address("edit"), posted(**{"body.txt.hbs": body.replace("\n", "\r\n")}))

    assert draft_of().files == sources()


def test_a_language_begins_with_the_files_of_the_base(writer):
    fields = posted() | {"add": "yes", "language_to_add": "PT-br"}
    del fields["save"]

    page = text_of(writer.post(address("edit"), fields))

    assert 'name="file:pt-BR/subject.hbs"' in page
    assert "Brazil" in page


def test_a_preview_of_what_is_typed_shows_email_headers_and_size(writer):
    fields = posted(**{"subject.hbs": "Typed {{order_number}}"})

    page = text_of(writer.post(address("seen"), fields))

    assert "Typed ORD-000123" in page
    assert "Subject: Typed ORD-000123" in page
    assert "To: ada@example.com" in page
    assert "the whole email" in page and "Gmail clips" not in page
    assert not TemplateDraft.objects.exists()


def test_an_email_that_gmail_clips_is_warned_of(writer):
    body = sources()["body.html.hbs"].replace("</h1>", "</h1>" + "<p>long</p>" * 1500)

    page = text_of(writer.post(address("seen"), posted(**{"body.html.hbs": body})))

    assert "Gmail clips an email of more than 102 KB" in page


def real_event(number="ORD-000777", city="Querétaro"):
    data = json.loads(json.dumps(templates.sample(NAME).data))
    data["order_number"] = number
    data["shipping_address"]["city"] = city
    data["customer"]["email"] = "grace@example.org"
    body = {
        "specversion": "1.0",
        "id": "0190a0a0-0000-7000-8000-000000000001",
        "source": "/orders",
        "type": "order.placed.v1",
        "subject": number,
        "time": "2026-11-22T10:00:00Z",
        "data": data,
    }
    make_outbox_event(subject=number, body=json.dumps(body), event_id=body["id"])
    return body


@pytest.mark.parametrize("wanted", ["ORD-000777", "0190a0a0-0000-7000-8000-000000000001"])
def test_a_real_event_is_masked_for_staff_who_may_not_see_personal_data(client, wanted):
    real_event()
    fields = posted() | {"event": wanted}

    client.force_login(staff(*ALL))
    page = text_of(client.post(address("seen"), fields))
    assert "Personal data is masked" in page
    assert "Querétaro" not in page and "grace@example.org" not in page
    assert "cannot be rendered" not in page and "fact-reason" not in page

    client.force_login(staff(*ALL, "view_pii"))
    page = text_of(client.post(address("seen"), fields))
    assert "Querétaro" in page and "To: grace@example.org" in page


def test_an_unknown_event_is_named_and_the_sample_shown(writer):
    page = text_of(writer.post(address("seen"), posted() | {"event": "ORD-999999"}))

    assert "There is no event order.placed.v1 of ORD-999999." in page
    assert "ORD-000123" in page


def test_a_partial_is_edited_and_shown_in_the_templates_that_use_it(writer):
    name = "partials/signature"
    source = sources(name)["source.hbs"] + "Bye.\n"
    fields = posted(name=name, **{"source.hbs": source}) | {"user": NAME}

    shown = text_of(writer.post(address("seen", name=name), fields))
    assert "Bye." in shown
    assert writer.post(address("edit", name=name), fields).status_code == 302
    assert "Used by" in text_of(writer.get(address("edit", name=name)))
    rehearsed(name)
    writer.post(address("publish", name=name), {"seen": 1, "reason": "polite"})

    assert in_force.render(NAME, templates.sample(NAME).data).text.endswith("Bye.\n")


def test_an_error_in_a_partial_is_told_in_its_own_file(writer):
    name = "partials/signature"

    page = text_of(
        writer.post(
            address("edit", name=name), posted(name=name, **{"source.hbs": "{{@brand.nmae}}"})
        )
    )

    assert "source.hbs:1:3" in page
    assert not TemplateDraft.objects.exists()


def test_a_second_person_publishes_if_a_setting_asks_for_one(client, settings):
    settings.TEMPLATE_SECOND_PERSON = True
    ada, bob = staff(*ALL), staff(*ALL)
    client.force_login(ada)
    save(client, "Hello {{order_number}}")

    rehearsed(NAME)
    page = text_of(client.post(address("publish"), {"seen": 1, "reason": "mine"}))
    assert "a second person must publish it" in page
    client.force_login(bob)
    client.post(address("publish"), {"seen": 1, "reason": "read it"})

    assert EmailTemplate.objects.get(name=NAME).by == bob.get_username()


def test_a_draft_that_changed_after_it_was_looked_at_is_not_published(writer):
    save(writer, "First {{order_number}}")
    save(writer, "Second {{order_number}}", revision=1)
    rehearsed(NAME)

    writer.post(address("publish"), {"seen": 1, "reason": "the first"})

    assert not EmailTemplate.objects.filter(published__isnull=False).exists()
    assert drafts.of(NAME)


def test_a_discarded_draft_is_gone_and_what_is_in_force_stays(writer):
    save(writer, "First {{order_number}}")

    assert "It is gone then" in text_of(writer.get(address("discard")))
    writer.post(address("discard"), {"revision": 1})

    assert not TemplateDraft.objects.exists()
    assert log_of()[-1] == "Discarded the draft."


def test_the_page_tells_when_the_code_changed_after_staff_published(writer):
    publishing.publish(NAME, sources() | {"subject.hbs": "Ours"}, by="ada", why="x")
    assert "The deployed code has changed" not in text_of(writer.get(address("change")))

    EmailTemplate.objects.filter(name=NAME).update(deployed="of another release")

    assert "The deployed code has changed" in text_of(writer.get(address("change")))
    listed = text_of(writer.get(reverse("admin:emails_emailtemplate_changelist")))
    assert "the code has changed since" in listed


def test_the_list_counts_dead_letters_that_a_template_could_not_render(client):
    client.force_login(staff(*ALL, "view_deadletter"))
    for _ in range(2):
        make_dead_letter(code="RenderError", reason=f"{NAME}/subject.hbs: the data has no x")

    page = text_of(client.get(reverse("admin:emails_emailtemplate_changelist")))

    assert "2 dead letters" in page


@pytest.mark.parametrize(
    ("act", "right"),
    [
        ("edit", "edit_template"),
        ("seen", "edit_template"),
        ("discard", "edit_template"),
        ("publish", "publish_template"),
    ],
)
def test_each_act_takes_its_own_permission(client, act, right):
    client.force_login(staff(*set(ALL) - {right}))
    save_as = staff(*ALL)
    drafts.save(NAME, sources(), by=save_as.get_username(), why="", revision=0)

    assert client.post(address(act), posted()).status_code == 403
    assert draft_of().revision == 1


def test_a_roll_back_takes_its_own_permission(client):
    version = publishing.publish(NAME, sources(), by="ada", why="x")
    client.force_login(staff(*set(ALL) - {"roll_back_template"}))

    answer = client.post(address("roll_back", version.number), {"seen": 1, "reason": "x"})

    assert answer.status_code == 403


def test_a_notification_leads_to_the_version_it_was_made_with(admin_client, aws, consume):
    publishing.publish(NAME, sources(), by="ada", why="x")
    aws.verify("ada@example.com")
    make_order()
    consume("orders")
    email = Notification.objects.get()

    page = text_of(admin_client.get(reverse("admin:emails_notification_change", args=[email.pk])))

    assert f'href="{address("version", 1)}"' in page
    assert "version 1, from staff" in page


def send(client, user, **fields):
    client.force_login(user)
    return text_of(
        client.post(address("edit"), posted(**{"subject.hbs": "Hello"}) | fields | {"send": "1"})
    )


def writer_with_address(*rights):
    user = staff(*ALL, *rights)
    user.email = "writer@example.com"
    user.save()
    return user


def test_a_writer_gets_the_unsaved_draft_and_no_customer_does(client, aws, consume):
    aws.verify("writer@example.com")
    real_event()

    page = send(client, writer_with_address("view_pii"), event="ORD-000777")
    consume("orders")

    assert "on its way to writer@example.com" in page and "Hello" in page
    [mail] = aws.accepted
    assert "To: writer@example.com" in mail.raw_data
    assert "Subject: [Draft] Hello" in mail.raw_data
    assert "Quer" in mail.raw_data
    assert not TemplateDraft.objects.exists()
    assert drafted(Notification.objects.get()) == "[Draft] Hello"


def drafted(notification):
    email = trials.draft_of(notification)
    return email and email.subject


def test_a_draft_with_errors_or_without_an_address_is_not_sent(client):
    assert "your account has no email address" in send(client, staff(*ALL))
    files = {"file:subject.hbs": "{{nobody}}"}
    assert "the draft has errors" in send(client, writer_with_address(), **files)
    assert not OutboxEvent.objects.exists()
