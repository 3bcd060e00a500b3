"""Make drafts or published versions of template files, all of them or none."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from django.db import transaction

from emails.checking import checker
from emails.checking.findings import Problem
from emails.errors import NotTransferred, RenderError, StaleTemplate
from emails.models import EmailTemplate, TemplateDraft, TemplateVersion
from emails.rendering import templates
from emails.transfer import changes, exporting, folders
from emails.transfer.folders import PARTIALS, SOURCE
from emails.versions import in_force, publishing
from queues.events import schemas

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Import:
    """The files of one template or partial that differ from what they would replace.

    ``revision`` is that of the template, or of its open draft, when they were compared; 0 if there was none.
    ``holder`` is whose draft they would overwrite, if somebody has one.
    """

    name: str
    files: Mapping[str, str]
    old: Mapping[str, str]
    revision: int
    holder: str = ""

    def differences(self) -> list[str]:
        """Return a line for each file that differs."""
        return changes.summary(self.old, self.files)


def to_publish(folder: Path, names: Iterable[str]) -> list[Import]:
    """Compare files with what is in force, and return what differs; raises NotTransferred and DatabaseError."""
    return [each for each in _published(folder, names) if each.files != each.old]


def to_draft(folder: Path, names: Iterable[str]) -> list[Import]:
    """Compare files with the open drafts, else with what is in force; raises NotTransferred and DatabaseError."""
    found = [_on_draft(each) for each in _published(folder, names)]
    return [each for each in found if each.files != each.old]


def compared(name: str, files: Mapping[str, str]) -> Import:
    """Compare files from elsewhere with the open draft, else with what is in force; raises DatabaseError."""
    return _on_draft(Import(name, files, _in_force(name), 0))


def keep_drafts(imports: Iterable[Import]) -> None:
    """Raise NotTransferred if an import would overwrite what somebody saved as a draft."""
    for each in imports:
        if each.holder and each.files != each.old:
            raise NotTransferred(
                f"{each.holder} has an open draft of {each.name} that differs. Nothing was imported. "
                "Publish or discard it first, or overwrite it with --replace."
            )


def problems(imports: Sequence[Import]) -> list[Problem]:
    """Return what is wrong with these files, as files in their folder, and with templates that use their partials."""
    new = {each.name: each.files for each in imports}
    partials = {f"{name}.hbs": files[SOURCE] for name, files in new.items() if SOURCE in files}
    return list(dict.fromkeys(_problems(new, partials)))


@transaction.atomic
def publish(imports: Sequence[Import], *, by: str, why: str) -> list[TemplateVersion]:
    """Put these files in force, all or none; raises StaleTemplate if somebody decided about one meanwhile.

    The partials come first: the templates keep them as they are then.
    """
    publishing.lock()
    decided = EmailTemplate.objects.in_bulk()
    for each in imports:
        row = decided.get(each.name)
        if (row.revision if row else 0) != each.revision:
            raise StaleTemplate(f"{row and row.by} changed {each.name} in the meantime.")
    origin = TemplateVersion.Origin.IMPORT
    return [
        publishing.publish(each.name, each.files, by=by, why=why, origin=origin)
        for each in sorted(imports, key=lambda each: not each.name.startswith(PARTIALS))
    ]


@transaction.atomic
def draft(imports: Sequence[Import], *, by: str, why: str) -> None:
    """Make these files the open drafts, all or none; raises StaleTemplate if somebody saved one meanwhile."""
    for each in imports:
        found = TemplateDraft.objects.select_for_update().filter(name=each.name).first()
        if (found.revision if found else 0) != each.revision:
            raise StaleTemplate(f"The draft of {each.name} changed in the meantime.")
        saved = found or TemplateDraft(name=each.name, base=_base(each.name), revision=0)
        saved.files, saved.by, saved.why = dict(each.files), by, why
        saved.revision += 1
        saved.save(force_insert=found is None)
        logger.info("template draft imported name=%s", each.name)


def _published(folder: Path, names: Iterable[str]) -> Iterator[Import]:
    for name in list(names) or folders.names(folder):
        exporting.require(name)
        files = folders.read(folder, name)
        if not files:
            raise NotTransferred(f"{folder} has no files of {name}.")
        row = in_force.decided(name)
        yield Import(name, files, _in_force(name), row.revision if row else 0)


def _in_force(name: str) -> dict[str, str]:
    try:
        return publishing.own_files(in_force.sources(name))
    except RenderError:
        # What is broken there now may well be replaced.
        return {}


def _base(name: str) -> TemplateVersion | None:
    try:
        return in_force.version(name)
    except RenderError:
        # What is broken there now has no version.
        return None


def _on_draft(found: Import) -> Import:
    open_draft = TemplateDraft.objects.filter(name=found.name).first()
    if open_draft is None:
        return replace(found, revision=0)
    old = publishing.own_files(open_draft.files)
    return replace(found, old=old, revision=open_draft.revision, holder=open_draft.by)


def _problems(
    new: Mapping[str, Mapping[str, str]], partials: Mapping[str, str]
) -> Iterator[Problem]:
    known = in_force.partials() | dict(partials)
    for name in templates.names():
        if name in new:
            yield from _of_template(name, {**new[name], **known})
        elif used := _in_force(name):
            # A template that nobody imports is to blame for nothing, unless a new partial breaks it.
            before = set(_of_template(name, {**used, **in_force.partials()})) if partials else set()
            after = _of_template(name, {**used, **known}) if partials else []
            yield from (problem for problem in after if problem not in before)


def _of_template(name: str, files: Mapping[str, str]) -> list[Problem]:
    """Check the files of one template; each is named with its folder, and a partial with who uses it."""
    try:
        sample = templates.sample(name)
    except RenderError as exc:
        raise NotTransferred(str(exc)) from exc
    found = checker.problems(files, schemas.data_schema(sample.type), sample=sample.data)
    return [_in_folder(name, problem) for problem in found]


def _in_folder(name: str, problem: Problem) -> Problem:
    if problem.file.startswith(PARTIALS):
        return replace(problem, hint=f"{problem.hint} {name} uses it.".strip())
    return replace(problem, file=f"{name}/{problem.file}")
