"""Check the email templates in files, as drafts are checked before they are saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from emails.checking.checker import problems
from emails.checking.findings import Level, Problem
from emails.errors import RenderError
from emails.rendering import templates
from queues.events import schemas


class Command(BaseCommand):
    """Print each problem as ``file:line:column: …``; needs no database and sends nothing."""

    help = (
        "Check email templates against the JSON Schema of their event: names that it lacks or may lack, links to "
        "foreign hosts, markup, partials. Exits with 1 if there is an error."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("names", nargs="*", help="folders of templates/emails (default: all)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the problems; exit non-zero if one of them is an error."""
        names = options["names"] or templates.names()
        if unknown := sorted({*names} - {*templates.names()}):
            raise CommandError(
                f"No template is called {unknown[0]!r}. "
                f"The templates are: {', '.join(templates.names())}."
            )
        found = [problem for name in names for problem in _problems(name)]
        for text in dict.fromkeys(found):
            self.stdout.write(str(text))
        errors = sum(problem.level == Level.ERROR for problem in set(found))
        if errors:
            raise CommandError(f"{errors} error(s) in the email templates")
        self.stdout.write(f"{len(names)} templates, no error")


def _problems(name: str) -> list[Problem]:
    """Check one template; each file is named with its folder."""
    try:
        sample = templates.sample(name)
    except RenderError as exc:
        raise CommandError(str(exc)) from exc
    files = _files(name) | _files("partials", prefix="partials/")
    found = problems(files, schemas.data_schema(sample.type), sample=sample.data)
    return [_in_folder(name, problem) for problem in found]


def _in_folder(name: str, problem: Problem) -> Problem:
    is_partial = problem.file.startswith("partials/")
    file = problem.file if is_partial else f"{name}/{problem.file}"
    return Problem(**{**vars(problem), "file": file})


def _files(folder: str, *, prefix: str = "") -> dict[str, str]:
    """Return the sources in a folder of the first template directory that has them."""
    found: dict[str, str] = {}
    for directory in reversed(templates.engine().template_dirs):
        root = Path(directory) / folder
        found |= {
            f"{prefix}{path.relative_to(root).as_posix()}": path.read_text(encoding="utf-8")
            for path in sorted(root.rglob("*.hbs"))
        }
    return found
