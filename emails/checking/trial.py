"""Compile a template as consumers do, and render it with a sample."""

from __future__ import annotations

from collections.abc import Mapping

from emails.checking.findings import Findings
from emails.errors import RenderError
from emails.rendering import templates
from emails.rendering.compiler import Compiler
from emails.rendering.syntax import BadTemplate, Place, Program
from emails.rendering.template_helpers import HELPERS

# Gmail shows no more of an email, and hides the rest behind a link.
CLIPPED_BYTES = 102 * 1024
_START = Place(1, 1)


def compile_all(programs: Mapping[str, Program], findings: Findings) -> None:
    """Report what no data could make right."""
    for escape in (True, False):
        compiler = Compiler(HELPERS, strict=True, escape=escape)
        for name in programs:
            try:
                compiler.template(programs[name])
            except BadTemplate as exc:
                findings.add(name, exc.place, "syntax", exc.problem)


def render(files: Mapping[str, str], sample: Mapping[str, object], findings: Findings) -> None:
    """Report a template that cannot be rendered with the sample, and an HTML part that Gmail clips."""
    letterhead = templates.default_letterhead(templates.DEFAULT_BRAND)
    for language, sources in _languages(files).items():
        file = f"{language}body.html.hbs"
        try:
            rendered = templates.of_sources("", sources).render(sample, letterhead)
        except RenderError as exc:
            findings.add(file, _START, "sample", f"with the sample: {exc}")
            continue
        size = len(rendered.html.encode())
        if size > CLIPPED_BYTES:
            message = f"{size // 1024} KB with the sample: Gmail clips an email of more than 102 KB"
            findings.add(file, _START, "clipped", message)


def _languages(files: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the files of each language, under the names that those of the base language have."""
    partials = {name: text for name, text in files.items() if name.startswith("partials/")}
    found: dict[str, dict[str, str]] = {}
    for name, text in files.items():
        folder, _, file = name.rpartition("/")
        if name not in partials:
            found.setdefault(f"{folder}/" if folder else "", {**partials})[file] = text
    return found
