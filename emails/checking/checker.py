"""Check a template before it is saved or published: nothing that is refused here ever reaches a consumer.

The files are checked as files, parsed, and walked through for every event of their type at once. What remains is
compiled as consumers compile it, and rendered with a sample.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Any

from emails.checking import sources, trial
from emails.checking.findings import Findings, Problem, TooMany
from emails.checking.shapes import TEXT, UNKNOWN, Shape, like
from emails.checking.walking import Walk
from emails.rendering.parser import parse
from emails.rendering.syntax import BadTemplate, Place, Program
from emails.rendering.templates import Letterhead
from queues.events import links

_START = Place(1, 1)


def problems(
    files: Mapping[str, str],
    schema: Mapping[str, Any] | None,
    *,
    sample: Mapping[str, object] | None = None,
    link_hosts: Collection[str] | None = None,
) -> list[Problem]:
    """Return all that is wrong with a template, by file and place; an error bars it from being published.

    ``files`` are all of the template, with the partials that it uses. ``schema`` is the JSON Schema of the event's
    data; without one the sample stands for it, and all that the sample has is taken to be always there. Without
    ``link_hosts``, links lead to the hosts of the settings.
    """
    findings = Findings(files)
    with suppress(TooMany):
        _check(files, schema, sample, frozenset(_hosts(link_hosts)), findings)
    return list(findings)


def _hosts(given: Collection[str] | None) -> Collection[str]:
    return links.allowed_hosts() if given is None else [host.lower() for host in given]


def _check(
    files: Mapping[str, str],
    schema: Mapping[str, Any] | None,
    sample: Mapping[str, object] | None,
    hosts: frozenset[str],
    findings: Findings,
) -> None:
    readable = sources.check(files, findings)
    programs = {}
    for name, source in sorted(readable.items()):
        if program := _parsed(name, source, findings):
            programs[name] = program
    known = Shape(schema) if schema is not None else _shape_of(sample)
    walk = Walk(programs, findings, root=known, data=_data(), hosts=hosts)
    for name in sources.roots(programs):
        walk.file(name)
    if findings.has_errors():
        return
    trial.compile_all(programs, findings)
    if sample is not None and not findings.has_errors():
        trial.render(readable, sample, findings)
    if "preheader" not in "".join(readable.values()):
        hint = "It is what a mailbox shows beside the subject."
        findings.add("body.html.hbs", _START, "no-preheader", "there is no preheader", hint)


def _parsed(name: str, source: str, findings: Findings) -> Program | None:
    try:
        return parse(source)
    except BadTemplate as exc:
        findings.add(name, exc.place, "syntax", exc.problem)
    return None


def _shape_of(sample: Mapping[str, object] | None) -> Shape:
    return UNKNOWN if sample is None else Shape(like(sample))


def _data() -> dict[str, Shape]:
    """Return what templates read as ``@name`` besides what blocks give them."""
    names = [field.name for field in fields(Letterhead)]
    brand = {
        "type": "object",
        "properties": dict.fromkeys(names, {"type": "string"})
        | {"logo": {"type": "string", "format": "uri"}},
        "required": names,
    }
    return {"brand": Shape(brand), "language": TEXT, "locale": TEXT, "dir": TEXT}
