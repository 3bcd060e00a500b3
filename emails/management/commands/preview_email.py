"""Show an email as its template renders it, from sample data or from data of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from emails.errors import RenderError
from emails.rendering import templates
from queues.events import unambiguous


class Command(BaseCommand):
    """Render an email to the terminal or a file; it sends nothing and needs no database."""

    help = "Render an email template with its sample data. Without a name, list the templates."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options; ``--data`` takes the JSON that an event carries under ``data``."""
        parser.add_argument("name", nargs="?", help="a folder of templates/emails")
        parser.add_argument(
            "--format",
            choices=["subject", "text", "html", "all"],
            default="all",
            help="which part to show (default: %(default)s)",
        )
        parser.add_argument("--locale", default="", metavar="TAG", help="such as de-AT")
        parser.add_argument("--data", type=Path, metavar="FILE", help="JSON instead of the sample")
        parser.add_argument("--output", type=Path, metavar="FILE", help="write to a file")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print or write the preview; exit non-zero if the template or its data are wrong."""
        if options["name"] is None:
            text = "\n".join(templates.names())
        else:
            text = _preview(options["name"], options["format"], options["data"], options["locale"])
        if options["output"]:
            _write(options["output"], text)
            self.stdout.write(f"wrote {options['output']}")
        else:
            self.stdout.write(text)


def _preview(name: str, part: str, data: Path | None, locale: str) -> str:
    if name not in templates.names():
        raise CommandError(
            f"No template is called {name!r}. The templates are: {', '.join(templates.names())}."
        )
    try:
        context = _read(data) if data else templates.sample(name).data
        rendered = templates.render(name, {**context, "locale": locale} if locale else context)
    except RenderError as exc:
        raise CommandError(str(exc)) from exc
    if part == "all":
        return f"Subject: {rendered.subject}\n\n{rendered.text}\n{rendered.html}"
    return str(getattr(rendered, part))


def _read(path: Path) -> dict[str, object]:
    try:
        data = unambiguous.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise CommandError(f"{path}: {exc}") from exc
    if not isinstance(data, dict):
        raise CommandError(f"{path}: this is not a JSON object")
    return data


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise CommandError(f"{path}: {exc}") from exc
