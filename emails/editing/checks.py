"""Check a draft with all that it is rendered with: the partials that are in force, or the templates that use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from emails.checking import checker
from emails.checking.findings import Level, Problem
from emails.editing import catalog
from emails.editing.catalog import SOURCE
from emails.errors import RenderError
from emails.rendering import templates
from emails.versions import in_force, publishing
from queues.events import schemas

# Stands for the templates that use a partial where there is none.
_ALONE = {"subject.hbs": "-", "body.html.hbs": "-"}


def problems(name: str, files: Mapping[str, str]) -> list[Problem]:
    """Return what is wrong with the draft of a template, or of a partial in each template that uses it."""
    if catalog.is_partial(name):
        return _of_partial(name, files.get(SOURCE, ""))
    return _of_template(name, {**files, **_missing_partials(files)})


def errors(found: Iterable[Problem]) -> list[Problem]:
    """Return those that bar a draft from being saved."""
    return [problem for problem in found if problem.level == Level.ERROR]


def closed(name: str, files: Mapping[str, str]) -> dict[str, str]:
    """Return the files of a draft with the partials that it uses; raises RenderError if a file has no valid syntax."""
    if catalog.is_partial(name):
        return dict(files)
    return templates.closed(publishing.own_files(files), in_force.partials())


def with_partial(user: str, name: str, source: str) -> dict[str, str]:
    """Return the files of a template as they would be with another source of a partial; raises RenderError."""
    own = publishing.own_files(in_force.sources(user))
    return templates.closed(own, in_force.partials() | {f"{name}.hbs": source})


def _missing_partials(files: Mapping[str, str]) -> dict[str, str]:
    """Return the partials to check the files with: what does not parse may use any."""
    try:
        return {name: text for name, text in closed("", files).items() if name not in files}
    except RenderError:
        return in_force.partials()


def _of_template(name: str, files: Mapping[str, str]) -> list[Problem]:
    try:
        sample = templates.sample(name)
    except RenderError:
        return checker.problems(files, None)
    return checker.problems(files, schemas.data_schema(sample.type), sample=sample.data)


def _of_partial(name: str, source: str) -> list[Problem]:
    file = f"{name}.hbs"
    found = checker.problems(_ALONE | in_force.partials() | {file: source}, None)
    found = [problem for problem in found if problem.file == file]
    for user in catalog.users(name) if not errors(found) else ():
        before = {_key(problem) for problem in _of_template(user, in_force.sources(user))}
        after = _of_template(user, _using(user, name, source))
        found += [_of_user(user, file, each) for each in after if _key(each) not in before]
    return [
        replace(problem, file=SOURCE) if problem.file == file else problem
        for problem in dict.fromkeys(found)
    ]


def _using(user: str, name: str, source: str) -> dict[str, str]:
    try:
        return with_partial(user, name, source)
    except RenderError:
        own = publishing.own_files(in_force.sources(user))
        return own | in_force.partials() | {f"{name}.hbs": source}


def _of_user(user: str, file: str, problem: Problem) -> Problem:
    return problem if problem.file == file else replace(problem, file=f"{user}/{problem.file}")


def _key(problem: Problem) -> tuple[str, str, str]:
    return problem.file, problem.code, problem.message
