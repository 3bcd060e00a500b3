"""Write the email templates of staff as files, for the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from emails.errors import NotTransferred
from emails.rendering import templates
from emails.transfer import exporting
from emails.transfer.exporting import Export


class Command(BaseCommand):
    """Write files, and nothing else; the versions stay as they are."""

    help = (
        "Write what staff published as files, as templates/emails has them: the templates, their languages, and the "
        "partials of staff that they use. Other .hbs files of these templates are deleted. No link is followed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "names",
            nargs="*",
            help="templates, or partials/<name>; default: all that staff published",
        )
        parser.add_argument(
            "--to", type=Path, metavar="FOLDER", help="default: templates/emails of this code"
        )
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--drafts", action="store_true", help="the open drafts instead")
        # Django has a --version of its own.
        what.add_argument(
            "--number", type=int, metavar="N", help="version N of one template instead"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would change")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the files, and a line for each that changes."""
        folder = options["to"] or Path(templates.engine().template_dirs[0])
        try:
            exports = _chosen(options)
            lines = [line for each in exports for line in _told(each, folder)]
            if not options["dry_run"]:
                for each in exports:
                    each.write(folder)
        except (NotTransferred, OSError) as exc:
            raise CommandError(str(exc)) from exc
        self.stdout.write("\n".join(lines) or "Nothing to export: staff have published nothing.")
        if options["dry_run"]:
            self.stdout.write("Nothing was written: this is a dry run.")


def _chosen(options: dict[str, Any]) -> list[Export]:
    names, number = options["names"], options["number"]
    if options["drafts"]:
        return exporting.drafts(names)
    if number is None:
        return exporting.in_force_now(names)
    if len(names) != 1:
        raise CommandError("--number needs the name of one template.")
    return [exporting.version(names[0], number)]


def _told(export: Export, folder: Path) -> list[str]:
    differences = export.differences(folder)
    found = [f"  {line}" for line in differences] or ["  no difference"]
    return [f"{export.name}: {export.what}", *found]
