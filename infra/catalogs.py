"""Bring the translations of the customers' pages up to date; run by ``make catalogs``, and it needs no gettext tools.

``orders/locale/<language>/LC_MESSAGES/django.po`` gets each text of the code and the templates that is marked for
translation, and loses what is marked no more. From it the ``.mo`` is made, which Django reads.
"""

from __future__ import annotations

import argparse
import ast
import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import django
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "orders" / "locale"
_CODE = ("emails", "notifier", "orders", "queues")
_TEMPLATES = ("templates/*.html", "templates/orders/*.html", "templates/notifier/*.html")
_KEYWORDS = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop", "noop")),
    "ngettext": (1, 2),
}
# What ``templatize`` makes of the tags for translation.
_CALL = re.compile(
    r"""(?P<name>\b_|n?gettext)\(\s*(?P<texts>u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
    r"""(?:,\s*u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))?)""",
    re.DOTALL,
)

_HEADER = "# The texts of the customers' pages. `make catalogs` brings this file up to date."

Text = str | tuple[str, ...]


class _Catalog(Catalog):
    """A catalog whose header has no time and no version, so that the same texts make the same files."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        """What gettext needs to read it."""
        return [
            ("Language", str(self.locale_identifier)),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", "8bit"),
            ("Plural-Forms", self.plural_forms),
        ]

    @mime_headers.setter
    def mime_headers(self, headers: object) -> None:
        """Ignore what is read: each of them follows from the language."""


def texts() -> dict[Text, list[str]]:
    """Return each text that is marked for translation, a tuple if it has a plural, with the files where it stands."""
    found: dict[Text, list[str]] = {}
    for app in _CODE:
        for path in sorted((ROOT / app).rglob("*.py")):
            for text in _of_code(path.read_bytes()):
                found.setdefault(text, []).append(str(path.relative_to(ROOT)))
    for pattern in _TEMPLATES:
        for path in sorted(ROOT.glob(pattern)):
            for text in _of_template(path.read_text()):
                found.setdefault(text, []).append(str(path.relative_to(ROOT)))
    return found


def catalog(language: str) -> Catalog:
    """Return the catalog of a language with exactly the marked texts, translated as far as they are."""
    path = _path(language)
    old = (
        read_po(io.BytesIO(path.read_bytes()), locale=language)
        if path.exists()
        else Catalog(language)
    )
    new = _Catalog(language, header_comment=_HEADER, fuzzy=False)
    for text, files in texts().items():
        known = old.get(text[0] if isinstance(text, tuple) else text)
        new.add(text, known.string if known else None, locations=[(file, 1) for file in set(files)])
    return new


def written(catalog: Catalog) -> tuple[bytes, bytes]:
    """Return the two files of a catalog: the ``.po`` and the ``.mo``."""
    po, mo = io.BytesIO(), io.BytesIO()
    write_po(po, catalog, width=110, sort_output=True, include_lineno=False)
    write_mo(mo, catalog)
    return po.getvalue(), mo.getvalue()


def main() -> None:
    """Write the catalogs; with ``--check`` only say which are out of date, and exit non-zero."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    is_check = parser.parse_args().check
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
    django.setup()
    stale = []
    for language in languages():
        for path, content in zip(_files(language), written(catalog(language)), strict=True):
            if not path.exists() or path.read_bytes() != content:
                stale.append(str(path.relative_to(ROOT)))
                if not is_check:
                    path.write_bytes(content)
    if stale:
        print(f"{'out of date:' if is_check else 'wrote'} {', '.join(stale)}")
    sys.exit(bool(stale) and is_check)


def languages() -> list[str]:
    """Return the languages that have a catalog."""
    return sorted(path.parent.parent.name for path in FOLDER.glob("*/LC_MESSAGES/django.po"))


def _of_code(source: bytes) -> Iterator[Text]:
    for _, found, _, _ in extract("python", io.BytesIO(source), _KEYWORDS, options={}):
        yield found


def _of_template(source: str) -> Iterator[Text]:
    for call in _CALL.finditer(templatize(source)):
        found = ast.literal_eval(f"[{call['texts']}]")
        yield tuple(found) if call["name"] == "ngettext" else found[0]


def _path(language: str) -> Path:
    return FOLDER / language / "LC_MESSAGES" / "django.po"


def _files(language: str) -> tuple[Path, Path]:
    return _path(language), _path(language).with_suffix(".mo")


if __name__ == "__main__":
    main()
