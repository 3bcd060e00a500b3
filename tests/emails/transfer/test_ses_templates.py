"""Templates that SES stores become drafts, and what does not work here is named."""

import pytest
from botocore.stub import Stubber
from django.core.management import call_command
from django.core.management.base import CommandError

from emails.management.commands import import_ses_templates
from emails.models import EmailTemplate, TemplateDraft
from emails.rendering import templates
from emails.ses import ses_api, stored_templates

pytestmark = pytest.mark.django_db

NAME = "order_confirmation"
GOOD = {
    "Subject": "Order {{order_number}}",
    "Html": "{{#*inline 'preheader'}}x{{/inline}}<p>{{order_number}}</p>",
    "Text": "Order\r\n{{order_number}}\r\n",
}


@pytest.fixture
def ses(aws, monkeypatch):
    monkeypatch.setattr(stored_templates, "SECONDS_BETWEEN_CALLS", 0)
    with Stubber(ses_api.api_v2()) as stub:
        yield stub
        stub.assert_no_pending_responses()


def answer(ses, name=NAME, **content):
    ses.add_response(
        "get_email_template",
        {"TemplateName": name, "TemplateContent": content},
        {"TemplateName": name},
    )


def load(*arguments):
    call_command(import_ses_templates.Command(), *arguments)


def test_all_pages_of_ses_are_read_and_names_that_we_know_become_drafts(ses, capsys):
    for token, expected, names in (
        ("next", {"PageSize": 10}, ["promotion"]),
        (None, {"PageSize": 10, "NextToken": "next"}, [NAME]),
    ):
        found = {"TemplatesMetadata": [{"TemplateName": name} for name in names]}
        ses.add_response(
            "list_email_templates", found | ({"NextToken": token} if token else {}), expected
        )
    answer(ses, **GOOD)

    load()

    draft = TemplateDraft.objects.get()
    assert draft.files == templates.own_sources(NAME) | {
        "subject.hbs": GOOD["Subject"],
        "body.html.hbs": GOOD["Html"],
        "body.txt.hbs": "Order\n{{order_number}}\n",
    }
    said = capsys.readouterr()
    assert "promotion: left out, no template here has this name." in said.err
    assert "Here they are escaped" in said.out
    assert not EmailTemplate.objects.exists()


def test_what_does_not_work_here_is_named_by_line_and_stays_in_the_draft(ses, capsys):
    html = "<p>x</p>\n<p>{{favoriteanimal}}</p>\n{{#if note}}{{{note}}}{{/if}}"
    answer(ses, **GOOD | {"Html": html})

    load(NAME)

    lines = capsys.readouterr().out.splitlines()
    assert any(
        f'{NAME}/body.html.hbs:2:6: error: the event has no "favoriteanimal"' in x for x in lines
    )
    assert any(f"{NAME}/body.html.hbs:3:" in line for line in lines)
    assert TemplateDraft.objects.get().files["body.html.hbs"] == html


def test_a_name_that_no_template_has_says_what_it_needs(ses):
    with pytest.raises(
        CommandError, match=r'Did you mean "order_confirmation"\? It needs an event'
    ):
        load("order_confirmations")


def test_a_draft_of_somebody_else_stays(ses):
    TemplateDraft.objects.create(name=NAME, files={"subject.hbs": "x"}, by="ada")
    answer(ses, **GOOD)

    with pytest.raises(CommandError, match="ada has an open draft"):
        load(NAME)
    assert TemplateDraft.objects.get().files == {"subject.hbs": "x"}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("TooManyRequestsException", "about once a second"),
        ("AccessDeniedException", "ses:GetEmailTemplate is missing"),
        ("NotFoundException", "SES stores no template of this name"),
    ],
)
def test_what_ses_refuses_is_said(ses, code, words):
    ses.add_client_error("get_email_template", code, "no", 400)

    with pytest.raises(CommandError, match=words):
        load(NAME)
    assert not TemplateDraft.objects.exists()
