"""Keep the open draft of a template or partial; there is one for each, which staff work on together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from django.db import IntegrityError, transaction

from emails.errors import Barred, StaleTemplate
from emails.models import TemplateDraft, TemplateVersion
from emails.versions import in_force, publishing
from queues.registry import Hook

# Say why this user must not publish a draft now, in sentences for staff; none means that they may. They are asked in
# the transaction that publishes it.
bars: Hook[Callable[[TemplateDraft, str], Iterable[str]]] = Hook()


def of(name: str) -> TemplateDraft | None:
    """Return the open draft of a template or partial, if there is one."""
    return TemplateDraft.objects.select_related("base").filter(name=name).first()


def save(name: str, files: Mapping[str, str], *, by: str, why: str, revision: int) -> TemplateDraft:
    """Save the draft, or begin one if ``revision`` is 0; raises StaleTemplate if somebody saved or ended it since."""
    base = None if revision else in_force.version(name)
    new = TemplateDraft(name=name, base=base, revision=0)
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
def publish(name: str, *, by: str, why: str, revision: int, force: bool = False) -> TemplateVersion:
    """Publish the draft, which ends it; raises Barred, StaleTemplate and RenderError. See ``publishing.publish``.

    ``force``: whatever bars it. No page can do that; it is for a shell, when the rehearsal itself is the trouble.
    """
    draft = ready(name, by=by, revision=revision, force=force)
    version = publishing.publish(name, draft.files, by=by, why=why)
    draft.delete()
    return version


def ready(name: str, *, by: str, revision: int, force: bool = False) -> TemplateDraft:
    """Return the draft, locked in the caller's transaction, if this user may publish it; raises as ``publish``."""
    publishing.lock()
    draft = _locked(name, revision)
    if draft is None:
        raise StaleTemplate(_stale(name, None))
    if not force and (reasons := why_barred(draft, by)):
        raise Barred(" ".join(reasons))
    return draft


def end_if(name: str, files: Mapping[str, str]) -> None:
    """Drop the draft if it has just these files, which are published now."""
    draft = of(name)
    if draft and draft.files == dict(files):
        draft.delete()


def is_rebased(draft: TemplateDraft) -> bool:
    """Return True if another version came into force after the draft was begun, and the draft would undo it."""
    return draft.base is not None and draft.base.files != in_force.sources(draft.name)


def why_barred(draft: TemplateDraft, by: str) -> list[str]:
    """Return why this user must not publish this draft now; nothing if they may."""
    return [reason for bar in bars for reason in bar(draft, by)]


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
