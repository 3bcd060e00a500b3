"""The library's own renderer, as the measure of ours.

It reads arguments with strictness off, as handlebars.js does, and has no option for it; we turn that off in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from unittest import mock

from dotpromptz_handlebars import Handlebars, StrictModeError, _render

from emails.rendering.compiler import Compiler
from emails.rendering.expressions import State
from emails.rendering.values import NoOutline

# What a template whose partials or data have no end comes to; the words depend on who notices first.
TOO_DEEP = "too deep"
FAILURES = (ArithmeticError, AttributeError, LookupError, StrictModeError, TypeError, ValueError)


def rendered_by_library(
    source: str,
    context: object,
    *,
    partials: Mapping[str, str],
    helpers: Mapping[str, Any],
    strict: bool,
    escape: bool,
) -> str:
    """Return what the library prints, or its error."""
    library = Handlebars(strict=strict, escape_html=escape)
    for name, helper in helpers.items():
        library.register_helper(name, helper)
    for name, partial in partials.items():
        library.register_partial(name, partial)
    with mock.patch.object(_render, "_loose", lambda env: env):
        return _outcome(lambda: library.compile(source)(context))


def rendered_by_us(
    source: str,
    context: object,
    *,
    partials: Mapping[str, str],
    helpers: Mapping[str, Any],
    strict: bool,
    escape: bool,
    printed: list[str] | None = None,
) -> str:
    """Return what our compiler prints, or its error; with ``printed``, its outline."""
    builtins: Mapping[str, Any] = Handlebars()._helpers
    compiler = Compiler({**builtins, **helpers}, strict=strict, escape=escape)

    def render() -> str:
        bodies = {
            name: compiler.body(_render.compile_template(text)) for name, text in partials.items()
        }
        body = compiler.body(_render.compile_template(source))
        return body.fill(State.of(context, bodies, printed))

    return _outcome(render)


def _outcome(render: Callable[[], str]) -> str:
    try:
        return render()
    except NoOutline:
        raise
    except RecursionError:
        return TOO_DEEP
    except FAILURES as exc:
        return f"{type(exc).__name__}: {exc}"
