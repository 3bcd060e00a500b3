"""Compare the email templates of the deployed code with what staff put in force, for ``manage.py doctor``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from django.utils import timezone

from emails.checking import checker
from emails.checking.findings import Level, Problem
from emails.editing import catalog
from emails.errors import RenderError
from emails.models import EmailTemplate, TemplateDraft, TemplateVersion
from emails.rendering import templates
from emails.transfer import changes
from emails.versions import editions, publishing
from queues.doctor.findings import Finding, Verdict, doctor_check
from queues.events import schemas

# A draft that nobody saves for so long is forgotten.
DRAFT_DAYS = 14


@doctor_check("Templates")
def look() -> Iterable[Finding]:
    """Say where staff's text stands before the code's, which of it is overtaken or broken, and which drafts are old."""
    rows = EmailTemplate.objects.filter(published__isnull=False).select_related("published")
    for row in rows:
        if row.published:
            yield from _compared(row, row.published)
    if not rows:
        yield Finding("templates.code", "All email templates are those of the deployed code.")
    yield from _old_drafts()


def _compared(row: EmailTemplate, version: TemplateVersion) -> Iterator[Finding]:
    if errors := [each for each in _problems(version) if each.level == Level.ERROR]:
        yield Finding(
            "templates.broken",
            f"{version}, in force, has {len(errors)} error(s): {errors[0]}",
            Verdict.ERROR,
            why="Emails of some or all events become dead letters. The events may have changed with the code.",
            fix=f"Edit it under Templates and publish it, or roll back; then redrive. {errors[0].hint}".strip(),
        )
    code = editions.deployed(row.name)
    if catalog.is_caught_up(row):
        yield Finding(
            "templates.caught_up",
            f"The code has caught up with {version}: it has the same text.",
            Verdict.NOTE,
            why="As long as that version is in force, no deployment changes this text.",
            fix="Go back to the code: its page under Templates, Roll back. No email changes.",
        )
    elif catalog.is_overtaken(row):
        yield Finding(
            "templates.overtaken",
            f"The code of {row.name} changed after {row.by or 'staff'} published {version}.",
            Verdict.WARNING,
            why=f"The change of the code is not in force. It differs in {_difference(code, version)}.",
            fix=f"Take the text of staff into the code: python manage.py export_templates {row.name}. "
            "Or go back to the code, or publish again: its page under Templates.",
        )
    else:
        yield Finding(
            "templates.partial" if row.name.startswith("partials/") else "templates.staff",
            f"{version} is in force, by {row.by or 'staff'}, not the code: {_difference(code, version)}.",
            Verdict.NOTE,
            why="It goes before the code; a partial changes each template that uses it.",
            fix=f"Take it into the code: python manage.py export_templates {row.name}",
        )


def _difference(code: Mapping[str, str], version: TemplateVersion) -> str:
    own = publishing.own_files(code), publishing.own_files(version.files)
    return "; ".join(changes.summary(*own) or changes.summary(code, version.files))


def _problems(version: TemplateVersion) -> list[Problem]:
    """Check a template as if it were published now; partials are checked with the templates that use them."""
    if version.name.startswith("partials/"):
        return []
    try:
        sample = templates.sample(version.name)
    except RenderError:
        # The code knows this template no more, so nothing sends it.
        return []
    schema = schemas.data_schema(sample.type)
    return checker.problems(version.files, schema, sample=sample.data)


def _old_drafts() -> Iterator[Finding]:
    now = timezone.now()
    old = now - timedelta(days=DRAFT_DAYS)
    for draft in TemplateDraft.objects.filter(changed_at__lt=old).order_by("changed_at"):
        yield Finding(
            "templates.old_draft",
            f"The draft of {draft.name} by {draft.by} was saved last {(now - draft.changed_at).days} days ago.",
            Verdict.NOTE,
            why="What was published since is not in it, and others wait for it or write over it.",
            fix="Publish or discard it: its page under Templates.",
        )
