"""Keep the open draft of a template or partial; there is one for each, which staff work on together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from django.db import transaction

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


def begin(name: str, *, by: str) -> TemplateDraft:
    """Return the open draft, which is begun from what is in force if there is none; raises RenderError."""
    row = in_force.decided(name)
    files = publishing.own_files(in_force.sources(name))
    draft, _ = TemplateDraft.objects.get_or_create(
        name=name, defaults={"files": files, "base": row.published if row else None, "by": by}
    )
    return draft


def save(name: str, files: Mapping[str, str], *, by: str, why: str, revision: int) -> TemplateDraft:
    """Save the draft; raises StaleTemplate if somebody saved or ended it after ``revision``."""
    with transaction.atomic():
        draft = TemplateDraft.objects.select_for_update().filter(name=name).first()
        if draft is None or draft.revision != revision:
            raise StaleTemplate(_stale(name, draft))
        draft.files, draft.by, draft.why = dict(files), by, why
        draft.revision += 1
        draft.save()
        return draft


def discard(name: str) -> bool:
    """Drop the draft; False if there is none."""
    deleted, _ = TemplateDraft.objects.filter(name=name).delete()
    return bool(deleted)


@transaction.atomic
def publish(name: str, *, by: str, why: str, revision: int, force: bool = False) -> TemplateVersion:
    """Publish the draft, which ends it; raises Barred, StaleTemplate and RenderError. See ``publishing.publish``.

    ``force``: whatever bars it. No page can do that; it is for a shell, when the rehearsal itself is the trouble.
    """
    publishing.lock()
    draft = TemplateDraft.objects.select_for_update().filter(name=name).first()
    if draft is None or draft.revision != revision:
        raise StaleTemplate(_stale(name, draft))
    if not force and (reasons := why_barred(draft, by)):
        raise Barred(" ".join(reasons))
    version = publishing.publish(name, draft.files, by=by, why=why)
    draft.delete()
    return version


def why_barred(draft: TemplateDraft, by: str) -> list[str]:
    """Return why this user must not publish this draft now; nothing if they may."""
    return [reason for bar in bars for reason in bar(draft, by)]


def _stale(name: str, draft: TemplateDraft | None) -> str:
    if draft is None:
        return f"There is no draft of {name} any more: somebody published or discarded it."
    return f"{draft.by} saved this draft in the meantime. Your text is kept on this page."
