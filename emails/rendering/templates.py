"""Render a template with the data of an event: the subject and the two bodies of an email.

A template is a folder of ``templates/emails/`` with ``subject.hbs``, ``body.html.hbs``, ``sample.json`` (its brand, and
an event for previews) and, if the text made from the HTML would not read well, ``body.txt.hbs``. Its folders are
languages with the same files, such as ``ar/subject.hbs``: the ``locale`` of the data chooses one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import cast

import css_inline
import html2text
from django.conf import settings
from django.template import TemplateDoesNotExist, TemplateSyntaxError, engines

from emails.errors import RenderError
from emails.rendering import inlining, languages, parser
from emails.rendering.handlebars import HandlebarsTemplates
from emails.rendering.sets import Template
from emails.rendering.syntax import BadTemplate, called_partials
from emails.rendering.values import TooMuch
from queues.events import unambiguous

MAX_SUBJECT_LENGTH = 200

# The brand of a template that names none.
DEFAULT_BRAND = "shop"

# White space with the line separators, control characters, half a surrogate pair, and marks that change the writing
# direction, except the isolates around values (see ``emails.rendering.values.isolated``) and the two marks that stand
# for a letter, which CLDR writes into amounts.
_NOT_IN_A_SUBJECT = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066\u2067\ud800-\udfff]+")
_OPEN, _CLOSE = "\u2068", "\u2069"
# Characters that JSON can write and an email cannot carry: control characters, half a surrogate pair.
_NOT_IN_A_BODY = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Rendered:
    """A rendered email without its addresses; ``edition`` is what it was made with, if that is kept."""

    subject: str
    html: str
    text: str
    edition: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Sample:
    """A sample event for a template; the template renders ``data``. ``brand``: whose email it is."""

    type: str
    subject: str
    data: Mapping[str, object]
    brand: str = DEFAULT_BRAND


@dataclass(frozen=True)
class Letterhead:
    """The parts of a brand that its emails show, which templates read as ``{{@brand.name}}``.

    ``mark`` is the letter in the logo, ``colour`` a name that ``partials/accent.hbs`` knows, ``footer`` the postal
    address, and ``support`` the address for questions. ``logo`` is the address of an image that stands for mark and
    name, with its text and its width in pixels.
    """

    name: str
    mark: str
    colour: str = "indigo"
    footer: str = ""
    support: str = ""
    logo: str = ""
    logo_alt: str = ""
    logo_width: str = ""


_NAMES = {DEFAULT_BRAND: "Notifier Shop", "bank": "Notifier Bank", "platform": "Notifier"}


@dataclass(frozen=True)
class Files:
    """The files of one template, compiled: those of the deployed code, or of a version that is kept elsewhere."""

    template: str
    _get: Callable[[str], Template | None]
    # The languages that they have besides the base.
    languages: frozenset[str] = frozenset()

    def render(self, context: Mapping[str, object], letterhead: Letterhead) -> Rendered:
        """Render subject and bodies in the language of the data's ``locale``, or in the nearest one that there is.

        Raises only RenderError, which names the template and the variable.
        """
        tag = context.get("locale")
        voice = languages.voice(tag if isinstance(tag, str) else "", self.languages)
        data = frame(letterhead, voice)
        folder = f"{voice.folder}/" if voice.folder else ""
        html = self._html(folder, context, data)
        return Rendered(
            subject=_one_line(self._found(f"{folder}subject.hbs").filled(context, data)),
            html=html,
            text=self._text(folder, context, data),
        )

    def _html(self, folder: str, context: Mapping[str, object], data: Mapping[str, object]) -> str:
        found = self._found(f"{folder}body.html.hbs")
        found.check(context)
        outline = found.outline(context, data=data)
        html = outline and inlining.inline_outline(outline)
        return html or _inline_css(found.name, _body(found, context, data))

    def _text(self, folder: str, context: Mapping[str, object], data: Mapping[str, object]) -> str:
        if written := self._found_if_any(f"{folder}body.txt.hbs"):
            return _body(written, context, data)
        converter = html2text.HTML2Text(bodywidth=0)
        converter.unicode_snob = True
        # Tables are the layout of an email, not its content.
        converter.ignore_tables = True
        converter.images_to_alt = True
        found = self._found(f"{folder}body.html.hbs")
        html = _body(found, context, data)
        if html.count("<") > inlining.FEW_TAGS // 2:
            # The converter takes quadratic time for tags that are never closed; the inliner closes them.
            html = _inline_css(found.name, html)
        return str(converter.handle(html)).strip() + "\n"

    def _found(self, file: str) -> Template:
        found = self._found_if_any(file)
        if found is None:
            raise RenderError(f"{self.template}/{file}: no such template")
        return found

    def _found_if_any(self, file: str) -> Template | None:
        try:
            return self._get(file)
        except TemplateSyntaxError as exc:
            raise RenderError(str(exc)) from exc


def render(
    template: str, context: Mapping[str, object], *, letterhead: Letterhead | None = None
) -> Rendered:
    """Render the files of the deployed code; raises only RenderError, which names the template and the variable.

    Without a letterhead it is that of the brand's defaults; ``emails.versions.in_force`` knows what staff changed.
    """
    return of_code(template).render(context, letterhead or default_letterhead(brand(template)))


def of_code(template: str) -> Files:
    """Return the files of a template as they were deployed."""
    return Files(
        template, lambda file: _deployed(f"{template}/{file}"), engine().languages(template)
    )


def of_sources(template: str, sources: Mapping[str, str]) -> Files:
    """Compile the files of a template that come from elsewhere, by their names, with the partials that they use.

    Raises RenderError if a partial is broken; a broken file raises it when it is rendered.
    """
    try:
        compiled = engine().compiled(template, sources)
    except TemplateSyntaxError as exc:
        raise RenderError(str(exc)) from exc
    return Files(template, compiled.get, languages.variants(sources))


def sources(template: str) -> dict[str, str]:
    """Return the deployed files of a template, with the partials that they use: all that ``of_sources`` needs.

    Raises RenderError if a file is not UTF-8, or has no valid syntax.
    """
    return closed(own_sources(template), partials())


def own_sources(template: str) -> dict[str, str]:
    """Return the deployed files of a template by their names in its folder; raises RenderError."""
    return _texts(template)


def partials() -> dict[str, str]:
    """Return the deployed partials, by names such as ``partials/layout.hbs``; raises RenderError."""
    return {f"partials/{name}": text for name, text in _texts("partials").items()}


def _texts(folder: str) -> dict[str, str]:
    # The first directory wins.
    roots = [Path(root) / folder for root in reversed(engine().template_dirs)]
    paths = {
        path.relative_to(root).as_posix(): path
        for root in roots
        for path in sorted(root.rglob("*.hbs"))
    }
    try:
        return {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    except UnicodeDecodeError as exc:
        raise RenderError(f"{folder}: a file is not UTF-8") from exc


def closed(files: Mapping[str, str], partials: Mapping[str, str]) -> dict[str, str]:
    """Return the files and those partials that they use, directly or through others; raises RenderError."""
    result = dict(files)
    new = dict(files)
    while new:
        used = set().union(*(_partials_of(name, text, partials) for name, text in new.items()))
        new = {name: partials[name] for name in sorted(used & partials.keys() - result.keys())}
        result |= new
    return result


def frame(
    letterhead: Letterhead, voice: languages.Voice = languages.BASE_VOICE
) -> dict[str, object]:
    """Return what templates read as ``{{@name}}``."""
    return {
        "brand": vars(letterhead),
        "language": voice.language,
        "locale": voice.locale,
        "dir": voice.dir,
    }


def names() -> list[str]:
    """Return the names of all templates."""
    folders = (Path(folder) for folder in engine().template_dirs)
    return sorted({path.parent.name for folder in folders for path in folder.glob("*/subject.hbs")})


def sample(template: str) -> Sample:
    """Return the sample event of a template; raises RenderError if there is no such template or sample."""
    path = engine().find(f"{template}/sample.json")
    if path is None:
        raise RenderError(f"{template}: no sample.json")
    try:
        text = path.read_text(encoding="utf-8").replace("${BASE_URL}", settings.BASE_URL)
        return Sample(**unambiguous.loads(text))
    except (TypeError, ValueError) as exc:
        raise RenderError(f"{template}/sample.json: {exc}") from exc


def samples() -> dict[str, Sample]:
    """Return the sample event of every template, by its name."""
    return {name: sample(name) for name in names()}


def default_letterhead(brand: str) -> Letterhead:
    """Return the letterhead of a brand that nobody changed."""
    name = _NAMES.get(brand) or re.sub("[-_]+", " ", brand).title()
    return Letterhead(name, mark=name[:1].upper())


def brand(template: str) -> str:
    """Return the key of the template's brand, without a look at the file the next time."""
    return _brand(engine(), template)


@lru_cache(256)
def _brand(_: HandlebarsTemplates, template: str) -> str:
    try:
        return sample(template).brand
    except RenderError:
        # Without a sample an email is sent all the same.
        return DEFAULT_BRAND


def engine() -> HandlebarsTemplates:
    """Return the engine of the email templates."""
    return cast(HandlebarsTemplates, engines["handlebars"])


def _deployed(name: str) -> Template | None:
    try:
        return engine().get_template(name)
    except TemplateDoesNotExist:
        return None


def _partials_of(name: str, text: str, known: Mapping[str, str]) -> set[str]:
    try:
        called = called_partials(parser.parse(text))
    except BadTemplate as exc:
        raise RenderError(f"{name}: {exc}") from exc
    # A name that the data chooses may be any.
    return set(known) if called is None else {f"partials/{each}.hbs" for each in called}


def _body(template: Template, context: Mapping[str, object], data: Mapping[str, object]) -> str:
    return _NOT_IN_A_BODY.sub("\ufffd", template.filled(context, data))


def _one_line(text: str) -> str:
    line = _NOT_IN_A_SUBJECT.sub(" ", text).strip()
    if len(line) <= MAX_SUBJECT_LENGTH:
        return line
    kept = line[: MAX_SUBJECT_LENGTH - 2]
    is_open = kept.count(_OPEN) > kept.count(_CLOSE)
    return f"{kept}…{_CLOSE}" if is_open else f"{line[: MAX_SUBJECT_LENGTH - 1]}…"


def _inline_css(name: str, html: str) -> str:
    try:
        return inlining.inline(html)
    except (css_inline.InlineError, TooMuch) as exc:
        raise RenderError(f"{name}: {exc}") from exc
