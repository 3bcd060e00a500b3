"""Provide ``manage.py doctor``."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand

from queues.doctor import findings
from queues.doctor.findings import EXIT_CODES, Finding, Verdict

_MARKS = {
    Verdict.ERROR: "ERROR  ",
    Verdict.WARNING: "WARNING",
    Verdict.NOTE: "note   ",
    Verdict.GOOD: "ok     ",
}


class Command(BaseCommand):
    """Check the installation; exit with 0 if it is in order, 1 after warnings, 2 after errors."""

    help = (
        "Check settings, database, AWS, queues, SES and consumers; say what is wrong, why it matters and how to fix "
        "it. Exits with 0 if the set-up is in order, 1 if there are warnings, 2 if there are errors."
    )
    # The doctor runs the system checks itself; here a failing one would stop it.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options; ``--help`` describes them."""
        parser.add_argument("--json", action="store_true", help="one JSON object, for scripts")
        parser.add_argument(
            "--send",
            action="store_true",
            help="also send an email to SES's mailbox simulator, and wait up to a minute until its bounce is read",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print each finding as it comes, or all at once as JSON."""
        found: list[Finding] = []
        for finding in findings.collect(send=options["send"]):
            if not options["json"]:
                self._say(finding, found)
            found.append(finding)
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(found), indent=2))
        else:
            self.stdout.write(f"\n{findings.headline(found)}\n{findings.summary(found)}")
        if code := EXIT_CODES.get(findings.worst(found), 0):
            sys.exit(code)

    def _say(self, finding: Finding, before: Sequence[Finding]) -> None:
        if not before or before[-1].area != finding.area:
            self.stdout.write(self.style.MIGRATE_HEADING(finding.area))
        mark = _MARKS[finding.verdict]
        style = {Verdict.ERROR: self.style.ERROR, Verdict.WARNING: self.style.WARNING}
        self.stdout.write(f"  {style.get(finding.verdict, str)(mark)} {finding.what}")
        if finding.why:
            self.stdout.write(f"          why: {finding.why}")
        if finding.fix:
            self.stdout.write(f"          do:  {finding.fix}")
        # Some checks take a while, so show at once how far it has come.
        self.stdout.flush()


def _as_json(found: Sequence[Finding]) -> dict[str, Any]:
    worst = findings.worst(found)
    return {
        "verdict": worst,
        "exit_code": EXIT_CODES.get(worst, 0),
        "findings": [
            {
                "area": finding.area,
                "key": finding.key,
                "verdict": finding.verdict,
                "what": finding.what,
                "why": finding.why,
                "fix": finding.fix,
            }
            for finding in found
        ],
    }
