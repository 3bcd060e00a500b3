"""Render an event's data by a draft and by what is in force, and say what the draft changes for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from emails.errors import RenderError
from emails.models import Rehearsal, RehearsalCase
from emails.rendering import templates
from emails.rendering.templates import Rendered
from emails.versions import in_force

Outcome = RehearsalCase.Outcome

# An email, or why it cannot be rendered.
Result = Rendered | str
_Render = Callable[[Mapping[str, object]], Result]


@dataclass(frozen=True)
class Compared:
    """One event's data, rendered both ways."""

    before: Result
    after: Result

    @property
    def outcome(self) -> RehearsalCase.Outcome:
        """What the draft changes."""
        if isinstance(self.after, str):
            return Outcome.FAILING if isinstance(self.before, str) else Outcome.BROKEN
        if isinstance(self.before, str):
            return Outcome.FIXED
        return Outcome.UNCHANGED if self.before == self.after else Outcome.CHANGED

    @property
    def reason(self) -> str:
        """Why it cannot be rendered, or could not; empty if both can."""
        found = self.after if isinstance(self.after, str) else self.before
        return found if isinstance(found, str) else ""


@dataclass(frozen=True)
class Comparison:
    """The files of one template, compiled both ways."""

    _before: _Render
    _after: _Render

    def of(self, context: Mapping[str, object]) -> Compared:
        """Render this data both ways."""
        return Compared(self._before(context), self._after(context))


@lru_cache(2)
def of(rehearsal: Rehearsal) -> dict[str, Comparison]:
    """Return the comparison for each template of a rehearsal; compiled once for all steps of a process."""
    return {
        name: Comparison(_render(name, files["before"]), _render(name, files["after"]))
        for name, files in rehearsal.plan.items()
    }


def _render(template: str, sources: Mapping[str, str]) -> _Render:
    letterhead = in_force.letterhead(template)
    try:
        files = templates.of_sources(template, sources)
    except RenderError as exc:
        problem = str(exc)
        return lambda context: problem

    def render(context: Mapping[str, object]) -> Result:
        try:
            return files.render(context, letterhead)
        except RenderError as exc:
            return str(exc)

    return render
