"""Keep what emails are made with, so that each can be made again: a version of its template, on a letterhead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from functools import lru_cache

from django.db import IntegrityError, models, transaction

from emails.errors import RenderError
from emails.models import Edition, TemplateVersion
from emails.models.templates import digest_of
from emails.rendering import templates
from emails.rendering.templates import Files, Letterhead, Rendered
from queues.threads.writer import by_one_thread

# Versions and letterheads change seldom; what is known is known for good.
_known: dict[tuple[int, Letterhead], int] = {}


def of(version_id: int, letterhead: Letterhead) -> int:
    """Return the number of the edition, which is saved the first time."""
    key = (version_id, letterhead)
    found = _known.get(key)
    if found is None:
        found = _known[key] = _saved(version_id, asdict(letterhead))
    return found


def version_of(template: str, files: Mapping[str, str], **made: str) -> TemplateVersion:
    """Return the version of a template that has these files; it is saved, with the next number, if there is none.

    ``made`` says how it was made: ``origin``, ``by``, ``why``.
    """
    digest = digest_of(files)
    while True:
        same = TemplateVersion.objects.filter(name=template, digest=digest).first()
        if same is not None:
            return same
        try:
            with transaction.atomic():
                return TemplateVersion.objects.create(
                    name=template, number=_next(template), files=files, digest=digest, **made
                )
        except IntegrityError:
            # Another process took the number, or saved the same files.
            continue


def deployed(name: str) -> dict[str, str]:
    """Return the deployed files of a template or partial; none if they are gone or broken."""
    try:
        if name.startswith("partials/"):
            return {"source.hbs": templates.partials()[f"{name}.hbs"]}
        return templates.sources(name)
    except (KeyError, RenderError):
        return {}


def render_again(edition_id: int, context: Mapping[str, object]) -> Rendered:
    """Render an email as it was rendered with this edition; raises RenderError."""
    edition = _edition(edition_id)
    letterhead = _letterhead(edition.letterhead)
    email = compiled(edition.version_id).render(context, letterhead)
    return replace(email, edition=edition_id)


@lru_cache(256)
def compiled(version_id: int) -> Files:
    """Return the files of a version, compiled; raises RenderError if there is none, or a partial is broken."""
    version = _version(version_id)
    return templates.of_sources(version.name, version.files)


def sources(version_id: int) -> dict[str, str]:
    """Return the source of each file of a version; raises RenderError if there is none."""
    return dict(_version(version_id).files)


def forget() -> None:
    """Forget what is known, between tests: their databases have other rows with the same numbers."""
    _known.clear()
    compiled.cache_clear()
    _version.cache_clear()
    _edition.cache_clear()


def _next(template: str) -> int:
    last = TemplateVersion.objects.filter(name=template).aggregate(last=models.Max("number"))
    return (last["last"] or 0) + 1


def _letterhead(saved: Mapping[str, str]) -> Letterhead:
    """Read a letterhead that another release saved: one before had fewer parts, one after may have more."""
    known = {part.name for part in fields(Letterhead)}
    return Letterhead(**{name: value for name, value in saved.items() if name in known})


@by_one_thread
def _saved(version_id: int, letterhead: dict[str, str]) -> int:
    digest = digest_of({"version": version_id, "letterhead": letterhead})
    edition, _ = Edition.objects.get_or_create(
        digest=digest, defaults={"version_id": version_id, "letterhead": letterhead}
    )
    return edition.pk


@lru_cache(256)
def _version(version_id: int) -> TemplateVersion:
    return _read_version(version_id)


@by_one_thread
def _read_version(version_id: int) -> TemplateVersion:
    version = TemplateVersion.objects.filter(pk=version_id).first()
    if version is None:
        raise RenderError(f"there is no template version {version_id}")
    return version


@lru_cache(256)
def _edition(edition_id: int) -> Edition:
    return _read_edition(edition_id)


@by_one_thread
def _read_edition(edition_id: int) -> Edition:
    edition = Edition.objects.filter(pk=edition_id).first()
    if edition is None:
        raise RenderError(f"there is no edition {edition_id}")
    return edition
