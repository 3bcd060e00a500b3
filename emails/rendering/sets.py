"""Compile templates that belong together: they share their partials, and many threads may render them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from django.http import HttpRequest
from django.template import TemplateSyntaxError
from django.template.base import Origin

from emails.errors import RenderError
from emails.rendering.compiler import Body, Compiler
from emails.rendering.expressions import Helper, Written
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


class Source(NamedTuple):
    """The text of a template file, and where it comes from."""

    text: str
    origin: Origin


class TemplateSet:
    """Templates with the partials that they share; each is compiled when it is asked for first.

    ``find`` returns the source of a file, or None if there is no such file.
    """

    def __init__(
        self,
        find: Callable[[str], Source | None],
        partials: Mapping[str, Source],
        *,
        helpers: Mapping[str, Helper | Written],
        strict: bool,
    ) -> None:
        self._find = find
        # The keys say if the compiled code escapes for HTML.
        self._compilers = {
            escape: Compiler(helpers, strict=strict, escape=escape) for escape in (True, False)
        }
        self._partials = {
            escape: {
                name: _compile(compiler, source.text, name=source.origin.name)
                for name, source in partials.items()
            }
            for escape, compiler in self._compilers.items()
        }
        # None for a template that does not exist.
        self._templates: dict[str, Template | None] = {}

    def get(self, name: str) -> Template | None:
        """Return the compiled template; raises TemplateSyntaxError if it is broken."""
        if name not in self._templates:
            source = self._find(name)
            escape = name.endswith(".html.hbs")
            self._templates[name] = source and self.template(source, escape=escape)
        return self._templates[name]

    def template(self, source: Source, *, escape: bool) -> Template:
        """Compile a template that can use the partials of this set; raises TemplateSyntaxError."""
        name = str(source.origin.template_name or source.origin.name)
        body = _compile(self._compilers[escape], source.text, name=name)
        return Template(source.origin, body, self._partials[escape])


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
        return self._run(lambda: self._module(is_apart=False).text(context, data))

    def outline(
        self,
        context: Mapping[str, object],
        *,
        data: Mapping[str, object] = MappingProxyType({}),
    ) -> Outline | None:
        """Fill the template, but keep the printed values apart; None if that is not possible."""
        try:
            return self._run(lambda: self._module(is_apart=True).shape(context, data))
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


def _compile(compiler: Compiler, text: str, *, name: str) -> Body:
    if len(text.encode()) > MAX_TEMPLATE_BYTES:
        raise TemplateSyntaxError(f"{name}: larger than {MAX_TEMPLATE_BYTES} bytes")
    try:
        return compiler.template(parse(text))
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
