"""Compile a template as consumers do, and render it with a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import css_inline
from django.template.base import Origin

from emails.checking import sources
from emails.checking.findings import Findings
from emails.errors import RenderError
from emails.rendering import inlining
from emails.rendering.compiler import Body, Compiler
from emails.rendering.handlebars import Template
from emails.rendering.syntax import BadTemplate, Place, Program
from emails.rendering.template_helpers import HELPERS
from emails.rendering.templates import DEFAULT_BRAND, default_letterhead

# Gmail shows no more of an email, and hides the rest behind a link.
CLIPPED_BYTES = 102 * 1024
_START = Place(1, 1)


def compile_all(programs: Mapping[str, Program], findings: Findings) -> None:
    """Report what no data could make right."""
    for escape in (True, False):
        for name in programs:
            try:
                _compiler(escape).template(programs[name])
            except BadTemplate as exc:
                findings.add(name, exc.place, "syntax", exc.problem)


def render(
    programs: Mapping[str, Program], sample: Mapping[str, object], findings: Findings
) -> None:
    """Report a file that cannot be rendered with the sample, and an HTML part that Gmail clips."""
    data = {"brand": asdict(default_letterhead(DEFAULT_BRAND)), "language": "en"}
    for name in sources.roots(programs):
        escape = name.endswith(".html.hbs")
        template = Template(Origin(name, name), *_bodies(name, programs, escape=escape))
        try:
            printed = template.render(sample, data=data)
            size = len(inlining.inline(printed).encode()) if escape else 0
        except (RenderError, css_inline.InlineError) as exc:
            findings.add(name, _START, "sample", str(exc).removeprefix(f"{name}: "))
            continue
        if size > CLIPPED_BYTES:
            message = f"{size // 1024} KB with the sample: Gmail clips an email of more than 102 KB"
            findings.add(name, _START, "clipped", message)


def _compiler(escape: bool) -> Compiler:
    return Compiler(HELPERS, strict=True, escape=escape)


def _bodies(
    name: str, programs: Mapping[str, Program], *, escape: bool
) -> tuple[Body, dict[str, Body]]:
    compiler = _compiler(escape)
    partials = {
        file.removeprefix("partials/").removesuffix(".hbs"): compiler.template(program)
        for file, program in programs.items()
        if file.startswith("partials/")
    }
    return compiler.template(programs[name]), partials
