"""Find the variant of a template for a customer's language, and what languages need: their direction, their files.

A variant is a folder beside the files of the base language: ``ar/subject.hbs``. ``ar-EG`` is looked up as ``ar-EG``,
then as ``ar`` (RFC 4647, section 3.4); if there is neither, the base language is used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import lru_cache

from babel import Locale
from babel.core import UnknownLocaleError

from queues.events import locales

# The language of the files that are in no folder.
BASE = "en"

_PARTIALS = "partials"
# Scripts that are written from right to left.
_RIGHT_TO_LEFT = {"Adlm", "Arab", "Hebr", "Mand", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa"}


@lru_cache(1024)
def chain(tag: object) -> tuple[str, ...]:
    """Return the tags under which a language is looked up, the narrowest first; none for what is no tag."""
    try:
        parts = locales.canonical(str(tag)).split("-")
    except ValueError:
        return ()
    found = []
    while parts:
        found.append("-".join(parts))
        parts.pop()
        if parts and len(parts[-1]) == 1:
            parts.pop()
    return tuple(found)


def variant(tag: object, available: Collection[str]) -> str:
    """Return which of the available variants a customer of this language gets; "" for the base language."""
    return next((each for each in chain(tag) if each in available), "")


@lru_cache(256)
def known(tag: str) -> Locale:
    """Return the nearest locale that CLDR has: that of English if it has none."""
    for each in chain(tag):
        try:
            return Locale.parse(each, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale(BASE)


@lru_cache(256)
def direction(tag: str) -> str:
    """Return ``rtl`` for a language that is written from right to left, else ``ltr``."""
    scripts = [part for part in tag.split("-")[1:] if len(part) == 4 and part.isalpha()]
    if scripts:
        return "rtl" if scripts[0].title() in _RIGHT_TO_LEFT else "ltr"
    return known(tag).text_direction


def names(files: Iterable[str]) -> list[str]:
    """Return the languages of a template's files, without that of the base."""
    folders = {name.partition("/")[0] for name in files if "/" in name}
    return sorted(folders - {_PARTIALS})


def missing(files: Iterable[str]) -> list[str]:
    """Return a sentence for each file that a language lacks but the base has, and for each folder that is no language.

    ``files`` are names within the folder of one template. A template with any of these must not be published: the
    email of a customer of that language could not be rendered.
    """
    by_folder: dict[str, set[str]] = defaultdict(set)
    for name in files:
        folder, _, file = name.rpartition("/")
        by_folder[folder].add(file)
    base = {name for name in by_folder.pop("", set()) if name.endswith(".hbs")}
    by_folder.pop(_PARTIALS, None)
    problems = []
    for folder, found in sorted(by_folder.items()):
        if chain(folder)[:1] != (folder,):
            problems.append(f"{folder}: not a language tag in its canonical case, such as de-AT")
        problems += [f"{folder}/{name} is missing" for name in sorted(base - found)]
    return problems
