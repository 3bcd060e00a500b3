"""Know the templates and partials that staff can edit, and how each of them stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Count, Value
from django.db.models.functions import StrIndex, Substr

from emails.errors import RenderError
from emails.models import EmailTemplate, TemplateDraft, TemplateVersion
from emails.models.templates import digest_of
from emails.rendering import templates
from emails.versions import editions, in_force, publishing
from queues.models import DeadLetter

PARTIALS = "partials/"
# A partial is one file, which has this name in its versions.
SOURCE = "source.hbs"
# The code of a dead letter whose email could not be rendered.
RENDER_ERROR = "RenderError"


@dataclass(frozen=True)
class Entry:
    """One template or partial in the list; ``waiting`` counts the dead letters that it could not render."""

    name: str
    decided: EmailTemplate | None
    draft: TemplateDraft | None
    waiting: int
    is_overtaken: bool

    @property
    def is_partial(self) -> bool:
        """Return True if other templates include it."""
        return is_partial(self.name)

    @property
    def published(self) -> TemplateVersion | None:
        """Return the version of staff that is in force; None if the deployed code is."""
        return self.decided.published if self.decided else None


def is_partial(name: str) -> bool:
    """Return True for the name of a partial, such as ``partials/layout``."""
    return name.startswith(PARTIALS)


def names() -> list[str]:
    """Return the names of all templates, then those of all partials."""
    return [
        *templates.names(),
        *(file.removesuffix(".hbs") for file in sorted(templates.partials())),
    ]


def entries() -> list[Entry]:
    """Return how every template and partial stands, by four queries."""
    decided = EmailTemplate.objects.select_related("published").in_bulk()
    drafts = TemplateDraft.objects.in_bulk()
    waiting = _waiting()
    return [
        Entry(
            name,
            decided.get(name),
            drafts.get(name),
            waiting.get(name, 0),
            is_overtaken=is_overtaken(decided.get(name)),
        )
        for name in names()
    ]


def decided(name: str) -> EmailTemplate | None:
    """Return what staff decided about a template or partial, from the database; None if nobody did."""
    rows = EmailTemplate.objects.select_related("published")
    return rows.filter(name=name).first()


def is_overtaken(row: EmailTemplate | None) -> bool:
    """Return True if a version of staff hides deployed files that got another text after staff published it."""
    if row is None or row.published is None or is_caught_up(row):
        return False
    return row.deployed != digest_of(editions.deployed(row.name))


def is_caught_up(row: EmailTemplate | None) -> bool:
    """Return True if the deployed files have the text of staff's version: going back to the code changes no email."""
    if row is None or row.published is None:
        return False
    code = editions.deployed(row.name)
    if code and not is_partial(row.name):
        code = templates.closed(publishing.own_files(code), in_force.partials())
    return bool(code == row.published.files)


def users(partial: str) -> list[str]:
    """Return the templates that use this partial now, directly or through another one."""
    return [name for name in templates.names() if f"{partial}.hbs" in _in_force(name)]


def _in_force(name: str) -> Mapping[str, str]:
    try:
        return in_force.sources(name)
    except RenderError:
        return {}


def _waiting() -> dict[str, int]:
    """Count the dead letters that wait because a template could not be rendered; their reason begins with its name."""
    letters = DeadLetter.objects.waiting().filter(code=RENDER_ERROR).order_by()
    begins = Substr("reason", 1, StrIndex("reason", Value("/")) - 1)
    counts = letters.filter(reason__contains="/").values_list(begins).annotate(Count("pk"))
    return dict(counts)
