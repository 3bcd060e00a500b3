"""Versions of templates: what is in force, what emails keep, and the decisions of staff."""

from email import message_from_bytes
from typing import Any

import pytest
from django.db import transaction

from emails.errors import NoCanary, RenderError, StaleTemplate
from emails.models import Edition, EmailTemplate, Notification, TemplateVersion
from emails.rendering import templates
from emails.sending import claims, composing, limiter
from emails.sending.planning import Owed
from emails.ses import brands
from emails.versions import canary, drafts, editions, in_force, publishing
from tests.support.builders import make_order
from tests.support.owed import placed

pytestmark = pytest.mark.django_db

NAME = "order_confirmation"
DATA = templates.sample(NAME).data
FILES = {
    "subject.hbs": "Order {{order_number}}",
    "body.html.hbs": "{{#*inline 'preheader'}}x{{/inline}}"
    "{{#> layout title=order_number reason='x'}}<p>{{order_number}}</p>{{/layout}}",
    "body.txt.hbs": "{{order_number}}",
}


def publish(name=NAME, files=FILES, **others):
    return publishing.publish(name, files, by="ada", why="a try", **others)


def row() -> Any:
    return in_force.decided(NAME)


def sent(aws, consume):
    aws.verify("ada@example.com")
    make_order()
    consume("orders")
    return Notification.objects.latest("id")


def test_an_email_of_the_deployed_files_keeps_them_as_a_version(aws, consume):
    email = sent(aws, consume)

    version = email.edition.version
    assert (version.name, version.number, version.origin) == (NAME, 1, "code")
    assert version.files == templates.sources(NAME)
    assert sent(aws, consume).edition == email.edition


def test_what_staff_published_goes_before_the_deployed_files(aws, consume):
    version = publish()

    email = sent(aws, consume)

    assert email.edition.version == version
    assert in_force.render_recorded(email).subject == f"Order {email.subject}"
    assert f"Subject: Order {email.subject}" in aws.accepted[-1].raw_data


def test_an_old_email_is_made_again_after_ten_more_versions_on_another_letterhead(aws, consume):
    publish()
    email = sent(aws, consume)
    before = in_force.render_recorded(email)
    for number in range(10):
        publish(files=FILES | {"subject.hbs": f"{number}"})
    publish("partials/layout", {"source.hbs": "{{> @partial-block}}"})
    brands.save("shop", by="ada", name="Another name")
    editions.forget()

    email = Notification.objects.get(pk=email.pk)
    assert in_force.render_recorded(email) == before
    assert in_force.render(NAME, email.context).html != before.html


def test_a_roll_back_puts_an_earlier_version_in_force_and_then_the_deployed_files():
    first = publish()
    publish(files=FILES | {"subject.hbs": "Second"})

    publishing.roll_back(NAME, first.number, by="bob", why="a typo")
    assert in_force.render(NAME, DATA).subject == f"Order {DATA['order_number']}"
    publishing.roll_back(NAME, None, by="bob", why="back to the code")
    assert in_force.render(NAME, DATA) == templates.render(NAME, DATA)
    assert (row().revision, row().by, row().why) == (4, "bob", "back to the code")


def test_same_files_are_the_same_version_however_often_they_are_published():
    assert publish() == publish()
    assert TemplateVersion.objects.filter(name=NAME).count() == 1


def test_a_decision_on_an_old_page_changes_nothing():
    publish()
    with pytest.raises(StaleTemplate, match="ada changed order_confirmation"):
        publish(files=FILES | {"subject.hbs": "x"}, revision=0)
    with pytest.raises(StaleTemplate):
        publishing.roll_back(NAME, None, by="bob", why="", revision=7)
    assert row().revision == 1


def test_files_without_valid_syntax_are_not_published():
    with pytest.raises(RenderError, match="subject.hbs: line 1"):
        publish(files=FILES | {"subject.hbs": "{{#if x}}"})
    assert not TemplateVersion.objects.exists()
    assert not EmailTemplate.objects.filter(name=NAME).exists()


def test_a_partial_reaches_templates_of_staff_and_those_of_the_code():
    publish()
    accent = {"source.hbs": "{{> @partial-block}}<p>new layout</p>"}
    version = publish("partials/layout", accent)

    for name in templates.names():
        html = in_force.render(name, templates.sample(name).data).html
        assert "new layout" in html, name
    carried = row().published
    assert (carried.number, carried.origin, carried.why) == (
        2,
        "partial",
        "partials/layout version 1",
    )
    alert = TemplateVersion.objects.get(pk=in_force.version_id("transaction_alert"))
    assert (alert.origin, alert.files["partials/layout.hbs"]) == ("partial", accent["source.hbs"])
    publishing.roll_back("partials/layout", None, by="ada", why="")
    assert version.number == 1
    assert "new layout" not in in_force.render("transaction_alert", ALERT).html


def test_the_partial_of_the_code_comes_back_to_templates_of_staff_too():
    publish()
    publish("partials/layout", {"source.hbs": "{{> @partial-block}}"})

    publishing.roll_back("partials/layout", None, by="ada", why="")

    assert row().published.number == 1
    assert row().why == "partials/layout of the code"


def test_line_ends_of_windows_make_no_other_version():
    windows = {name: text + "\r\n" for name, text in FILES.items()}
    assert publish(files=windows) == publish(
        files={name: f"{text}\n" for name, text in FILES.items()}
    )


ALERT = templates.sample("transaction_alert").data


def test_the_claim_decides_and_what_was_rendered_before_it_is_rendered_again(
    aws, consume, monkeypatch
):
    """A version that was rolled back while an email waited for its slot is not sent."""
    publish(files=FILES | {"subject.hbs": "Rolled back"})
    wait = limiter.wait_for_slots

    def roll_back_meanwhile(count):
        publishing.roll_back(NAME, None, by="ada", why="wrong")
        return wait(count)

    monkeypatch.setattr(limiter, "wait_for_slots", roll_back_meanwhile)

    email = sent(aws, consume)

    assert email.edition.version.origin == "code"
    assert "Rolled back" not in aws.accepted[-1].raw_data


def test_a_draft_is_saved_published_and_gone():
    draft = drafts.save(NAME, templates.own_sources(NAME), by="ada", why="", revision=0)
    assert draft.base and draft.base.origin == "code"
    draft = drafts.save(NAME, FILES, by="bob", why="shorter", revision=draft.revision)
    for before in (0, 1):
        with pytest.raises(StaleTemplate, match="bob saved this draft"):
            drafts.save(NAME, {}, by="ada", why="", revision=before)

    version = drafts.publish(NAME, by="bob", why="shorter", revision=draft.revision, force=True)

    assert drafts.of(NAME) is None
    assert (version.by, version.why, version.origin) == ("bob", "shorter", "staff")
    assert publishing.own_files(version.files) == FILES
    with pytest.raises(StaleTemplate, match="no draft"):
        drafts.publish(NAME, by="bob", why="", revision=2)


def test_a_thousand_old_emails_are_made_again_byte_for_byte():
    """Mixed versions, letterheads and languages; the raw email, as SES got it, is compared."""
    emails = []
    for number in range(10):
        if number % 3:
            publish(
                files=templates.own_sources(NAME)
                | {"subject.hbs": f"{number} {{{{order_number}}}}"}
            )
        if number % 4 == 1:
            brands.save("shop", by="ada", name=f"Shop {number}")
        emails += [
            _claimed(number, locale) for locale in ("", "de", "ar-EG", "fr") for _ in range(25)
        ]
    publish(files=FILES)
    editions.forget()

    assert len(emails) == 1000
    for held, raw in emails:
        row = Notification.objects.get(pk=held.notification.pk)
        assert _raw(held, in_force.render_recorded(row)) == raw
    assert Edition.objects.count() == 8


def _claimed(number, locale):
    event = placed()
    event.data.update(locale=locale, order_number=f"ORD-{number}")
    email = in_force.render_to_send(NAME, event.data)
    owed = Owed(event, NAME, "ada@example.com", edition=email.edition)
    [held] = claims.claim_owed([owed])
    return held, _raw(held, email)


def _raw(held, rendered):
    """The subject and both parts as bytes; headers that change with each writing are left out."""
    message = message_from_bytes(composing.message(held, rendered).message().as_bytes())
    parts = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    return message["Subject"], parts


def test_what_staff_do_in_vain_leaves_no_version_in_mind_that_is_gone():
    same = publishing.own_files(in_force.sources(NAME))
    with pytest.raises(NoCanary):
        canary.start(NAME, same, by="ada", why="")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        drafts.save(NAME, same, by="ada", why="", revision=0)
        1 / 0  # noqa: B018

    assert TemplateVersion.objects.filter(pk=in_force.version_id(NAME)).exists()


def test_a_draft_is_rebased_once_another_version_came_into_force():
    draft = drafts.save(NAME, FILES, by="ada", why="", revision=0)
    in_force.version_id(NAME)
    assert not drafts.is_rebased(draft)
    publish(files=FILES | {"subject.hbs": "x"})
    assert drafts.is_rebased(draft)


def test_files_with_a_partial_of_staff_are_compiled_once():
    publish("partials/layout", {"source.hbs": "{{> @partial-block}}"})

    assert in_force.files(NAME) is in_force.files(NAME)
    publish("partials/layout", {"source.hbs": "new {{> @partial-block}}"})
    assert "new" in in_force.render(NAME, DATA).html
