"""Publish versions of templates and partials, and go back to earlier ones, each in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from django.db import transaction

from emails.errors import StaleTemplate
from emails.models import Canary, EmailTemplate, TemplateVersion
from emails.models.templates import digest_of
from emails.rendering import templates
from emails.versions import editions, in_force, places
from queues.failpoints import failpoint

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
        decide(name, revision)
        made = make(name, files, by=by, why=why, origin=origin)
        put_in_force(name, made, by=by, why=why)
        if name.startswith("partials/"):
            _carry_on(name, made, by=by)
        failpoint("template_published")
    in_force.forget()
    logger.warning("template published name=%s version=%d", name, made.number)
    return made


def roll_back(
    name: str, number: int | None, *, by: str, why: str, revision: int | None = None
) -> TemplateVersion | None:
    """Put an earlier version in force again, or, without a number, the files of the deployed code.

    Raises StaleTemplate if somebody decided after ``revision``, and TemplateVersion.DoesNotExist.
    """
    with transaction.atomic():
        decide(name, revision)
        version = number and TemplateVersion.objects.get(name=name, number=number)
        put_in_force(name, version or None, by=by, why=why)
        if name.startswith("partials/"):
            _carry_on(name, version or None, by=by)
        failpoint("template_rolled_back")
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


def closed(name: str, files: Mapping[str, str]) -> dict[str, str]:
    """Return the files as they would be published: with the partials that are in force; raises RenderError."""
    # Browsers send line ends of Windows. Deployed files are read without them, and the same text is the same version.
    files = {file: text.replace("\r\n", "\n").replace("\r", "\n") for file, text in files.items()}
    if name.startswith("partials/"):
        return files
    return templates.closed(own_files(files), in_force.partials())


def decide(name: str, revision: int | None) -> None:
    """Wait for other decisions, and make the template's row if there is none; raises StaleTemplate."""
    lock()
    EmailTemplate.objects.get_or_create(name=name)
    row = EmailTemplate.objects.select_for_update(of=("self",)).get(name=name)
    if revision is not None and row.revision != revision:
        raise StaleTemplate(
            f"{row.by} changed {name} in the meantime. Look at what is in force now."
        )
    row.deployed = digest_of(editions.deployed(name))
    row.save(update_fields=["deployed"])


def make(
    name: str, files: Mapping[str, str], *, by: str, why: str, origin: Origin = Origin.STAFF
) -> TemplateVersion:
    """Return the version that has these files and the partials in force; raises RenderError."""
    return editions.version_of(name, closed(name, files), origin=origin, by=by, why=why)


def put_in_force(name: str, version: TemplateVersion | None, *, by: str, why: str) -> None:
    """Put a version in force, or the files of the deployed code; a canary of the template ends."""
    end_canary(name, note=f"{by} decided on another version.")
    row = EmailTemplate.objects.get(name=name)
    row.published, row.by, row.why, row.revision = version, by, why, row.revision + 1
    row.save()


def end_canary(name: str, *, note: str) -> None:
    """End the open canary of a template, if there is one, in the caller's transaction."""
    row = EmailTemplate.objects.select_for_update(of=("self",)).get(name=name)
    if row.canary_id is not None:
        places.end(row.canary_id, Canary.State.ENDED, note=note)


def _carry_on(partial: str, version: TemplateVersion | None, *, by: str) -> None:
    """Give each template that staff published, and that uses this partial, a version with the new one.

    Without a version the partial is that of the deployed code; where that has none, the templates keep theirs. A canary
    with the earlier partial ends.
    """
    source = version.files["source.hbs"] if version else templates.partials().get(f"{partial}.hbs")
    if source is None:
        return
    tried = EmailTemplate.objects.filter(canary__isnull=False).select_related("canary__version")
    for row in tried.order_by("name"):
        if row.canary and f"{partial}.hbs" in row.canary.version.files:
            end_canary(
                row.name, note=f"{by} published {partial}, which it has in an earlier version."
            )
    used = EmailTemplate.objects.filter(published__isnull=False).exclude(
        name__startswith="partials/"
    )
    for row in used.select_related("published").order_by("name"):
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
        put_in_force(row.name, new, by=by, why=why)
