"""Which tests run a line: found out once, by the fast tests and those of faults, before any line is broken."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import coverage

from benchmarks.mutants import recording
from benchmarks.mutants.mutations import Mutant
from benchmarks.mutants.workshop import ROOT, Workshop

# What runs in this process; the histories in tests/faults are among them.
_TESTS = ("tests/emails", "tests/queues", "tests/faults")
_WITHOUT = ("-m", "not processes and not browser")
_MOST_SECONDS = 1800
# So many may fail without a mutant, because the machine is busy: they are left out.
_MOST_FAILED = 3


@dataclass(frozen=True)
class Coverage:
    """The tests that run each line of each module, and the seconds that each test takes."""

    lines: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]

    def of(self, mutant: Mutant) -> list[str]:
        """Return the tests that can see a mutant, in the order in which they should run.

        First those of its own room, the others by their time: whoever sees it soon spares the rest.
        """
        found: set[str] = set()
        for path, lines in _places(mutant):
            by_line = self.lines.get(path, {})
            found.update(*(by_line.get(line, []) for line in lines))
        if not found:
            # It runs when the module is imported, before the first test.
            found.update(*self.lines.get(mutant.path, {}).values())
        room = "tests/" + mutant.path.rpartition("/")[0] + "/"
        return sorted(
            found & self.seconds.keys(),
            key=lambda test: (
                not test.startswith(room) or self.seconds[test] > 1,
                self.seconds[test],
            ),
        )

    def save(self, file: Path) -> None:
        """Write it to a file."""
        file.write_text(json.dumps({"lines": self.lines, "seconds": self.seconds}))

    @classmethod
    def load(cls, file: Path) -> Coverage:
        """Read what ``save`` wrote."""
        told = json.loads(file.read_text())
        lines = {
            path: {int(line): tests for line, tests in by_line.items()}
            for path, by_line in told["lines"].items()
        }
        return cls(lines, told["seconds"])


def record(workshops: Sequence[Workshop]) -> Coverage:
    """Run all tests once, some in each copy; exits if more than a few fail without a mutant."""
    shares = [_TESTS[number :: len(workshops)] for number in range(len(workshops))]
    with ThreadPoolExecutor(len(workshops)) as threads:
        try:
            parts = list(threads.map(_record, workshops, shares))
        except BaseException:
            # The threads would wait for their tests to end.
            for workshop in workshops:
                workshop.stop()
            raise
    lines: dict[str, dict[int, list[str]]] = {}
    seconds: dict[str, float] = {}
    for part in parts:
        seconds |= part.seconds
        for path, by_line in part.lines.items():
            for line, tests in by_line.items():
                lines.setdefault(path, {}).setdefault(line, []).extend(tests)
    return Coverage(lines, seconds)


def _record(workshop: Workshop, tests: Sequence[str]) -> Coverage:
    lines, seconds = workshop.folder / "lines.coverage", workshop.folder / "seconds.json"
    status, output = workshop.pytest(
        [*tests, *_WITHOUT, "-p", recording.__name__],
        timeout=_MOST_SECONDS,
        **{recording.LINES: str(lines), recording.SECONDS: str(seconds)},
    )
    if not seconds.exists():
        raise SystemExit(f"The tests did not run:\n{output[-3000:]}")
    told = json.loads(seconds.read_text())
    if told["failed"]:
        print(f"these fail without a mutant, and are left out: {told['failed']}", flush=True)
    if len(told["failed"]) > _MOST_FAILED or status not in (0, 1):
        raise SystemExit(f"The tests fail without a mutant:\n{output[-3000:]}")
    data = coverage.CoverageData(str(lines))
    data.read()
    return Coverage(
        {
            str(Path(file).relative_to(workshop.folder)): {
                line: list(filter(None, tests))
                for line, tests in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        },
        {test: took for test, took in told["seconds"].items() if test not in told["failed"]},
    )


def _places(mutant: Mutant) -> Iterable[tuple[str, Iterable[int]]]:
    """Yield the lines that run the mutant: its own, or those of the functions that read its constant."""
    if not mutant.names:
        yield mutant.path, mutant.lines
        return
    names = _with_what_is_made_of(mutant.path, mutant.names)
    word = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b")
    for path in _modules():
        text = (ROOT / path).read_text()
        if path == mutant.path or mutant.path.rpartition("/")[2].removesuffix(".py") in text:
            lines = text.splitlines()
            yield path, [number for number, line in enumerate(lines, 1) if word.search(line)]


@cache
def _modules() -> list[str]:
    return [
        str(path.relative_to(ROOT))
        for app in ("emails", "queues")
        for path in (ROOT / app).rglob("*.py")
    ]


def _with_what_is_made_of(path: str, names: Collection[str]) -> set[str]:
    """Return these names of a module and those of its constants that are made of them."""
    found = set(names)
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
            used = {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if used & found:
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found
