"""Plug Handlebars, the language of the email templates, into Django as a template engine.

Strict means that every variable that a template names must be in the data, wherever the name stands: printed, in a
condition, as an argument of a helper, inside a partial. ``null`` is a value; a missing key is an error. handlebars.js
demands less: there a misspelt ``{{#if}}`` is simply false, for ever. For a value that may be missing, a template
writes ``{{#if (lookup this "note")}}``.

A file ``name.html.hbs`` escapes what it prints; any other file is plain text and does not escape. Every template can
use the files in ``partials/``, by their name without ``.hbs``. We compile only files and ``from_string()``, never
data.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.backends.base import BaseEngine
from django.template.base import Origin

from emails.rendering import languages
from emails.rendering.sets import Source, Template, TemplateSet


class HandlebarsTemplates(BaseEngine):
    """Django's engine for Handlebars; options: ``strict``, and ``builtins``, a module with the helpers in ``HELPERS``.

    All threads share the compiled templates, which are kept for good; with ``DEBUG``, until a file changes.
    """

    app_dirname = "handlebars"

    def __init__(self, params: Mapping[str, Any]) -> None:
        engine_params = dict(params)
        options = dict(engine_params.pop("OPTIONS"))
        super().__init__(engine_params)
        self._options = {
            "strict": options.pop("strict", True),
            "helpers": import_module(options.pop("builtins")).HELPERS,
        }
        if options:
            raise ImproperlyConfigured(f"Unknown options: {', '.join(options)}")
        self._compiled: _Compiled | None = None

    def from_string(self, template_code: str) -> Template:
        """Compile a template that escapes what it prints."""
        return self._current().files.template(
            Source(template_code, Origin("<string>")), escape=True
        )

    def get_template(self, template_name: str) -> Template:
        """Return the compiled template; raises TemplateDoesNotExist, or TemplateSyntaxError if it is broken.

        A broken partial raises TemplateSyntaxError, too.
        """
        template = self._current().files.get(template_name)
        if template is None:
            raise TemplateDoesNotExist(template_name, backend=self)
        return template

    def compiled(self, name: str, sources: Mapping[str, str]) -> TemplateSet:
        """Compile the files of a template that come from elsewhere, with their own ``partials/``.

        Raises TemplateSyntaxError if a partial is broken. Errors name the files as those of the template ``name``.
        """
        found = {
            file: Source(text, Origin(f"{name}/{file}", f"{name}/{file}"))
            for file, text in sources.items()
        }
        partials = {
            Path(file).stem: Source(text, Origin(file))
            for file, text in sources.items()
            if file.startswith("partials/")
        }
        return TemplateSet(found.get, partials, **self._options)

    def find(self, file_name: str) -> Path | None:
        """Return the first file of this name in the template directories; never a file outside them."""
        paths = (Path(path) for path in self.iter_template_filenames(file_name))
        return next((path for path in paths if path.is_file()), None)

    def languages(self, name: str) -> frozenset[str]:
        """Return the languages that the folder of a template has besides the base."""
        current = self._current()
        if name not in current.languages:
            folders = [Path(folder) / name for folder in self.template_dirs]
            files = {
                path.relative_to(folder).as_posix()
                for folder in folders
                for path in folder.rglob("*.hbs")
            }
            current.languages[name] = languages.variants(files)
        return current.languages[name]

    def stamp(self) -> frozenset[tuple[str, int]]:
        """Return what changes when a file of the templates does."""
        files = (path for folder in self.template_dirs for path in Path(folder).rglob("*.hbs"))
        return frozenset((str(path), path.stat().st_mtime_ns) for path in files)

    def _current(self) -> _Compiled:
        # Two threads may compile at the same time: the result is the same, and each writes only into its own.
        compiled = self._compiled
        if compiled is None or (settings.DEBUG and compiled.stamp != self.stamp()):
            stamp = self.stamp()
            files = TemplateSet(self._source, self._partials(), **self._options)
            compiled = self._compiled = _Compiled(stamp, files, {})
        return compiled

    def _source(self, name: str) -> Source | None:
        path = self.find(name)
        return Source(_read(path), Origin(str(path), name)) if path else None

    def _partials(self) -> dict[str, Source]:
        # The first directory wins, as with templates.
        return {
            path.stem: Source(_read(path), Origin(str(path)))
            for folder in reversed(self.template_dirs)
            for path in sorted((Path(folder) / "partials").glob("*.hbs"))
        }


class _Compiled(NamedTuple):
    """Everything compiled from one state of the files; a change of the files replaces the whole."""

    stamp: frozenset[tuple[str, int]]
    files: TemplateSet
    languages: dict[str, frozenset[str]]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise TemplateSyntaxError(f"{path}: not UTF-8") from exc
