"""Find the variant of a template for a customer's language, and what languages need: their direction, their files.

A variant is a folder beside the files of the base language: ``ar/subject.hbs``. ``ar-EG`` is looked up as ``ar-EG``,
then as ``ar`` (RFC 4647, section 3.4); if there is neither, the base language is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from babel import Locale
from babel.core import UnknownLocaleError

from queues.events import locales

# The language of the files that are in no folder.
BASE = "en"

_PARTIALS = "partials"
# Scripts that are written from right to left.
_RIGHT_TO_LEFT = {"Adlm", "Arab", "Hebr", "Mand", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa"}


@lru_cache(1024)
def chain(tag: str) -> tuple[str, ...]:
    """Return the tags under which a language is looked up, the narrowest first; none for what is no tag."""
    try:
        parts = locales.canonical(tag).split("-")
    except ValueError:
        return ()
    found = []
    while parts:
        found.append("-".join(parts))
        parts.pop()
        if parts and len(parts[-1]) == 1:
            parts.pop()
    return tuple(found)


class Voice(NamedTuple):
    """How one email speaks: its variant's ``folder`` ("" is the base), and what templates read.

    ``{{@language}}`` is the language of the texts, ``{{@dir}}`` its direction, ltr or rtl, and ``{{@locale}}`` decides
    how money, numbers and times are written: a customer in Austria (``de-AT``) gets the texts of ``de``.
    """

    folder: str
    language: str
    locale: str
    dir: str


BASE_VOICE = Voice("", BASE, BASE, "ltr")


@lru_cache(1024)
def voice(tag: str, available: frozenset[str]) -> Voice:
    """Choose among the variants of a template for a customer of this language; "" and what is no tag get the base."""
    tags = chain(tag)
    folder = next((each for each in tags if each in available), "")
    language = folder or BASE
    return Voice(folder, language, tags[0] if language in tags else language, direction(language))


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


def english_name(tag: str) -> str:
    """Return the name that staff read: German; "" is the base."""
    return str(known(tag or BASE).get_display_name(BASE) or tag)


def variants(files: Iterable[str]) -> frozenset[str]:
    """Return the languages in which a template can be rendered, besides the base."""
    files = set(files)
    return frozenset(
        each
        for each in _folders(files)
        if {f"{each}/subject.hbs", f"{each}/body.html.hbs"} <= files
    )


def missing(files: Iterable[str]) -> list[str]:
    """Return the names of the files that a language lacks but the base has.

    ``files`` are names within the folder of one template. A template that lacks any must not be published: the email of
    a customer of that language could not be rendered.
    """
    files = set(files)
    base = sorted(name for name in files if "/" not in name and name.endswith(".hbs"))
    wanted = (f"{folder}/{name}" for folder in sorted(_folders(files)) for name in base)
    return [name for name in wanted if name not in files]


def misnamed(files: Iterable[str]) -> list[str]:
    """Return the folders that are no language tag in its canonical case: no customer would ever get them."""
    return sorted(folder for folder in _folders(files) if chain(folder)[:1] != (folder,))


def _folders(files: Iterable[str]) -> set[str]:
    return {name.rpartition("/")[0] for name in files if "/" in name} - {_PARTIALS}
