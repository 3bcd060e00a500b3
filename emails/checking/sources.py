"""Check the files of a template as files: their names, which are missing, their size and their characters."""

from __future__ import annotations

import re
from collections.abc import Mapping

from emails.checking.findings import Findings
from emails.rendering import languages
from emails.rendering.syntax import Place

ROOTS = ("subject.hbs", "body.html.hbs", "body.txt.hbs")
REQUIRED = ("subject.hbs", "body.html.hbs")
# Gmail clips an email at 102 KB: no file of one is larger. All together must fit into a row of the database.
MAX_FILE_BYTES = 100 * 1024
MAX_BYTES = 1024 * 1024
MAX_FILES = 200
# An email is inlined rule by rule.
MAX_RULES = 500

_is_name = re.compile(
    r"(?:[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}/)?(?:subject\.hbs|body\.html\.hbs|body\.txt\.hbs)"
    r"|partials/[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.hbs"
).fullmatch
_START = Place(1, 1)
_CHARACTERS = {
    "a mark that turns the direction of the text": "\u202a-\u202e\u2066-\u2069",
    "a control character": "\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029",
    "a byte order mark": "\ufeff",
    "a character that nobody sees": "\u200b\u2060-\u2064\u206a-\u206f\ufff9-\ufffb\U000e0000-\U000e007f",
    "half a character, or one that means nothing": "\ud800-\udfff\ufffc\ufffd\ufffe\uffff\ufdd0-\ufdef",
    "a character for private use": "\ue000-\uf8ff\U000f0000-\U0010ffff",
}
_odd = re.compile("[" + "".join(_CHARACTERS.values()) + "]").finditer


def roots(files: Mapping[str, object]) -> list[str]:
    """Return the files that are rendered; the others are partials."""
    return sorted(name for name in files if not name.startswith("partials/"))


def check(files: Mapping[str, str], findings: Findings) -> dict[str, str]:
    """Report what is wrong with the files, and return those that can be read on."""
    if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_BYTES:
        message = f"a template has at most {MAX_FILES} files of {MAX_BYTES // 1024} KB together"
        findings.add(min(files), _START, "too-large", message)
        return {}
    required = [name for name in REQUIRED if name not in files]
    for name in [*required, *languages.missing(files)]:
        findings.add(name, _START, "missing-file", f"there is no {name}")
    for folder in languages.misnamed(files):
        message = f"{folder[:80]!r} is no language tag in its canonical case, such as pt-BR"
        findings.add(f"{folder}/subject.hbs", _START, "file-name", message)
    return {name: source for name, source in files.items() if _is_readable(name, source, findings)}


def _is_readable(name: str, source: str, findings: Findings) -> bool:
    if not _is_name(name):
        message = f"{name[:80]!r} is no name of a file of a template"
        findings.add(name, _START, "file-name", message, f"It has {', '.join(ROOTS)} and partials.")
        return False
    size = len(source.encode(errors="surrogatepass"))
    if size > MAX_FILE_BYTES:
        message = f"{size // 1024} KB; a file has at most {MAX_FILE_BYTES // 1024} KB"
        findings.add(name, _START, "too-large", message)
        return False
    if source.count("{") > MAX_RULES and _rules(source) > MAX_RULES:
        message = f"the style sheet has more than {MAX_RULES} rules"
        findings.add(name, _START, "too-large", message)
        return False
    for found in _odd(source):
        kind = next(kind for kind, signs in _CHARACTERS.items() if re.match(f"[{signs}]", found[0]))
        code_point = f"U+{ord(found[0]):04X}"
        hint = "Take it away, or write it as an entity." if name.endswith(".html.hbs") else ""
        findings.at(
            name, found.start(), "character", f"{code_point} is {kind}", hint or "Take it away."
        )
    return True


def _rules(source: str) -> int:
    """Return how many single braces open: those of style sheets, not of mustaches."""
    return source.count("{") - 2 * source.count("{{")
