"""Examine what a deployment needs: what was found, why it matters, and the command or page that mends it.

An app names its module of examinations when it is loaded (``add``); the module itself is imported when somebody asks,
so a consumer that examines nothing loads none of them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import import_module

from django.db import DatabaseError

logger = logging.getLogger(__name__)


class Verdict(StrEnum):
    """From worst to best. A ``note`` is worth knowing and asks for nothing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    GOOD = "good"


# What a script is told: 0 all is well, 1 something should be looked at, 2 something does not work.
EXIT_CODES = {Verdict.ERROR: 2, Verdict.WARNING: 1}

# What AWS answers to who lacks a right.
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
_ACTION = re.compile(r"perform: ([a-z0-9-]+:[A-Za-z]+)")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``key`` is for scripts and stays; ``mend`` is empty where nothing is to be done."""

    key: str
    what: str
    verdict: Verdict = Verdict.GOOD
    why: str = ""
    fix: str = ""
    area: str = ""


class AwsAway(Exception):
    """Raised by an examination: nothing can be asked of AWS, so the others need not wait for it as well."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.what)
        self.finding = finding


Look = Callable[[], Iterable[Finding]]


@dataclass(frozen=True)
class Examination:
    """Of one area. ``sends``: it sends an email, so it is run only when that is asked for."""

    area: str
    look: Look
    asks_aws: bool = False
    sends: bool = False


_modules: list[str] = []
_examinations: list[Examination] = []


def add(module: str) -> None:
    """Register a module whose functions are decorated with ``examines``; imported when it is needed."""
    _modules.append(module)


def examines(area: str, *, asks_aws: bool = False, sends: bool = False) -> Callable[[Look], Look]:
    """Register a function that looks at something and yields Findings. It changes nothing."""

    def register(look: Look) -> Look:
        _examinations.append(Examination(area, look, asks_aws, sends))
        return look

    return register


def examine(*, send: bool = False) -> Iterator[Finding]:
    """Run all examinations, in the order of the apps; ``send``: those that send an email as well."""
    load()
    is_away = False
    for examination in _examinations:
        if (examination.asks_aws and is_away) or (examination.sends and not send):
            continue
        try:
            yield from _looked(examination)
        except AwsAway as exc:
            is_away = True
            yield replace(exc.finding, area=examination.area)


def load() -> None:
    """Import the modules that apps have named."""
    for module in _modules:
        import_module(module)


def worst(findings: Iterable[Finding]) -> Verdict:
    """The verdict on all of them."""
    found = {finding.verdict for finding in findings}
    return next((verdict for verdict in Verdict if verdict in found), Verdict.GOOD)


def summary(findings: Sequence[Finding]) -> str:
    """How many of each: ``2 errors, 1 warning, 20 in order``."""
    counts = {
        verdict: sum(finding.verdict == verdict for finding in findings) for verdict in Verdict
    }
    named = [
        f"{count} {verdict}{'' if count == 1 else 's'}"
        for verdict, count in counts.items()
        if count and verdict != Verdict.GOOD
    ]
    return ", ".join([*named, f"{counts[Verdict.GOOD]} in order"])


def missing_right(text: str, *, otherwise: str, of: str) -> Finding:
    """AWS refused a question; it mostly names the right, in its own spelling."""
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


def _looked(examination: Examination) -> Iterator[Finding]:
    """One that fails must not keep the others from being looked at."""
    try:
        for finding in examination.look():
            yield replace(finding, area=examination.area)
    except AwsAway:
        raise
    except DatabaseError as exc:
        yield _unexamined(
            examination, f"the database did not answer ({type(exc).__name__})", "See Database."
        )
    except Exception as exc:
        logger.exception("examination failed area=%s", examination.area)
        yield _unexamined(
            examination,
            f"the examination itself failed ({type(exc).__name__})",
            "Report it as a bug of Notifier, with the traceback in the log.",
        )


def _unexamined(examination: Examination, reason: str, fix: str) -> Finding:
    return Finding(
        "doctor.unexamined",
        f"{examination.area} could not be examined: {reason}.",
        Verdict.ERROR,
        why="Nobody knows whether this part works.",
        fix=fix,
        area=examination.area,
    )
