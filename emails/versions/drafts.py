"""Keep the open draft of a template or partial; there is one for each, which staff work on together."""

from __future__ import annotations

from collections.abc import Mapping

from django.db import IntegrityError, transaction

from emails.errors import StaleTemplate
from emails.models import TemplateDraft, TemplateVersion
from emails.versions import in_force, publishing


def of(name: str) -> TemplateDraft | None:
    """Return the open draft of a template or partial, if there is one."""
    return TemplateDraft.objects.select_related("base").filter(name=name).first()


def save(name: str, files: Mapping[str, str], *, by: str, why: str, revision: int) -> TemplateDraft:
    """Save the draft, or begin one if ``revision`` is 0; raises StaleTemplate if somebody saved or ended it since."""
    base = None if revision else in_force.version_id(name)
    new = TemplateDraft(name=name, base_id=base, revision=0)
    try:
        with transaction.atomic():
            draft = _locked(name, revision) or new
            draft.files, draft.by, draft.why = dict(files), by, why
            draft.revision += 1
            draft.save(force_insert=not revision)
            return draft
    except IntegrityError:
        raise StaleTemplate(_stale(name, of(name))) from None


@transaction.atomic
def discard(name: str, *, revision: int) -> None:
    """Drop the draft; raises StaleTemplate if somebody saved or ended it since."""
    if draft := _locked(name, revision):
        draft.delete()


@transaction.atomic
def publish(name: str, *, by: str, why: str, revision: int) -> TemplateVersion:
    """Publish the draft, which ends it; raises StaleTemplate and RenderError. See ``publishing.publish``."""
    draft = _locked(name, revision)
    if draft is None:
        raise StaleTemplate(_stale(name, None))
    version = publishing.publish(name, draft.files, by=by, why=why)
    draft.delete()
    return version


def _locked(name: str, revision: int) -> TemplateDraft | None:
    """Return the draft, which nobody else changes now; None if there is none and ``revision`` is 0."""
    draft = TemplateDraft.objects.select_for_update().filter(name=name).first()
    if (draft.revision if draft else 0) != revision:
        raise StaleTemplate(_stale(name, draft))
    return draft


def _stale(name: str, draft: TemplateDraft | None) -> str:
    if draft is None:
        return f"There is no draft of {name} any more: somebody published or discarded it."
    return f"{draft.by} saved this draft in the meantime. Your text is kept on this page."
