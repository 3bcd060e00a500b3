"""Make drafts or published versions of email templates in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from emails.checking.findings import Level
from emails.errors import NotTransferred, RenderError, StaleTemplate
from emails.rendering import templates
from emails.transfer import exporting, importing
from emails.transfer.importing import Import

_BAD = (NotTransferred, StaleTemplate, RenderError, OSError)


class Command(BaseCommand):
    """Check all files first; then all that differ are imported, or none."""

    help = (
        "Make drafts of the email templates in a folder, as templates/emails has them, after the checks of the editor. "
        "What equals the draft, or what is in force, stays as it is. No link is followed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "what",
            nargs="*",
            metavar="FOLDER|NAME",
            help="a folder (default: templates/emails of this code); templates or partials/<name> of it (default: all)",
        )
        parser.add_argument("--publish", action="store_true", help="put them in force at once")
        parser.add_argument(
            "--by", default="", metavar="NAME", help="who imports; needed to publish"
        )
        parser.add_argument("--why", default="", metavar="TEXT", help="why; needed to publish")
        parser.add_argument(
            "--replace", action="store_true", help="overwrite open drafts that differ"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="check, and say what would change"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, tell what differs, and import it."""
        if options["publish"] and not (options["by"] and options["why"]):
            raise CommandError("--publish needs --by and --why: both stay with the version.")
        try:
            folder, names = _parted(options["what"])
            compare = importing.to_publish if options["publish"] else importing.to_draft
            found = compare(folder, names)
            self._tell(found)
            self._check(found, folder)
            if not options["publish"] and not options["replace"]:
                importing.keep_drafts(found)
            if options["dry_run"]:
                self.stdout.write("Nothing was imported: this is a dry run.")
            else:
                self._import(found, options)
        except _BAD as exc:
            raise CommandError(str(exc)) from exc

    def _tell(self, found: list[Import]) -> None:
        for each in found:
            self.stdout.write("\n  ".join([each.name, *each.differences()]))
        if not found:
            self.stdout.write("No difference.")

    def _check(self, found: list[Import], folder: Path) -> None:
        problems = importing.problems(found)
        for problem in problems:
            self.stderr.write(f"{folder}/{problem}")
        if errors := sum(problem.level == Level.ERROR for problem in problems):
            raise CommandError(f"{errors} error(s). Nothing was imported.")

    def _import(self, found: list[Import], options: dict[str, Any]) -> None:
        by, why = options["by"] or "import_templates", options["why"]
        if not options["publish"]:
            importing.draft(found, by=by, why=why)
            self.stdout.write(f"{len(found)} draft(s) saved.")
            return
        for version in importing.publish(found, by=by, why=why):
            self.stdout.write(f"{version} is in force.")


def _parted(what: list[str]) -> tuple[Path, list[str]]:
    """Return the folder and the names: what is no template is the folder."""
    known = exporting.known()
    folders = [each for each in what if each not in known and Path(each).is_dir()]
    if len(folders) > 1:
        raise CommandError(f"{folders[1]}: one folder at a time.")
    names = [each for each in what if each not in folders]
    for name in names:
        exporting.require(name)
    return Path(folders[0] if folders else templates.engine().template_dirs[0]), names
