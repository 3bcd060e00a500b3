"""Write what staff decided about templates as files, so that developers take it into the code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from emails.checking.findings import did_you_mean
from emails.errors import NotTransferred, RenderError
from emails.models import EmailTemplate, TemplateDraft, TemplateVersion
from emails.rendering import templates
from emails.transfer import changes, folders
from emails.transfer.folders import PARTIALS
from emails.versions import in_force, publishing

SAMPLE = "sample.json"


@dataclass(frozen=True)
class Export:
    """The files of one template or partial, and which version they are of, in words."""

    name: str
    files: Mapping[str, str]
    what: str

    def differences(self, folder: Path) -> list[str]:
        """Return a line for each file that would change in this folder; raises NotTransferred."""
        return changes.summary(folders.read(folder, self.name), self.files)

    def write(self, folder: Path) -> None:
        """Write the files; a folder that has no sample gets that of the code. Raises NotTransferred."""
        folders.write(folder, self.name, self.files)
        found = templates.engine().find(f"{self.name}/{SAMPLE}")
        path = folder / self.name / SAMPLE
        if found and not path.exists():
            folders.write_text(folder, path, found.read_text(encoding="utf-8"))


def in_force_now(names: Iterable[str]) -> list[Export]:
    """Return what is in force: these templates with the partials of staff that they use, or all that staff published.

    Raises NotTransferred and DatabaseError.
    """
    published = list(
        EmailTemplate.objects.filter(published__isnull=False).values_list("name", flat=True)
    )
    wanted = list(names) or published
    for name in wanted:
        require(name)
    used = {partial for name in wanted for partial in _partials_of(name)}
    return [_in_force(name) for name in sorted({*wanted, *used & {*published}})]


def drafts(names: Iterable[str]) -> list[Export]:
    """Return the open drafts of these templates, or all that there are; raises NotTransferred."""
    found = {draft.name: draft for draft in TemplateDraft.objects.all()}
    wanted = list(names) or sorted(found)
    if missing := [name for name in wanted if name not in found]:
        raise NotTransferred(f"{missing[0]} has no open draft. {did_you_mean(missing[0], found)}")
    return [Export(name, _own(found[name].files), f"draft of {found[name].by}") for name in wanted]


def version(name: str, number: int) -> Export:
    """Return an earlier version; raises NotTransferred."""
    require(name)
    found = TemplateVersion.objects.filter(name=name, number=number).first()
    if found is None:
        raise NotTransferred(f"{name} has no version {number}.")
    return Export(name, _own(found.files), f"version {number}")


def known() -> list[str]:
    """Return the names of all templates and partials."""
    return [*templates.names(), *(file.removesuffix(".hbs") for file in in_force.partials())]


def require(name: str) -> None:
    """Raise NotTransferred if there is no such template or partial."""
    if name not in (names := known()):
        raise NotTransferred(f"No template is called {name!r}. {did_you_mean(name, names)}")


def _in_force(name: str) -> Export:
    row = in_force.decided(name)
    what = f"version {row.published.number}, in force" if row and row.published else "of the code"
    return Export(name, _own(_sources(name)), what)


def _partials_of(name: str) -> set[str]:
    if name.startswith(PARTIALS):
        return set()
    files = _sources(name)
    return {file.removesuffix(".hbs") for file in files if file.startswith(PARTIALS)}


def _sources(name: str) -> dict[str, str]:
    try:
        return in_force.sources(name)
    except RenderError as exc:
        raise NotTransferred(str(exc)) from exc


def _own(files: Mapping[str, str]) -> dict[str, str]:
    return publishing.own_files(files)
