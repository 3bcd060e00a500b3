"""Make drafts of the email templates that an SES account stores."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from emails.errors import NotTransferred, StaleTemplate
from emails.ses import stored_templates
from emails.transfer import exporting, importing
from emails.transfer.importing import Import

_HOW = "It needs an event, a handler and a sample first: docs/how-to/adding-a-notification.md."


class Command(BaseCommand):
    """Read SES's templates one by one, and save those as drafts whose names are those of ours."""

    help = (
        "Make drafts of the templates that SES stores, where one of ours has the same name, and say line by line what "
        "does not work here. Nothing is changed in the text, nothing is published, nothing changes in SES."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("names", nargs="*", help="templates of SES (default: all)")
        parser.add_argument(
            "--by", default="import_ses_templates", metavar="NAME", help="who imports"
        )
        parser.add_argument(
            "--replace", action="store_true", help="overwrite open drafts that differ"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what differs")

    def handle(self, *args: Any, **options: Any) -> None:
        """Tell what differs, and save the drafts, all or none."""
        try:
            for name in options["names"]:
                _require(name)
            found = [
                draft
                for name in options["names"] or stored_templates.names()
                if (draft := self._read(name))
            ]
            self._tell(found)
            if not options["replace"]:
                importing.keep_drafts(found)
            if options["dry_run"]:
                self.stdout.write("Nothing was imported: this is a dry run.")
                return
            importing.draft(found, by=options["by"], why="from SES")
        except (NotTransferred, StaleTemplate) as exc:
            raise CommandError(str(exc)) from exc
        self.stdout.write(f"{len(found)} draft(s) saved.")

    def _read(self, name: str) -> Import | None:
        """Return the draft; files that SES does not have, such as those of languages, stay as they are."""
        if name not in exporting.known():
            self.stderr.write(f"{name}: left out, no template here has this name. {_HOW}")
            return None
        time.sleep(stored_templates.SECONDS_BETWEEN_CALLS)
        files = stored_templates.get(name)
        current = importing.compared(name, files)
        return replace(current, files={**current.old, **files})

    def _tell(self, found: list[Import]) -> None:
        for each in found:
            self.stdout.write("\n  ".join([each.name, *(each.differences() or ["no difference"])]))
            if "{{" in each.files.get("body.html.hbs", ""):
                self.stdout.write(
                    "  SES prints values into HTML as they are, and nothing for one that is missing. Here they are "
                    "escaped, and a name that the event lacks is an error."
                )
        for problem in importing.problems(found):
            self.stdout.write(str(problem))


def _require(name: str) -> None:
    try:
        exporting.require(name)
    except NotTransferred as exc:
        raise NotTransferred(f"{exc} {_HOW}") from exc
