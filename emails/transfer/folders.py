"""Read and write email templates as files, in the layout of ``templates/emails/``.

A template is a folder with its files, and a folder in it for each other language; a partial is ``partials/<name>.hbs``.
No link is followed, so nothing is read or written outside the folder that somebody named.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from emails.checking.sources import MAX_FILE_BYTES
from emails.errors import NotTransferred

PARTIALS = "partials/"
# A partial is one file, which has this name in its versions.
SOURCE = "source.hbs"

_is_name = re.compile(r"(?:partials/)?[A-Za-z0-9][A-Za-z0-9_-]{0,89}").fullmatch
_is_file = re.compile(r"(?:[A-Za-z0-9-]+/)?[A-Za-z0-9_][A-Za-z0-9_.-]*\.hbs").fullmatch
_NO_LINK = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def names(folder: Path) -> list[str]:
    """Return the names of the templates and partials in a folder, the partials first."""
    if (folder / "subject.hbs").exists():
        raise NotTransferred(
            f"{folder} is the folder of one template: name the folder above it, then {folder.name}."
        )
    if not folder.is_dir():
        raise NotTransferred(f"There is no folder {folder}.")
    partials = [f"{PARTIALS}{path.stem}" for path in (folder / "partials").glob("*.hbs")]
    found = {path.relative_to(folder).parts[0] for path in _files(folder, folder)}
    return sorted(partials) + sorted(found - {"partials"} - _loose(folder))


def read(folder: Path, name: str) -> dict[str, str]:
    """Return the source of each file of a template or partial by its name in versions; none if there is none."""
    if name.startswith(PARTIALS):
        path = folder / f"{name}.hbs"
        return {SOURCE: _text(folder, path)} if os.path.lexists(path) else {}
    root = folder / name
    return {path.relative_to(root).as_posix(): _text(folder, path) for path in _files(folder, root)}


def write(folder: Path, name: str, files: Mapping[str, str]) -> None:
    """Make the files of a template or partial these; other files of it that end in ``.hbs`` are deleted."""
    paths = {file: _path(folder, name, file) for file in files}
    for file in read(folder, name).keys() - files.keys():
        _delete(_path(folder, name, file))
    for file, path in paths.items():
        write_text(folder, path, files[file])


def write_text(folder: Path, path: Path, text: str) -> None:
    """Write one file in a folder, which is made where it is missing."""
    _refuse_links(folder, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _NO_LINK, 0o666)
    with open(number, "w", encoding="utf-8", newline="") as opened:
        opened.write(text)


def _path(folder: Path, name: str, file: str) -> Path:
    """Return where a file of a version belongs; the names come from the database, and are not believed."""
    is_partial = name.startswith(PARTIALS)
    if not _is_name(name) or not _is_file(file) or (is_partial and file != SOURCE):
        raise NotTransferred(f"{name}: {file!r} is no name of a file of a template.")
    return folder / f"{name}.hbs" if is_partial else folder / name / file


def _delete(path: Path) -> None:
    path.unlink()
    # The folder of a language that is gone.
    with suppress(OSError):
        path.parent.rmdir()


def _files(folder: Path, root: Path) -> Iterator[Path]:
    _refuse_links(folder, root)
    for path in sorted(root.rglob("*")):
        _refuse_links(folder, path)
        if path.suffix == ".hbs":
            yield path


def _loose(folder: Path) -> set[str]:
    """Return the files that lie in the folder itself, where no template has one."""
    return {path.name for path in folder.glob("*.hbs")}


def _text(folder: Path, path: Path) -> str:
    _refuse_links(folder, path)
    with open(os.open(path, os.O_RDONLY | _NO_LINK), "rb") as opened:
        found = os.fstat(opened.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise NotTransferred(f"{path} is not a file.")
        if found.st_size > MAX_FILE_BYTES:
            raise NotTransferred(f"{path} has more than {MAX_FILE_BYTES // 1024} KB.")
        try:
            text = opened.read().decode("utf-8")
        except UnicodeDecodeError as exc:
            raise NotTransferred(f"{path} is not UTF-8.") from exc
    # As ``Path.read_text`` reads the files of the code.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _refuse_links(folder: Path, path: Path) -> None:
    for each in (path, *path.parents):
        if each == folder:
            return
        if each.is_symlink():
            raise NotTransferred(f"{each} is a link, and links are not followed. Copy its files.")
