"""Show the email that a template makes now, of its sample or of a real event."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from emails.editing import catalog, events, previews
from emails.editing.previews import Shown
from emails.errors import RenderError
from emails.pages.templates import frame
from emails.rendering import languages
from emails.ses import brands, default_sender
from emails.versions import in_force
from queues import masking


@require_safe
@permission_required(frame.MAY_LOOK, raise_exception=True)
def show(request: HttpRequest, name: str) -> HttpResponse:
    """Show a template in force, in the language of the query's ``language`` and with the event of its ``event``.

    A partial is shown in the template that ``user`` names, or in the first one that uses it.
    """
    frame.require(name)
    template, users = shown_in(name, request.GET.get("user", ""))
    context: dict[str, Any] = {"users": users, "template": template}
    if template:
        context |= _preview(request, template)
    return frame.render(request, "preview", name, context, tab="preview")


def shown_in(name: str, wanted: str) -> tuple[str, list[str]]:
    """Return the template in which a partial is shown, and all that use it; a template is shown by itself."""
    if not catalog.is_partial(name):
        return name, []
    users = catalog.users(name)
    return (wanted if wanted in users else next(iter(users), "")), users


def choice(
    request: HttpRequest, template: str, *, event: str, language: str, tags: list[str]
) -> dict[str, Any]:
    """Return what a form needs to choose event and language, and what was chosen."""
    return {
        "chosen": events.choose(template, event, is_masked=masking.hides(request)),
        "event": event,
        "language": language if language in tags else "",
        "languages": [(tag, languages.english_name(tag)) for tag in ("", *tags)],
    }


def _preview(request: HttpRequest, template: str) -> dict[str, Any]:
    context: dict[str, Any] = {
        "brand": brands.in_force(brands.of(template)),
        "sender": default_sender.decoded(default_sender.of(template)),
    }
    try:
        sources = in_force.sources(template)
    except RenderError as exc:
        return context | {"shown": Shown(problem=str(exc))}
    wanted, event = request.GET.get("language", ""), request.GET.get("event", "")
    tags = sorted(languages.variants(sources))
    context |= choice(request, template, event=event, language=wanted, tags=tags)
    context["shown"] = previews.of_sources(
        template, sources, context["chosen"], language=context["language"]
    )
    return context
