"""Turn a template and the data of an event into the subject and the two bodies of an email.

A template is a folder of ``templates/emails/``: ``subject.hbs``, ``body.html.hbs``, ``body.txt.hbs`` where the
text made from the HTML would not read well, and ``sample.json``, an event to preview it with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import css_inline
import html2text
from django.template import TemplateDoesNotExist, TemplateSyntaxError, engines

from emails.errors import RenderError
from emails.rendering import inlining
from emails.rendering.handlebars import HandlebarsTemplates, Template

MAX_SUBJECT_LENGTH = 200

# White space with the line separators, control characters, half a surrogate pair, marks that turn the writing
# direction.
_NOT_IN_A_SUBJECT = re.compile(
    r"[\s\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+"
)
# What JSON can write and an email cannot carry: control characters, half a surrogate pair.
_NOT_IN_A_BODY = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Rendered:
    """An email but for its addresses."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True)
class Sample:
    """An event as a template may get it; ``data`` is what it renders."""

    type: str
    subject: str
    data: Mapping[str, object]


def render(template: str, context: Mapping[str, object]) -> Rendered:
    """Raise RenderError, naming template and variable, and nothing else."""
    html = _html(template, context)
    return Rendered(
        subject=_one_line(_find(f"{template}/subject.hbs").render(context)),
        html=html,
        text=_text(template, context),
    )


def names() -> list[str]:
    """Every template there is."""
    folders = (Path(folder) for folder in _engine().template_dirs)
    return sorted({path.parent.name for folder in folders for path in folder.glob("*/subject.hbs")})


def sample(template: str) -> Sample:
    """Raise RenderError if there is no such template or it has no sample."""
    path = _engine().find(f"{template}/sample.json")
    if path is None:
        raise RenderError(f"{template}: no sample.json")
    try:
        return Sample(**json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as exc:
        raise RenderError(f"{template}/sample.json: {exc}") from exc


def samples() -> dict[str, Sample]:
    """The sample of every template."""
    return {name: sample(name) for name in names()}


def _engine() -> HandlebarsTemplates:
    return cast(HandlebarsTemplates, engines["handlebars"])


def _find(name: str) -> Template:
    template = _find_if_any(name)
    if template is None:
        raise RenderError(f"{name}: no such template")
    return template


def _find_if_any(name: str) -> Template | None:
    try:
        return _engine().get_template(name)
    except TemplateDoesNotExist:
        return None
    except TemplateSyntaxError as exc:
        raise RenderError(str(exc)) from exc


def _html(template: str, context: Mapping[str, object]) -> str:
    name = f"{template}/body.html.hbs"
    outline = _find(name).outline(context)
    html = outline and inlining.inline_outline(outline)
    return html or _inline_css(template, _body(_find(name), context))


def _body(template: Template, context: Mapping[str, object]) -> str:
    return _NOT_IN_A_BODY.sub("\ufffd", template.render(context))


def _one_line(text: str) -> str:
    line = _NOT_IN_A_SUBJECT.sub(" ", text).strip()
    return line if len(line) <= MAX_SUBJECT_LENGTH else f"{line[: MAX_SUBJECT_LENGTH - 1]}…"


def _inline_css(template: str, html: str) -> str:
    try:
        return inlining.inline(html)
    except css_inline.InlineError as exc:
        raise RenderError(f"{template}/body.html.hbs: {exc}") from exc


def _text(template: str, context: Mapping[str, object]) -> str:
    written = _find_if_any(f"{template}/body.txt.hbs")
    if written:
        return _body(written, context)
    converter = html2text.HTML2Text(bodywidth=0)
    converter.unicode_snob = True
    # Tables are the layout of an email, not its contents.
    converter.ignore_tables = True
    html = _body(_find(f"{template}/body.html.hbs"), context)
    return str(converter.handle(html)).strip() + "\n"
