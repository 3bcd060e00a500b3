"""Check what a deployment needs: say what was found, why it matters, and the command or page that fixes it.

An app names its module of doctor checks at start (``add``). The module itself is imported when somebody runs the
doctor, so a consumer that runs no doctor loads none of them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import import_module

from django.db import DatabaseError

from queues.errors import QueueUnavailable

logger = logging.getLogger(__name__)


class Verdict(StrEnum):
    """Rank a finding, from worst to best. A ``note`` is worth knowing and asks for nothing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    GOOD = "good"


# The exit code for scripts: 0 the set-up is in order, 1 somebody should look at something, 2 something does not work.
EXIT_CODES = {Verdict.ERROR: 2, Verdict.WARNING: 1}

# The keys of findings about work that waits for a person; they say nothing about the set-up.
WAITING = "waiting."

_ACTION = re.compile(r"perform: ([a-z0-9-]+:[A-Za-z]+)")


@dataclass(frozen=True)
class Finding:
    """One result of a check. ``key`` is for scripts and stays; ``fix`` is empty where there is nothing to do."""

    key: str
    what: str
    verdict: Verdict = Verdict.GOOD
    why: str = ""
    fix: str = ""
    area: str = ""


class AwsAway(Exception):
    """Raised by a check when AWS cannot be asked anything, so that the other checks need not wait for it as well."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.what)
        self.finding = finding


Look = Callable[[], Iterable[Finding]]


@dataclass(frozen=True)
class Check:
    """A check of one area. ``sends``: it sends an email, so it runs only when somebody asks for that."""

    area: str
    look: Look
    asks_aws: bool = False
    sends: bool = False


_modules: list[str] = []
_checks: list[Check] = []


def add(module: str) -> None:
    """Register a module whose functions are decorated with ``doctor_check``; it is imported when the doctor runs."""
    _modules.append(module)


def doctor_check(
    area: str, *, asks_aws: bool = False, sends: bool = False
) -> Callable[[Look], Look]:
    """Register a function that checks something and yields Findings. It must change nothing."""

    def register(look: Look) -> Look:
        _checks.append(Check(area, look, asks_aws, sends))
        return look

    return register


def collect(*, send: bool = False) -> Iterator[Finding]:
    """Run all checks, in the order of the apps; with ``send`` also those that send an email."""
    load()
    is_away = False
    for check in _checks:
        if (check.asks_aws and is_away) or (check.sends and not send):
            continue
        try:
            yield from _looked(check)
        except AwsAway as exc:
            is_away = True
            yield replace(exc.finding, area=check.area)


def load() -> None:
    """Import the modules of checks that apps have named."""
    for module in _modules:
        import_module(module)


def worst(findings: Iterable[Finding]) -> Verdict:
    """Return the worst verdict of all findings; good when there are none."""
    found = {finding.verdict for finding in findings}
    return next((verdict for verdict in Verdict if verdict in found), Verdict.GOOD)


def summary(findings: Sequence[Finding]) -> str:
    """Count the findings by verdict: ``2 errors, 1 warning, 20 in order``."""
    counts = {
        verdict: sum(finding.verdict == verdict for finding in findings) for verdict in Verdict
    }
    named = [
        f"{count} {verdict}{'' if count == 1 else 's'}"
        for verdict, count in counts.items()
        if count and verdict != Verdict.GOOD
    ]
    return ", ".join([*named, f"{counts[Verdict.GOOD]} in order"])


def headline(findings: Sequence[Finding]) -> str:
    """Say how the set-up is and what waits for a person: ``The set-up is in order; 32 dead letters wait.``"""
    verdict = worst(findings)
    if verdict in EXIT_CODES:
        count = sum(finding.verdict == verdict for finding in findings)
        set_up = f"The set-up has {count} {verdict}{'' if count == 1 else 's'}"
    else:
        set_up = "The set-up is in order"
    waits = [finding.what.rstrip(".") for finding in waiting(findings)]
    return f"{'; '.join([set_up, *waits])}."


def waiting(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings about work that waits for a person."""
    return [finding for finding in findings if finding.key.startswith(WAITING)]


def missing_right(text: str, *, otherwise: str, of: str) -> Finding:
    """Return the finding that a right is missing. AWS mostly names the right in its answer, in its own spelling."""
    found = _ACTION.search(text)
    right = found[1] if found else otherwise
    if right.lower() == otherwise.lower():
        right = otherwise
    return Finding(
        "right.missing",
        f"The right {right} on {of} is missing.",
        Verdict.WARNING,
        why="This process cannot look; if its work needs the right as well, it fails there.",
        fix="Grant it to the role of this process (docs/reference/rights-on-aws.md), "
        "or run the doctor where the consumers run.",
    )


def _looked(check: Check) -> Iterator[Finding]:
    """Run one check. A check that fails must not stop the others."""
    try:
        for finding in check.look():
            yield replace(finding, area=check.area)
    except AwsAway:
        raise
    except QueueUnavailable as exc:
        yield _unchecked(check, str(exc), "See what AWS, or whatever answers in its place, says.")
    except DatabaseError as exc:
        yield _unchecked(
            check, f"the database did not answer ({type(exc).__name__})", "See Database."
        )
    except Exception as exc:
        logger.exception("doctor check failed area=%s", check.area)
        yield _unchecked(
            check,
            f"the check itself failed ({type(exc).__name__})",
            "See what answers in AWS's place, if anything does: a proxy, or the program at AWS_ENDPOINT_URL. If it is "
            "AWS, report a bug of Notifier, with the traceback in the log."
            if check.asks_aws
            else "Report it as a bug of Notifier, with the traceback in the log.",
        )


def _unchecked(check: Check, reason: str, fix: str) -> Finding:
    return Finding(
        "doctor.unexamined",
        f"{check.area} could not be checked: {reason}.",
        Verdict.ERROR,
        why="Nobody knows whether this part works.",
        fix=fix,
        area=check.area,
    )
