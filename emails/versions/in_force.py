"""Know which version of each template is in force: the one that staff published, or the files of the deployed code.

Every process asks the database again after ``FRESH_SECONDS``, by one query for all templates. So a publication and a
roll-back are in force everywhere within seconds, and cost no query per email.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from django.conf import settings

from emails.models import EmailTemplate, Notification, TemplateVersion
from emails.rendering import templates
from emails.rendering.templates import Files, Letterhead, Rendered
from emails.ses import brands
from emails.versions import editions
from queues.threads.fresh import Fresh
from queues.threads.writer import by_one_thread

FRESH_SECONDS = 2.0

Origin = TemplateVersion.Origin


class _Deployed(NamedTuple):
    """A template of the deployed code, with the partials of staff that it may use."""

    template: str
    partials: tuple[tuple[str, int], ...]
    stamp: object


def render(template: str, context: Mapping[str, object]) -> Rendered:
    """Render an email on the letterhead of its brand, to look at; raises RenderError and DatabaseError.

    Nothing is saved. What is sent is rendered by ``render_to_send``.
    """
    return files(template).render(context, letterhead(template))


def render_to_send(template: str, context: Mapping[str, object]) -> Rendered:
    """Render an email that is to be sent, and keep what it is made with; raises RenderError and DatabaseError."""
    version, head = version_id(template), letterhead(template)
    email = editions.compiled(version).render(context, head)
    return replace(email, edition=editions.of(version, head))


def render_recorded(notification: Notification) -> Rendered:
    """Render an email as its last claim decided, or as it would be now if none did.

    Raises RenderError and DatabaseError.
    """
    edition, context = notification.edition_id, notification.context
    if edition is None:
        return render(notification.template, context)
    return editions.render_again(edition, context)


def edition(template: str) -> int:
    """Return the edition with which an email of this template is made now; raises RenderError and DatabaseError."""
    return editions.of(version_id(template), letterhead(template))


def files(template: str) -> Files:
    """Return the files that are in force, compiled; raises RenderError and DatabaseError."""
    row = decided(template)
    if row and row.published_id:
        return editions.compiled(row.published_id)
    if not _partials_of_staff():
        return templates.of_code(template)
    key = _deployed(template)
    if key not in _files:
        _files[key] = templates.of_sources(template, sources(template))
    return _files[key]


def sources(name: str) -> dict[str, str]:
    """Return the source of each file that is in force, those of the partials that it uses too; raises RenderError.

    ``name`` is that of a template, or of a partial: ``partials/layout``.
    """
    row = decided(name)
    if row and row.published_id:
        return editions.sources(row.published_id)
    if name.startswith("partials/"):
        return {"source.hbs": templates.partials()[f"{name}.hbs"]}
    return templates.closed(templates.own_sources(name), partials())


def partials() -> dict[str, str]:
    """Return the source of each partial that is in force, by names such as ``partials/layout.hbs``."""
    return templates.partials() | {
        f"{name}.hbs": editions.sources(version)["source.hbs"]
        for name, version in _partials_of_staff()
    }


def version_id(template: str) -> int:
    """Return the version in force; that of the deployed code is saved the first time, and its number remembered.

    Do not call it in a transaction that may be rolled back: the version would be gone, and its number still known.
    Raises RenderError and DatabaseError.
    """
    row = decided(template)
    return row.published_id if row and row.published_id else _of_code(template)


def version(name: str) -> TemplateVersion:
    """Return the version of a template or partial in force, also in a transaction; that of the code may be saved now.

    Raises RenderError and DatabaseError.
    """
    row = decided(name)
    return row.published if row and row.published else _saved(_deployed(name), sources(name))


def decided(name: str) -> EmailTemplate | None:
    """Return what staff decided about a template or partial; None if nobody did."""
    return _decided.get().get(name)


def letterhead(template: str) -> Letterhead:
    """Return the letterhead on which emails of this template are written now."""
    return brands.letterhead(brands.in_force(brands.of(template)))


def forget() -> None:
    """Ask the database for the next email: after a decision here, and between tests."""
    _decided.forget()
    _code.clear()
    _files.clear()


def _partials_of_staff() -> tuple[tuple[str, int], ...]:
    return tuple(
        (name, row.published_id)
        for name, row in sorted(_decided.get().items())
        if row.published_id and name.startswith("partials/")
    )


def _of_code(template: str) -> int:
    """Return the version of the deployed files, which use the partials that are in force."""
    key = _deployed(template)
    found = _code.get(key)
    if found is None:
        found = _code[key] = _saved(key, sources(template)).pk
    return found


def _deployed(template: str) -> _Deployed:
    """Return what the files of the deployed code depend on."""
    # They stay as they are while a process runs; those of a developer do not.
    stamp = templates.engine().stamp() if settings.DEBUG else None
    return _Deployed(template, _partials_of_staff(), stamp)


@by_one_thread
def _saved(key: _Deployed, files: Mapping[str, str]) -> TemplateVersion:
    origin = Origin.PARTIAL if key.partials else Origin.CODE
    return editions.version_of(key.template, files, origin=origin)


def _read() -> dict[str, EmailTemplate]:
    return {row.name: row for row in EmailTemplate.objects.select_related("canary")}


_code: dict[_Deployed, int] = {}
_files: dict[_Deployed, Files] = {}
_decided = Fresh(_read, seconds=FRESH_SECONDS)
