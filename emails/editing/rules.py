"""Say what bars a draft from being published."""

from __future__ import annotations

from django.conf import settings

from emails.editing import checks
from emails.models import TemplateDraft
from emails.versions.drafts import bars


@bars
def why_not_publish(draft: TemplateDraft, by: str) -> list[str]:
    """Return a sentence for each reason why this person may not publish the draft; none if they may.

    The draft is checked again: what it is rendered with may have changed since it was saved.
    """
    return [*_second_person(draft, by), *_errors(draft)]


def _second_person(draft: TemplateDraft, by: str) -> list[str]:
    if not settings.TEMPLATE_SECOND_PERSON or draft.by != by:
        return []
    return [
        "You saved this draft last, and a second person must publish it (TEMPLATE_SECOND_PERSON)."
    ]


def _errors(draft: TemplateDraft) -> list[str]:
    found = checks.errors(checks.problems(draft.name, draft.files))
    return [f"{each.file}:{each.line}:{each.column}: {each.message}." for each in found]
