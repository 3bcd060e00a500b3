"""Publish versions of templates and partials, and go back to earlier ones, each in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from django.db import transaction

from emails.errors import StaleTemplate
from emails.models import EmailTemplate, TemplateVersion
from emails.models.templates import digest_of
from emails.rendering import templates
from emails.versions import editions, in_force

logger = logging.getLogger(__name__)

Origin = TemplateVersion.Origin

# No template has this name.
_LOCK = ""


def publish(
    name: str,
    files: Mapping[str, str],
    *,
    by: str,
    why: str,
    revision: int | None = None,
    origin: Origin = Origin.STAFF,
) -> TemplateVersion:
    """Make a version of these files and put it in force; returns it.

    ``files`` are those of the template's folder, or ``source.hbs`` of a partial; the partials that are in force come
    with them. ``revision`` is the one that was read before: raises StaleTemplate if somebody decided meanwhile, and
    RenderError if a file has no valid syntax.
    """
    with transaction.atomic():
        _decide(name, revision)
        version = editions.version_of(name, _closed(name, files), origin=origin, by=by, why=why)
        _put_in_force(name, version, by=by, why=why)
        if name.startswith("partials/"):
            _carry_on(name, version, by=by)
    in_force.forget()
    logger.warning("template published name=%s version=%d", name, version.number)
    return version


def roll_back(
    name: str, number: int | None, *, by: str, why: str, revision: int | None = None
) -> TemplateVersion | None:
    """Put an earlier version in force again, or, without a number, the files of the deployed code.

    Raises StaleTemplate if somebody decided after ``revision``, and TemplateVersion.DoesNotExist.
    """
    with transaction.atomic():
        _decide(name, revision)
        version = number and TemplateVersion.objects.get(name=name, number=number)
        _put_in_force(name, version or None, by=by, why=why)
        if name.startswith("partials/"):
            _carry_on(name, version or None, by=by)
    in_force.forget()
    logger.warning("template rolled back name=%s version=%s", name, number or "of the code")
    return version or None


def lock() -> None:
    """Wait for other decisions, and keep them out until the transaction ends.

    A partial changes many templates, so there is one lock for all.
    """
    EmailTemplate.objects.get_or_create(name=_LOCK)
    EmailTemplate.objects.select_for_update().get(name=_LOCK)
    in_force.forget()
    # Another thread may read again before this transaction is committed.
    transaction.on_commit(in_force.forget)


def own_files(files: Mapping[str, str]) -> dict[str, str]:
    """Return the files of a template without the partials that came along."""
    return {name: text for name, text in files.items() if not name.startswith("partials/")}


def _decide(name: str, revision: int | None) -> None:
    """Wait for other decisions, and make the template's row if there is none; raises StaleTemplate."""
    lock()
    row, _ = EmailTemplate.objects.get_or_create(name=name)
    if revision is not None and row.revision != revision:
        raise StaleTemplate(
            f"{row.by} changed {name} in the meantime. Look at what is in force now."
        )
    row.deployed = digest_of(editions.deployed(name))
    row.save(update_fields=["deployed"])


def _put_in_force(name: str, version: TemplateVersion | None, *, by: str, why: str) -> None:
    row = EmailTemplate.objects.get(name=name)
    row.published, row.by, row.why, row.revision = version, by, why, row.revision + 1
    row.save()


def _carry_on(partial: str, version: TemplateVersion | None, *, by: str) -> None:
    """Give each template that staff published, and that uses this partial, a version with the new one.

    Without a version the partial is that of the deployed code; where that has none, the templates keep theirs.
    """
    source = version.files["source.hbs"] if version else templates.partials().get(f"{partial}.hbs")
    if source is None:
        return
    used = EmailTemplate.objects.filter(published__isnull=False).exclude(
        name__startswith="partials/"
    )
    for row in used.select_related("published"):
        files = row.published.files if row.published else {}
        if f"{partial}.hbs" not in files:
            continue
        known = in_force.partials() | {f"{partial}.hbs": source}
        why = f"{partial} version {version.number}" if version else f"{partial} of the code"
        new = editions.version_of(
            row.name,
            templates.closed(own_files(files), known),
            origin=Origin.PARTIAL,
            by=by,
            why=why,
        )
        _put_in_force(row.name, new, by=by, why=why)


def _closed(name: str, files: Mapping[str, str]) -> dict[str, str]:
    # Browsers send line ends of Windows. Deployed files are read without them, and the same text is the same version.
    files = {file: text.replace("\r\n", "\n").replace("\r", "\n") for file, text in files.items()}
    if name.startswith("partials/"):
        return files
    return templates.closed(own_files(files), in_force.partials())
