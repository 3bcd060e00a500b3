"""Turn a template and the data of an event into the subject and the two bodies of an email.

A template is a folder of ``templates/emails/``: ``subject.hbs``, ``body.html.hbs``, ``body.txt.hbs`` where the
text made from the HTML would not read well, and ``sample.json``, an event to preview it with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import css_inline
import html2text
from django.template import TemplateDoesNotExist, TemplateSyntaxError, engines

from emails.errors import RenderError
from emails.handlebars import HandlebarsTemplates

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
    html = _body(f"{template}/body.html.hbs", context)
    return Rendered(
        subject=_one_line(_fill(f"{template}/subject.hbs", context)),
        html=_inline_css(template, html),
        text=_text(template, context, html),
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


def _fill(name: str, context: Mapping[str, object]) -> str:
    try:
        return _engine().get_template(name).render(context)
    except TemplateDoesNotExist as exc:
        raise RenderError(f"{name}: no such template") from exc
    except TemplateSyntaxError as exc:
        raise RenderError(str(exc)) from exc


def _body(name: str, context: Mapping[str, object]) -> str:
    return _NOT_IN_A_BODY.sub("\ufffd", _fill(name, context))


def _one_line(text: str) -> str:
    line = _NOT_IN_A_SUBJECT.sub(" ", text).strip()
    return line if len(line) <= MAX_SUBJECT_LENGTH else f"{line[: MAX_SUBJECT_LENGTH - 1]}…"


def _inline_css(template: str, html: str) -> str:
    try:
        return _inliner().inline(html)
    except css_inline.InlineError as exc:
        raise RenderError(f"{template}/body.html.hbs: {exc}") from exc


@cache
def _inliner() -> css_inline.CSSInliner:
    # At each render, though the style is always the same: in a template, an HTML parser moves the {{#each}}
    # between the rows of a table out of it.
    return css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


def _text(template: str, context: Mapping[str, object], html: str) -> str:
    name = f"{template}/body.txt.hbs"
    if _engine().find(name):
        return _body(name, context)
    converter = html2text.HTML2Text(bodywidth=0)
    converter.unicode_snob = True
    # Tables are the layout of an email, not its contents.
    converter.ignore_tables = True
    return str(converter.handle(html)).strip() + "\n"
