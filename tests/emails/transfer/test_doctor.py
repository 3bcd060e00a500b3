"""What the doctor says of templates: where the text of staff stands before the code's."""

import json
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from emails.doctor import templates as doctor
from emails.models import EmailTemplate, TemplateDraft
from emails.rendering import templates
from emails.versions import in_force, publishing
from queues.doctor.findings import Verdict
from tests.emails.transfer.test_files import (  # noqa: F401  # a fixture
    LAYOUT,
    NAME,
    OWN,
    SUBJECT,
    code,
    export,
    publish,
)

pytestmark = pytest.mark.django_db


def findings():
    return {finding.key: finding for finding in doctor.look()}


def test_code_in_force_is_good():
    assert [(each.key, each.verdict) for each in doctor.look()] == [
        ("templates.code", Verdict.GOOD)
    ]


def test_the_text_of_staff_is_named_with_what_it_changes():
    publish(**SUBJECT)

    found = findings()

    assert found.keys() == {"templates.staff"}
    finding = found["templates.staff"]
    assert finding.what == (
        f"{NAME} version 1 is in force, by ada, not the code: subject.hbs +1 -1."
    )
    assert finding.fix.endswith(f"python manage.py export_templates {NAME}")


def test_a_partial_of_staff_is_named():
    publish(LAYOUT, **{"source.hbs": templates.partials()["partials/layout.hbs"] + "\n"})

    assert "partials/layout version 1" in findings()["templates.partial"].what


def page(admin_client):
    return admin_client.get(reverse("admin:emails_emailtemplate_change", args=[NAME])).text


def test_code_that_has_the_text_of_staff_has_caught_up(code, admin_client):  # noqa: F811
    publish(LAYOUT, **{"source.hbs": templates.partials()["partials/layout.hbs"] + "\n"})
    publish(**SUBJECT)

    export(to=code)

    assert [each.key for each in doctor.look()] == ["templates.caught_up"] * 2
    back = reverse("admin:emails_emailtemplate_roll_back", args=[NAME, 0])
    assert f'href="{back}">Go back to the code</a>' in page(admin_client)
    assert "The deployed code has changed" not in page(admin_client)
    version = in_force.version_id(NAME)
    for name in (NAME, LAYOUT):
        publishing.roll_back(name, None, by="bob", why="caught up")
    assert in_force.version_id(NAME) == version
    assert findings().keys() == {"templates.code"}


def test_code_that_changed_after_staff_published_is_named(code):  # noqa: F811
    publish(**SUBJECT)
    (code / NAME / "body.txt.hbs").write_text("A new text\n")

    finding = findings()["templates.overtaken"]

    assert finding.verdict == Verdict.WARNING
    assert finding.what == f"The code of {NAME} changed after ada published {NAME} version 1."
    assert "body.txt.hbs +" in finding.why


def test_a_version_that_no_longer_fits_its_events_is_an_error(code):  # noqa: F811
    publish(**{"subject.hbs": "{{order_number}} {{currency}}\n"})
    path = code / NAME / "sample.json"
    sample = json.loads(path.read_text())
    del sample["data"]["currency"]
    path.write_text(json.dumps(sample))

    finding = findings()["templates.broken"]

    assert finding.verdict == Verdict.ERROR
    assert finding.what.startswith(f"{NAME} version 1, in force, has ")


def test_a_template_that_the_code_knows_no_more_breaks_nothing(code):  # noqa: F811
    publish(**SUBJECT)
    EmailTemplate.objects.create(name="gone", published=in_force._read()[NAME].published)
    for path in (code / NAME).iterdir():
        path.is_file() and path.unlink()

    assert findings().keys() == {"templates.overtaken"}


def test_a_draft_that_nobody_saved_for_two_weeks_is_named():
    TemplateDraft.objects.create(name=NAME, files=OWN, by="ada")
    assert "templates.old_draft" not in findings()
    TemplateDraft.objects.update(changed_at=timezone.now() - timedelta(days=15))

    finding = findings()["templates.old_draft"]

    assert finding.what == f"The draft of {NAME} by ada was saved last 15 days ago."
