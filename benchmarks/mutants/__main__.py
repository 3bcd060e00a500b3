"""Break single lines of the rules on purpose, and look whether a test fails: ``make mutants``.

It works in copies in a temporary folder. A seed gives the same sample again. Exits with 1 if the tests see fewer than
95 % of the mutants that change what the product does; ``equivalent.toml`` names those that do not.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from benchmarks.mutants.covering import Coverage, record
from benchmarks.mutants.mutations import Mutant, mutants_of
from benchmarks.mutants.workshop import ROOT, Stopped, Workshop, who_failed

# The rules that keep the promises: nothing is lost, nothing is sent twice.
RULES = (
    *(f"emails/sending/{name}.py" for name in ("claims", "statements", "states", "notifying")),
    *(f"emails/sending/{name}.py" for name in ("breakers", "limiter", "planning", "guard")),
    "emails/reputation/suppressions.py",
    *(
        f"queues/outbox/{name}.py"
        for name in ("relay", "claims", "looks", "fifo_heads", "batches", "lost")
    ),
    *(f"queues/consumer/{name}.py" for name in ("handling", "acks", "in_flight", "retry_in_place")),
    *(f"queues/consumer/{name}.py" for name in ("quarantine", "fifo_groups")),
    "queues/dead_letters/decisions.py",
    *(f"queues/redrives/{name}.py" for name in ("jobs", "leases", "preflight", "releasing")),
    *(f"queues/redrives/{name}.py" for name in ("settling", "standstill")),
)
GOAL = 0.95
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
# A mutant's tests run in portions of so many seconds, the likeliest to see it first.
_PORTIONS = (8.0, 60.0, float("inf"))
# A test that takes this many times as long as it did, and a minute, hangs: that is seen, too.
_PATIENCE = 6


@dataclass(frozen=True)
class Verdict:
    """Holds the result for one mutant; ``by`` names the test that saw it."""

    mutant: Mutant
    by: str
    seconds: float


def main() -> None:
    """Exit with 1 unless the goal is met."""
    # Whoever ends it leaves no tests behind, in the background too, where a shell has SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="how many; 0 for all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="copies that run at the same time")
    parser.add_argument("--only", default="", help="mutants of modules whose path has this in it")
    parser.add_argument("--line", type=int, help="only those of this line")
    parser.add_argument("--map", type=Path, help="which tests run which lines: read, or written")
    parser.add_argument("--list", action="store_true", help="print the mutants, and run nothing")
    options = parser.parse_args()
    chosen = list(_chosen(options))
    if options.list:
        for mutant in chosen:
            print(_shown(mutant))
        return
    sys.exit(_run(chosen, options))


def _chosen(options: argparse.Namespace) -> Iterator[Mutant]:
    found = [
        mutant
        for path in RULES
        if options.only in path
        for mutant in mutants_of(path, (ROOT / path).read_bytes())
        if options.line is None or _line(mutant) == options.line
    ]
    count = min(options.count or len(found), len(found))
    yield from random.Random(options.seed).sample(found, count)  # noqa: S311  # no secret


def _run(chosen: list[Mutant], options: argparse.Namespace) -> int:
    reasons = _equivalent()
    alike = [mutant for mutant in chosen if _key(mutant) in reasons]
    judged = [mutant for mutant in chosen if _key(mutant) not in reasons]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="notifier-mutants-") as folder:
        workshops = [Workshop(Path(folder) / str(number)) for number in range(options.workers)]
        try:
            verdicts = list(_verdicts(judged, workshops, _coverage(workshops, options.map)))
        except (KeyboardInterrupt, Stopped):
            print("stopped; the working tree was not touched")
            return 130
        finally:
            for workshop in workshops:
                workshop.stop()
    for mutant in alike:
        print(f"\nequivalent: {_shown(mutant)}\n    {reasons[_key(mutant)]}")
    unseen = [verdict.mutant for verdict in verdicts if not verdict.by]
    for mutant in unseen:
        print(f"\nNOT SEEN: {_shown(mutant)}")
    score = 1 - len(unseen) / len(verdicts) if verdicts else 1.0
    print(
        f"\n{len(verdicts)} mutants, {len(verdicts) - len(unseen)} seen, {len(unseen)} not seen, "
        f"{len(alike)} equivalent besides: {score:.1%} seen, in {time.monotonic() - began:.0f} s"
    )
    return int(score < GOAL)


def _coverage(workshops: list[Workshop], file: Path | None) -> Coverage:
    if file and file.exists():
        return Coverage.load(file)
    print("running all tests once, to learn which of them run which lines", flush=True)
    found = record(workshops)
    print(f"{len(found.seconds)} tests", flush=True)
    if file:
        found.save(file)
    return found


def _verdicts(
    mutants: list[Mutant], workshops: list[Workshop], covering: Coverage
) -> Iterator[Verdict]:
    free: SimpleQueue[Workshop] = SimpleQueue()
    for workshop in workshops:
        free.put(workshop)

    def judge(mutant: Mutant) -> Verdict:
        workshop = free.get()
        try:
            return _judged(mutant, workshop, covering)
        finally:
            free.put(workshop)

    with ThreadPoolExecutor(len(workshops)) as threads:
        try:
            for number, verdict in enumerate(threads.map(judge, mutants), 1):
                mutant, by = verdict.mutant, verdict.by or "NOT SEEN"
                place = f"{mutant.path}:{_line(mutant)}"
                print(
                    f"{number}/{len(mutants)} {verdict.seconds:.0f} s {place} {mutant.kind}: {by}",
                    flush=True,
                )
                yield verdict
        except BaseException:
            for workshop in workshops:
                workshop.stop()
            threads.shutdown(cancel_futures=True)
            raise


def _judged(mutant: Mutant, workshop: Workshop, covering: Coverage) -> Verdict:
    began, tests = time.monotonic(), covering.of(mutant)
    with workshop.broken(mutant):
        for seconds in _PORTIONS:
            portion, tests = _portion(tests, covering.seconds, seconds)
            if not portion:
                continue
            patience = 60 + _PATIENCE * sum(covering.seconds[test] for test in portion)
            status, output = workshop.pytest(["-x", *portion], timeout=patience)
            if status:
                by = "it hangs" if status < 0 else who_failed(output)
                return Verdict(mutant, by, time.monotonic() - began)
    return Verdict(mutant, "", time.monotonic() - began)


def _portion(
    tests: list[str], seconds: dict[str, float], most: float
) -> tuple[list[str], list[str]]:
    total = 0.0
    for number, test in enumerate(tests):
        total += seconds[test]
        if total > most and number:
            return tests[:number], tests[number:]
    return tests, []


def _equivalent() -> dict[tuple[str, str, str], str]:
    entries = tomllib.loads(EQUIVALENT.read_text()).get("equivalent", [])
    return {(entry["path"], entry["before"], entry["after"]): entry["reason"] for entry in entries}


def _key(mutant: Mutant) -> tuple[str, str, str]:
    return mutant.path, *mutant.changed((ROOT / mutant.path).read_bytes())


def _line(mutant: Mutant) -> int:
    return (ROOT / mutant.path).read_bytes()[: mutant.start].count(b"\n") + 1


def _shown(mutant: Mutant) -> str:
    path, before, after = _key(mutant)
    lines = [f"{path}:{_line(mutant)} {mutant.kind}"]
    lines += [f"  - {line}" for line in before.splitlines()]
    lines += [f"  + {line}" for line in after.splitlines()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
