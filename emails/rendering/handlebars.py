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

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.backends.base import BaseEngine
from django.template.base import Origin

from emails.errors import RenderError
from emails.rendering.compiler import Body, Compiler
from emails.rendering.functions import Module, Outline
from emails.rendering.parser import parse
from emails.rendering.syntax import BadTemplate
from emails.rendering.values import Missing, NoOutline

MAX_TEMPLATE_BYTES = 256 * 1024
MAX_LIST_ITEMS = 1000

# Rendering and the helpers raise these errors when a template and its data do not fit.
_RENDER_FAILURES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

_PLAIN = {str, int, float, bool, type(None)}
T = TypeVar("T")


class HandlebarsTemplates(BaseEngine):
    """Django's engine for Handlebars; options: ``strict``, and ``builtins``, a module with the helpers in ``HELPERS``.

    All threads share the compiled templates, which are kept for good; with ``DEBUG``, until a file changes.
    """

    app_dirname = "handlebars"

    def __init__(self, params: Mapping[str, Any]) -> None:
        engine_params = dict(params)
        options = dict(engine_params.pop("OPTIONS"))
        super().__init__(engine_params)
        self._strict: bool = options.pop("strict", True)
        self._helpers = import_module(options.pop("builtins")).HELPERS
        if options:
            raise ImproperlyConfigured(f"Unknown options: {', '.join(options)}")
        self._compiled: _Compiled | None = None

    def from_string(self, template_code: str) -> Template:
        """Compile a template that escapes what it prints."""
        source = _checked(template_code, name="<string>")
        return self._template(self._current(), source, Origin("<string>"), escape=True)

    def get_template(self, template_name: str) -> Template:
        """Return the compiled template; raises TemplateDoesNotExist, or TemplateSyntaxError if it is broken.

        A broken partial raises TemplateSyntaxError, too.
        """
        compiled = self._current()
        if template_name not in compiled.templates:
            compiled.templates[template_name] = self._load(compiled, template_name)
        template = compiled.templates[template_name]
        if template is None:
            raise TemplateDoesNotExist(template_name, backend=self)
        return template

    def find(self, file_name: str) -> Path | None:
        """Return the first file of this name in the template directories; never a file outside them."""
        paths = (Path(path) for path in self.iter_template_filenames(file_name))
        return next((path for path in paths if path.is_file()), None)

    def _load(self, compiled: _Compiled, name: str) -> Template | None:
        path = self.find(name)
        if path is None:
            return None
        escape = name.endswith(".html.hbs")
        return self._template(compiled, _read(path), Origin(str(path), name), escape=escape)

    def _template(
        self, compiled: _Compiled, source: str, origin: Origin, *, escape: bool
    ) -> Template:
        name = str(origin.template_name or origin.name)
        body = _compile(compiled.compilers[escape], source, name=name)
        return Template(origin, body, compiled.partials[escape])

    def _current(self) -> _Compiled:
        # Two threads may compile at the same time: the result is the same, and each writes only into its own.
        compiled = self._compiled
        if compiled is None or (settings.DEBUG and compiled.stamp != self._stamp()):
            compiled = self._compiled = self._compile_partials()
        return compiled

    def _stamp(self) -> frozenset[tuple[str, int]]:
        files = (path for folder in self.template_dirs for path in Path(folder).rglob("*.hbs"))
        return frozenset((str(path), path.stat().st_mtime_ns) for path in files)

    def _compile_partials(self) -> _Compiled:
        compiled = _Compiled(self._stamp())
        for escape in (True, False):
            compiler = Compiler(self._helpers, strict=self._strict, escape=escape)
            compiled.compilers[escape] = compiler
            # The first directory wins, as with templates.
            for folder in reversed(self.template_dirs):
                for path in sorted((Path(folder) / "partials").glob("*.hbs")):
                    partial = _compile(compiler, _read(path), name=str(path))
                    compiled.partials[escape][path.stem] = partial
        return compiled


@dataclass(frozen=True)
class Template:
    """A compiled template; many threads may render it at once."""

    origin: Origin
    _body: Body
    _partials: Mapping[str, Body]
    # The keys say if the values stay apart.
    _modules: dict[bool, Module] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name under which the template was loaded."""
        return str(self.origin.template_name or self.origin.name)

    def render(
        self,
        context: Mapping[str, object] | None = None,
        request: HttpRequest | None = None,
        *,
        data: Mapping[str, object] = MappingProxyType({}),
    ) -> str:
        """Return the text; raises RenderError, which names the template and the problem. The request is ignored.

        ``{{@name}}`` reads ``data``.
        """
        self.check(context or {})
        return self.filled(context or {}, data)

    def check(self, context: Mapping[str, object]) -> None:
        """Raise RenderError if the data is too long or too deep for any template."""
        self._run(_refuse_long_lists, context)

    def filled(self, context: Mapping[str, object], data: Mapping[str, object]) -> str:
        """Return the text for data that a template has checked; raises RenderError."""
        return self._run(self._module(is_apart=False).text, context, data)

    def outline(
        self,
        context: Mapping[str, object],
        *,
        data: Mapping[str, object] = MappingProxyType({}),
    ) -> Outline | None:
        """Fill the template, but keep the printed values apart; None if that is not possible."""
        try:
            return self._run(self._module(is_apart=True).shape, context, data)
        except NoOutline:
            return None

    def _module(self, *, is_apart: bool) -> Module:
        module = self._modules.get(is_apart)
        if module is None or module.is_full:
            module = self._body.module(self._partials, is_apart=is_apart)
            self._modules[is_apart] = module
        return module

    def _run(self, work: Callable[..., T], *arguments: object) -> T:
        try:
            return work(*arguments)
        except Missing as exc:
            raise RenderError(f"{self.name}: the data has no {exc.path}") from exc
        except RecursionError as exc:
            raise RenderError(f"{self.name}: nested too deeply, partials or data") from exc
        except _RENDER_FAILURES as exc:
            raise RenderError(f"{self.name}: {exc}") from exc


@dataclass(frozen=True)
class _Compiled:
    """Everything compiled from one state of the files; a change of the files replaces the whole.

    The keys say if the compiled code escapes for HTML.
    """

    stamp: frozenset[tuple[str, int]]
    compilers: dict[bool, Compiler] = field(default_factory=dict)
    partials: dict[bool, dict[str, Body]] = field(default_factory=lambda: {True: {}, False: {}})
    # None for a template that does not exist.
    templates: dict[str, Template | None] = field(default_factory=dict)


def _read(path: Path) -> str:
    try:
        return _checked(path.read_text(encoding="utf-8"), name=str(path))
    except UnicodeDecodeError as exc:
        raise TemplateSyntaxError(f"{path}: not UTF-8") from exc


def _checked(source: str, *, name: str) -> str:
    if len(source.encode()) > MAX_TEMPLATE_BYTES:
        raise TemplateSyntaxError(f"{name}: larger than {MAX_TEMPLATE_BYTES} bytes")
    return source


def _compile(compiler: Compiler, source: str, *, name: str) -> Body:
    try:
        return compiler.template(parse(source))
    except (BadTemplate, RecursionError) as exc:
        raise TemplateSyntaxError(f"{name}: {exc}") from exc


def _refuse_long_lists(value: object) -> None:
    if type(value) is dict or isinstance(value, Mapping):
        items: Iterable[object] = value.values()
    elif isinstance(value, list | tuple):
        if len(value) > MAX_LIST_ITEMS:
            raise ValueError(f"a list of {len(value)} items, at most {MAX_LIST_ITEMS} are rendered")
        items = value
    else:
        return
    for item in items:
        if type(item) not in _PLAIN:
            _refuse_long_lists(item)
